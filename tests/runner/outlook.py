# SPDX-License-Identifier: BSD-3-Clause
"""How far a run of `./dev test` is: which suites are left, and about how long they take.

On a terminal, the last line says it at any time. Elsewhere there is one line at the beginning of each
suite.
"""
import json
import shutil
import time
from pathlib import Path
from typing import TextIO

from vm import paths

from .tally import Tally

TIMES = paths.BUILD / "test-times.json"
# Seconds on two CPUs, until a suite has run here. Others are not known.
SHIPPED = {"unit": 60, "asan": 95, "tsan": 85, "integration": 165, "vm": 380, "ways": 80,
           "kernels": 320, "libvirt": 110, "package": 120, "service": 70, "trixie": 360,
           "main": 45, "install": 50, "dpdk": 30, "debug-kernel": 3600}


def duration(seconds: float) -> str:
    """As people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{(seconds + 30) // 60:.0f} min"


class LastLine:
    """A text stream whose last line on the terminal is always what `text` returns."""

    def __init__(self, stream: TextIO, text):
        self._stream, self._text = stream, text
        self._begun = ""  # a line whose end has not come yet

    def write(self, data: str) -> int:
        """Write whole lines, and put the last line below them."""
        lines, end, self._begun = (self._begun + data).rpartition("\n")
        if end:
            last = self._text()[:shutil.get_terminal_size().columns - 1]
            self._stream.write(f"\r\033[K{lines}\n{last}")
        return len(data)

    def flush(self) -> None:
        """As of any stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """It is made for a terminal."""
        return True

    def fileno(self) -> int:
        """The terminal's."""
        return self._stream.fileno()


class Outlook:
    """The suites of a run; begin() and end() each of them in turn.

    suites: all that will run
    tally: their counts
    times: where the seconds of earlier runs are kept
    """

    def __init__(self, suites: list[str], tally: Tally, times: Path = TIMES):
        self._left = list(suites)
        self._n_suites = len(suites)
        self._tally, self._path = tally, times
        self._begun: float | None = None
        try:
            self._times = SHIPPED | json.loads(times.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._times = dict(SHIPPED)

    def _expected(self, suite: str) -> float:
        return self._times.get(suite) or self._times.get(suite.rpartition("/")[2], 0)

    def left_s(self) -> float:
        """About how long the rest takes, with what is left of the suite that runs."""
        if not self._left:
            return 0
        first, *others = self._left
        ran = time.monotonic() - self._begun if self._begun else 0
        return max(0, self._expected(first) - ran) + sum(map(self._expected, others))

    def _when(self) -> str:
        """The rest in words; nothing if only some of the tests run."""
        if self._tally.only or not all(map(self._expected, self._left)):
            return ""
        return f", about {duration(self.left_s())} left"

    def begin(self) -> str:
        """A suite begins; the line that says it."""
        self._begun = time.monotonic()
        n = self._n_suites - len(self._left) + 1
        return f"== {self._left[0]} ({n} of {self._n_suites} suites{self._when()})"

    def end(self, complete: bool = True) -> str:
        """The suite has ended; the line that says it. The time of a complete one is kept."""
        took = time.monotonic() - self._begun
        suite = self._left.pop(0)
        self._begun = None
        if complete and not self._tally.only:
            self._keep(suite, took)
        return f"== {suite}: {took:.0f} s"

    def _keep(self, suite: str, took: float) -> None:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(known | {suite: round(took)}), encoding="utf-8")

    def last_line(self) -> str:
        """For a terminal: the suite, the counts, what is left."""
        if self._begun is None:
            return ""
        counts = self._tally.counts()
        n = self._n_suites - len(self._left) + 1
        failed = f", {counts.failed} failed" if counts.failed else ""
        return (f"{self._left[0]}, suite {n} of {self._n_suites}: "
                f"{duration(time.monotonic() - self._begun)}{self._when()}; "
                f"{counts.passed} passed{failed}")
