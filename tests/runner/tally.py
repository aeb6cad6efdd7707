# SPDX-License-Identifier: BSD-3-Clause
"""Count tests and report their results."""
import json
from pathlib import Path
from typing import NamedTuple


class Counts(NamedTuple):
    """How many tests passed, failed and were skipped so far."""
    passed: int
    failed: int
    skipped: int


class Tally:
    """Counts of passed, failed and skipped tests."""

    def __init__(self, only: str = ""):
        self.only = only
        self._n_passed = 0
        self._failures: list[str] = []
        self._skips: dict[str, int] = {}

    def wants(self, name: str) -> bool:
        """Whether the user asked for this file or program."""
        return self.only in name

    def counts(self) -> Counts:
        """The counts so far."""
        return Counts(self._n_passed, len(self._failures), sum(self._skips.values()))

    def passed(self, count: int = 1) -> None:
        """Tests have passed."""
        self._n_passed += count

    def failed(self, suite: str, name: str, why: str) -> None:
        """A test has failed; `why` is shown now, its name again at the end."""
        self._failures.append(f"{suite}: {name}")
        print(f"FAIL {suite}: {name}", flush=True)
        for line in why.rstrip().splitlines():
            print(f"     {line}", flush=True)

    def skipped(self, suite: str, name: str, why: str) -> None:
        """A test was left out."""
        reason = f"{suite}: {why or 'no reason given'}"
        self._skips[reason] = self._skips.get(reason, 0) + 1
        print(f"skip {suite}: {name}: {why}", flush=True)

    def save(self, path: Path) -> None:
        """Write the counts for add() of another run."""
        path.write_text(json.dumps({"passed": self._n_passed, "failures": self._failures,
                                    "skips": self._skips}), encoding="utf-8")

    def add(self, path: Path, prefix: str) -> None:
        """Add the counts that another run has written; `prefix` tells its tests from ours."""
        said = json.loads(path.read_text(encoding="utf-8"))
        self._n_passed += said["passed"]
        self._failures += [prefix + failure for failure in said["failures"]]
        for reason, count in said["skips"].items():
            self._skips[prefix + reason] = self._skips.get(prefix + reason, 0) + count

    def finish(self) -> int:
        """Print the summary, whose last line is the count; the exit status."""
        if self._skips:
            print("\nSkipped:")
            for reason, count in self._skips.items():
                print(f"  {count} x {reason}")
        if self._failures:
            print("\nFailed:")
            for failure in self._failures:
                print(f"  {failure}")
        passed, failed, skipped = self.counts()
        print(f"\n{passed} passed, {failed} failed, {skipped} skipped", flush=True)
        return 1 if failed or not passed else 0
