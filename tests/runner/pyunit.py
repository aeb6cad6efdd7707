# SPDX-License-Identifier: BSD-3-Clause
"""Suites of Python unittest files, each in a process of its own.

`python3 -m runner.pyunit FILE` runs one file and prints one line per test, which starts with MARK.
"""
import importlib.util
import json
import os
import re
import sys
import time
import traceback
import unittest
from pathlib import Path

from vm import kernel

from . import build
from .process import run as run_program
from .tally import Tally

MARK = "@okl4fs-result "
DEFAULT_TIMEOUT_S = 900


class _Result(unittest.TestResult):
    """Prints each test's result as a line for the parent."""

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._bad = False

    def _tell(self, kind: str, test, why: str = "") -> None:
        took = time.monotonic() - getattr(self, "_started", time.monotonic())
        name = test.id() if hasattr(test, "id") else str(test)
        print(MARK + json.dumps({"kind": kind, "name": re.sub(r"^test_file\.", "", name),
                                 "why": why, "took": took}), flush=True)

    def _explain(self, error) -> str:
        return "".join(traceback.format_exception(*error))

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self._bad:
            self._tell("passed", test)

    def addError(self, test, err):
        super().addError(test, err)
        self._bad = True
        self._tell("failed", test, self._explain(err))

    addFailure = addError

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._tell("skipped", test, reason)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad = True
            self._tell("failed", subtest, self._explain(err))

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self._tell("failed", test, "expectedFailure is not used here: skip with a reason")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._tell("failed", test, "unexpected success")


def _child(path: str) -> int:
    """Run one file in this process."""
    from vm.process import exit_on_signals
    exit_on_signals()
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location("test_file", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_file"] = module
    spec.loader.exec_module(module)
    result = _Result()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    return 0 if result.wasSuccessful() else 1


def _timeout(path: Path, env: dict[str, str]) -> float:
    """A file may say TIMEOUT_S = N; on a slower kernel the limit is longer."""
    found = re.search(r"^TIMEOUT_S = (\d+)", path.read_text(encoding="utf-8"), re.M)
    seconds = int(found[1]) if found else DEFAULT_TIMEOUT_S
    name = {**os.environ, **env}.get("OKL4FS_TEST_KERNEL") or kernel.DEFAULT
    return seconds * kernel.SOURCES[name].slower


class _Listener:
    """Turns the lines of a running file into counts and progress."""

    def __init__(self, suite: str, name: str, tally: Tally):
        self.n_results = self.n_failed = 0
        self.rest: list[str] = []
        self._suite, self._name, self._tally = suite, name, tally

    def line(self, line: str) -> None:
        """A line of output."""
        before, mark, after = line.partition(MARK)
        if not mark:
            self.rest.append(line)
            return
        if before:
            self.rest.append(before)
        said = json.loads(after)
        label = f"{self._name}: {said['name']}"
        self.n_results += 1
        if said["kind"] == "passed":
            self._tally.passed()
            print(f"ok   {self._suite}: {label} ({said['took']:.1f} s)", flush=True)
        elif said["kind"] == "skipped":
            self._tally.skipped(self._suite, label, said["why"])
        else:
            self.n_failed += 1
            self._tally.failed(self._suite, label, said["why"])


def _run_file(suite: str, label: str, path: Path, tally: Tally, env: dict[str, str],
              as_root: bool) -> None:
    listener = _Listener(suite, label, tally)
    outcome = run_program([sys.executable, "-m", "runner.pyunit", path], _timeout(path, env),
                          show=listener.line, env={**build.environment(), **env}, as_root=as_root)
    if as_root:
        build.take_back()
    trouble = outcome.trouble()
    if not trouble and outcome.status not in (0, 1):
        trouble = f"exit status {outcome.status}"
    if not trouble and outcome.status and not listener.n_failed:
        trouble = "failed outside of any test"
    if not trouble and not listener.n_results:
        trouble = "holds no test"
    if trouble or listener.n_failed:
        for line in listener.rest[-60:]:
            print(f"   | {line}")
    if trouble:
        tally.failed(suite, label, trouble)


def files(*patterns: str) -> list[Path]:
    """The files below tests/ that the patterns match; each must match one."""
    tests = Path(__file__).resolve().parents[1]
    found = []
    for pattern in patterns:
        matched = sorted(tests.glob(pattern))
        if not matched:
            raise build.BuildFailed(f"there is no tests/{pattern}")
        found += matched
    return found


def run(suite: str, paths: list[Path], tally: Tally, *, label: str = "",
        env: dict[str, str] | None = None, as_root: bool = False) -> None:
    """Run test files; label and env tell one run of a file from another.

    as_root: they need root, and get it through sudo
    """
    for path in paths:
        name = f"{label} {path.name}".strip()
        if tally.wants(name):
            _run_file(suite, name, path, tally, env or {}, as_root)


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1]))
