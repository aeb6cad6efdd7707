# SPDX-License-Identifier: BSD-3-Clause
"""A cache of folders that are made once. A folder is complete or is not there at all."""
import fcntl
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable


def say(text: str) -> None:
    """Print the progress of a long step."""
    print(f"okl4fs: {text}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path):
    """Let in one process at a time."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def folder(final: Path, fill: Callable[[Path], None]) -> Path:
    """The folder `final`. If it is missing, fill(temp) makes it; it gets its name when it is complete."""
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with locked(final.parent / f".{final.name}.lock"):
        if final.exists():
            return final
        for stale in final.parent.glob(f".{final.name}.tmp*"):
            shutil.rmtree(stale)
        temp = Path(tempfile.mkdtemp(prefix=f".{final.name}.tmp", dir=final.parent))
        try:
            fill(temp)
            temp.chmod(0o755)
            os.rename(temp, final)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
    return final
