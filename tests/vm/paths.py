# SPDX-License-Identifier: BSD-3-Clause
"""Where things lie: the source tree, the build directory, the cache."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("OKL4FS_BUILD") or ROOT / "build").resolve()
GUEST_TOOLS = BUILD / "guest"


def guest_tools(arch: str) -> Path:
    """The programs for guests of an architecture."""
    return GUEST_TOOLS if arch == "amd64" else BUILD / arch / "guest"


def cache_dir() -> Path:
    """The folder for what is fetched once and kept, made when it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "okl4fs"
    path.mkdir(parents=True, exist_ok=True)
    return path
