# SPDX-License-Identifier: BSD-3-Clause
"""Plain Debian systems: tar files in the cache, made once by mmdebstrap."""
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from vm import apt, paths
from vm.cache import folder, say

SUITE = "bookworm"
# Most of what is left out here is never read, and packages that are installed later are not affected. man
# finds pages without its index, which takes long to make.
HOOKS = ("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
         "--dpkgopt=path-exclude=/usr/share/man/*",
         '--customize-hook=rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap" '
         '"$1/var/lib/man-db/auto-update"')


# An image that was not used for this long is deleted when a new one is made
STALE_DAYS = 14


class ImageError(Exception):
    """The image cannot be made."""


def run(argv, log: Path) -> None:
    """Run a program that must succeed; its output goes into `log`."""
    with open(log, "wb") as file:
        status = subprocess.run([str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=file,
                                stderr=file, check=False).returncode
    if status:
        raise ImageError(f"{argv[0]}: exit status {status}: "
                         + log.read_text(errors="replace")[-6000:])


def base(packages) -> Path:
    """A system with `packages`, a tar file; the signatures of its packages are checked."""
    options = [f"--include={','.join(packages)}", *HOOKS]
    key = hashlib.sha256("\n".join([SUITE, *options]).encode()).hexdigest()[:12]

    def fill(temp: Path) -> None:
        for old in temp.parent.glob(f"{SUITE}-*"):
            if old.stat().st_mtime < time.time() - STALE_DAYS * 86400:
                shutil.rmtree(old)
        say(f"making a system of {SUITE} for the tests of packages (once)")
        run(["mmdebstrap", "--variant=minbase", "--skip=output/dev", *options, SUITE,
             temp / "root.tar", f"deb [signed-by={apt.KEYRING}] {apt.mirror()} {SUITE} main"],
            temp / "log")
    made = folder(paths.cache_dir() / "images" / f"{SUITE}-{key}", fill)
    os.utime(made)
    return made / "root.tar"


def unpack(tar: Path, root: Path) -> Path:
    """Unpack a system into the new folder `root`, and return that; needs root."""
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", tar], check=True)
    return root
