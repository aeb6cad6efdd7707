# SPDX-License-Identifier: BSD-3-Clause
"""A Debian system with systemd for a guest, in which a package of ours is installed."""
import hashlib
import os
import subprocess
from pathlib import Path

from vm import Disk, apt, paths
from vm.cache import folder, say

SUITE = "bookworm"
PACKAGES = ("systemd-sysv", "udev", "dkms", "linux-image-cloud-amd64", "linux-headers-cloud-amd64")
# Most of what is left out here is never read; a package that is installed later is not affected.
HOOKS = ("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         "--dpkgopt=path-exclude=/usr/share/man/*",
         '--customize-hook=rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"')


class ImageError(Exception):
    """There is no image."""


def _run(argv, log: Path) -> None:
    with open(log, "wb") as file:
        status = subprocess.run([str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=file,
                                stderr=file, check=False).returncode
    if status:
        raise ImageError(f"{argv[0]}: exit status {status}: "
                         + log.read_text(errors="replace")[-6000:])


def base() -> Path:
    """The system as Debian has it, a tar file in the cache; its packages' signatures are checked."""
    options = [f"--include={','.join(PACKAGES)}", *HOOKS]
    key = hashlib.sha256("\n".join([SUITE, *options]).encode()).hexdigest()[:12]

    def fill(temp: Path) -> None:
        say(f"making a system of {SUITE} for the package tests (once)")
        _run(["mmdebstrap", "--variant=minbase", "--skip=output/dev", *options, SUITE,
              temp / "root.tar", f"deb [signed-by={apt.KEYRING}] {apt.mirror()} {SUITE} main"],
             temp / "log")
    return folder(paths.cache_dir() / "images" / f"{SUITE}-{key}", fill) / "root.tar"


def make(deb: Path, out: Path) -> Disk:
    """Install a package into the system; `out` gets all that make-image(1) says."""
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if os.getuid():
        alone += ["--map-auto", "--map-root-user"]
    _run(alone + [Path(__file__).with_name("make-image"), base(), deb,
                  paths.GUEST_TOOLS / "agent", out], out / "log")
    return Disk(out / "vmlinuz", out / "initrd", out / "disk")
