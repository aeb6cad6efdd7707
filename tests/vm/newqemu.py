# SPDX-License-Identifier: BSD-3-Clause
"""A newer QEMU than Debian 12's, from trixie-backports, kept in the cache with its libraries.

It is not installed: its own dynamic loader starts it from its folder, so it needs no privileges and does
not use this machine's libraries.
"""
from pathlib import Path

from . import apt, paths
from .cache import folder, say

SUITE = "trixie-backports"


def _packages(private: apt.PrivateApt) -> list[str]:
    """QEMU and all that it needs."""
    return private.closure(["qemu-system-x86"])


def root() -> Path:
    """The folder that it was unpacked into, fetched if it is not in the cache."""
    def fill(temp: Path) -> None:
        say(f"fetching QEMU from {SUITE} (once)")
        apt.unpack(SUITE, "amd64", _packages, temp)
    return folder(paths.cache_dir() / "qemu" / SUITE, fill)


def program() -> list[str]:
    """The command that starts it."""
    usr = root() / "usr"
    libraries = usr / "lib/x86_64-linux-gnu"
    return ["/usr/bin/env", f"QEMU_MODULE_DIR={libraries}/qemu",
            str(usr / "lib64/ld-linux-x86-64.so.2"), "--argv0", "qemu-system-x86_64",
            "--library-path", str(libraries), str(usr / "bin/qemu-system-x86_64"),
            "-L", str(usr / "share/qemu"), "-L", str(usr / "share/seabios"),
            "-L", str(usr / "lib/ipxe/qemu")]
