# SPDX-License-Identifier: BSD-3-Clause
"""The libraries of another architecture, to compile the daemon against."""
from pathlib import Path

from . import apt, paths
from .cache import folder, say

SUITE = "bookworm"
PACKAGES = ("libc6-dev", "libdpdk-dev", "libevent-dev", "libjson-c-dev", "libssl-dev",
            "libsystemd-dev", "liburing-dev")


def get(arch: str) -> Path:
    """The folder that holds them, fetched if it is not in the cache."""
    def fill(temp: Path) -> None:
        say(f"fetching the libraries of {arch} (once)")
        apt.unpack(SUITE, arch, lambda private: private.closure(PACKAGES), temp)
    return folder(paths.cache_dir() / "sysroots" / f"{SUITE}-{arch}", fill)
