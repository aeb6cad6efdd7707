# SPDX-License-Identifier: BSD-3-Clause
"""The test module okl4evil.ko, and a folder to lay over a guest that holds it."""
import shutil
import subprocess
import sys
from pathlib import Path

from . import paths
from .cache import locked
from .kernel import Kernel

FOLDER = Path(__file__).parent
SOURCES = (FOLDER / "okl4evil/Kbuild", FOLDER / "okl4evil/okl4evil.c",
           FOLDER / "guest/okl4test/okl4evil.h")


def module(kernel: Kernel) -> Path:
    """okl4evil.ko for `kernel`, built if it is missing or older than its sources."""
    folder = paths.BUILD / "evil" / kernel.release
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "okl4evil.ko"
    with locked(folder / ".lock"):
        newest = max(source.stat().st_mtime for source in SOURCES)
        if not result.exists() or result.stat().st_mtime <= newest:
            for source in SOURCES:
                shutil.copy(source, folder)
            subprocess.run(["make", "-s", "-C", kernel.headers, f"M={folder}", "W=1",
                            *kernel.make_args, "modules"], check=True, stdout=sys.stderr)
    return result


def overlay(kernel: Kernel, scratch: Path) -> Path:
    """A folder with lib/okl4evil.ko."""
    folder = scratch / "overlay"
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    shutil.copy(module(kernel), folder / "lib")
    return folder
