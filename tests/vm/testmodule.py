# SPDX-License-Identifier: BSD-3-Clause
"""Kernel modules for tests, and an overlay folder for a guest that contains one."""
import shutil
import subprocess
import sys
from pathlib import Path

from . import paths
from .cache import locked
from .kernel import Kernel

FOLDER = Path(__file__).parent
# Beside the module's own folder
HEADERS = {"okl4evil": [FOLDER / "guest/okl4test/okl4evil.h"]}


def module(kernel: Kernel, name: str) -> Path:
    """NAME.ko for `kernel`, built if it is missing or older than its sources."""
    folder = paths.BUILD / "testmodule" / kernel.release / name
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{name}.ko"
    sources = [*(FOLDER / name).iterdir(), *HEADERS.get(name, [])]
    with locked(folder / ".lock"):
        newest = max(source.stat().st_mtime for source in sources)
        if not result.exists() or result.stat().st_mtime <= newest:
            for source in sources:
                shutil.copy(source, folder)
            subprocess.run(["make", "-s", "-C", kernel.headers, f"M={folder}", "W=1",
                            *kernel.make_args, "modules"], check=True, stdout=sys.stderr)
    return result


def overlay(kernel: Kernel, name: str, scratch: Path) -> Path:
    """A folder with lib/NAME.ko."""
    folder = scratch / "overlay"
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    shutil.copy(module(kernel, name), folder / "lib")
    return folder
