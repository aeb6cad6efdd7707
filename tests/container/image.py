# SPDX-License-Identifier: BSD-3-Clause
"""Plain Debian systems: tar files in the cache, made once by mmdebstrap."""
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from vm import apt, paths, release
from vm.cache import folder, say

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

def base(packages, suite: str = "", *more: str, mark: str = "") -> Path:
    """A system with `packages`, a tar file; the signatures of its packages are checked.

    suite: of Debian; this machine's if none is given
    more: options of mmdebstrap
    mark: another mark makes another system, which replaces an old one in time
    """
    suite = suite or release.codename()
    options = [f"--include={','.join(packages)}", *HOOKS, *more]
    key = hashlib.sha256("\n".join([suite, *options, *mark.split()]).encode()).hexdigest()[:12]

    def fill(temp: Path) -> None:
        for old in temp.parent.glob("[a-z]*-*"):
            if old.stat().st_mtime < time.time() - STALE_DAYS * 86400:
                shutil.rmtree(old)
        say(f"making a system of {suite} for tests (once)")
        run(["mmdebstrap", "--variant=minbase", "--skip=output/dev", *options,
             "--dpkgopt=force-unsafe-io",
             *(f"--aptopt={line}" for line in apt.settings()), suite,
             temp / "root.tar", f"deb [signed-by={apt.KEYRING}] {apt.mirror()} {suite} main"],
            temp / "log")
    made = folder(paths.cache_dir() / "images" / f"{suite}-{key}", fill)
    os.utime(made)
    return made / "root.tar"


def unpack(tar: Path, root: Path) -> Path:
    """Unpack a system into the new folder `root`, and return that; needs root."""
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", tar], check=True)
    return root
