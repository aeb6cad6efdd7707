# SPDX-License-Identifier: BSD-3-Clause
"""The test module okl4evil.ko, and a folder to lay over a guest that holds it."""
import shutil
import subprocess
import sys
from pathlib import Path

from . import paths
from .kernel import Kernel, locked

SOURCE = Path(__file__).parent / "okl4evil"


def module(kernel: Kernel) -> Path:
    """okl4evil.ko for `kernel`, built if it is missing or older than its sources."""
    folder = paths.BUILD / "evil" / kernel.release
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "okl4evil.ko"
    sources = list(SOURCE.iterdir())
    with locked(folder / ".lock"):
        if not result.exists() or result.stat().st_mtime <= max(s.stat().st_mtime for s in sources):
            for source in sources:
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
