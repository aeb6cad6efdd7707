# SPDX-License-Identifier: BSD-3-Clause
"""Debian systems in which our packages are installed: in a folder, and on the disk of a guest."""
import os
from pathlib import Path

from container import image
from vm import Disk, manual, paths

import debs

# Packages for a guest; for a user; tools with which the tests examine packages; X11's libfs-dev, which
# must not conflict; and the dependencies of okl4fs, since there is no network where it is installed
PACKAGES = ("systemd-sysv", "dbus", "udev", "dkms", "linux-image-cloud-amd64",
            "linux-headers-cloud-amd64", "gcc", "libc6-dev", "man-db", "bash-completion", "cmake",
            "pkgconf", "libfs-dev", "python3", "vim-tiny", "sudo", "adduser")


def base(made: dict[str, Path]) -> Path:
    """The system without our packages, a tar file."""
    return image.base([*PACKAGES, *debs.depends(made["okl4fs"])])


def make(system: Path, packages: list[Path], out: Path) -> Disk:
    """Install packages into a system, the driver as README.md does; `out` gets the output of make-image."""
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if os.getuid():
        alone += ["--map-auto", "--map-root-user"]
    image.run(alone + [Path(__file__).with_name("make-image"), system,
                       paths.GUEST_TOOLS / "agent", out,
                       manual.examples("README.md", "sh", "In the guest")[0], *packages], out / "log")
    return Disk(out / "vmlinuz", out / "initrd", out / "disk")
