# SPDX-License-Identifier: BSD-3-Clause
"""promtool, from Debian's package of Prometheus, kept in the cache.

The package is not installed, since it would start a server.
"""
import shutil
import tempfile
from pathlib import Path

from . import apt, paths
from .cache import folder, say

SUITE = "bookworm"


def program() -> Path:
    """The program, fetched if it is not in the cache."""
    def fill(temp: Path) -> None:
        say("fetching promtool (once)")
        with tempfile.TemporaryDirectory(dir=temp) as whole:
            apt.unpack(SUITE, "amd64", lambda _apt: ["prometheus"], Path(whole))
            shutil.copy2(Path(whole) / "usr/bin/promtool", temp)
    return folder(paths.cache_dir() / "promtool" / SUITE, fill) / "promtool"
