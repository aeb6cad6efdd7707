# SPDX-License-Identifier: BSD-3-Clause
"""Debian systems in which our packages are installed: in a folder, and on the disk of a guest."""
import os
from dataclasses import replace
from pathlib import Path

from container import image
from vm import Disk, manual, paths

import debs

# Packages for a guest; for a user; tools with which the tests examine packages; X11's libfs-dev, which
# must not conflict; what docs/recipes.md uses; and the dependencies of okl4fs, since there is no network
# where it is installed
PACKAGES = ("systemd-sysv", "dbus", "udev", "dkms", "linux-image-cloud-amd64",
            "linux-headers-cloud-amd64", "gcc", "libc6-dev", "man-db", "bash-completion", "cmake",
            "pkgconf", "libfs-dev", "python3", "vim-tiny", "sudo", "adduser", "git", "rsync",
             "openssh-server", "openssh-client", "socat", "systemd-container", "checkpolicy",
             "redis-server", "prometheus-node-exporter", "mosquitto-clients")


def base(made: dict[str, Path]) -> Path:
    """The system without our packages, a tar file."""
    return image.base([*PACKAGES, *debs.depends(made["okl4fs"])])


def make(system: Path, packages: list[Path], out: Path, early: str) -> Disk:
    """Install packages into a system, the driver as README.md does; `out` gets the output of make-image.

    early: a script of sh that makes the system's initrd anew; early_initrd() then boots with that one
    """
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if os.getuid():
        alone += ["--map-auto", "--map-root-user"]
    (out / "early").write_text(early, encoding="utf-8")
    image.run(alone + [Path(__file__).with_name("make-image"), system,
                       paths.GUEST_TOOLS / "agent", out,
                       manual.examples("README.md", "sh", "In the guest")[0], out / "early",
                       *packages], out / "log")
    return Disk(out / "vmlinuz", out / "initrd", out / "disk")


def early_initrd(disk: Disk) -> Disk:
    """The same system with the initrd of the script `early`."""
    return replace(disk, initrd=disk.initrd.with_name("initrd.early"))
