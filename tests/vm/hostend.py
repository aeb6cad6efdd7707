# SPDX-License-Identifier: BSD-3-Clause
"""The host's end of a channel: the guest's own test program, run on the host."""
import subprocess
from pathlib import Path

from . import paths
from .process import Process, Timeout

OKL4TEST = paths.GUEST_TOOLS / "okl4test"


class HostTool:
    """okl4test on the host, its output in a file."""

    def __init__(self, scratch: Path, *args):
        self._log = scratch / f"okl4test-{len(list(scratch.glob('okl4test-*')))}.log"
        with open(self._log, "wb") as log:
            self._process = Process([OKL4TEST, *args], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)

    @property
    def pidfd(self) -> int:
        """Becomes readable when it has ended."""
        return self._process.pidfd

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait(self, timeout: float) -> tuple[int, str]:
        """Wait for its end; (status, output)."""
        try:
            status = self._process.wait(timeout)
        except Timeout as error:
            self._process.kill()
            raise Timeout(f"{error}; it printed: {self.output()}") from None
        return status, self.output()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def listing(what: str) -> list[str]:
    """The names that `okl4test WHAT list` prints."""
    return subprocess.run([OKL4TEST, what, "list"], check=True, capture_output=True,
                          text=True, timeout=10).stdout.split()


def moved(output: str) -> dict[str, tuple[int, str]]:
    """The result of `okl4test stream`: {"written": (bytes, hash), "read": ...}."""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] in ("written", "read"):
            found[words[0]] = (int(words[1]), words[2])
    return found
