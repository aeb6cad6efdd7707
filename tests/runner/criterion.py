# SPDX-License-Identifier: BSD-3-Clause
"""Suites that ctest runs: Criterion programs, counted test by test, and plain checks."""
import functools
import json
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from . import build
from .process import Outcome, run as run_program
from .tally import Tally

DEFAULT_TIMEOUT_S = 120
SANITIZER_FACTOR = 3


def _listed(directory: Path) -> list[dict]:
    """The tests that ctest knows in a build directory."""
    done = subprocess.run(["ctest", "--test-dir", directory, "--show-only=json-v1"], check=True,
                          capture_output=True, text=True)
    tests = []
    for test in json.loads(done.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        if "command" not in test:
            raise build.BuildFailed(f"{test['name']} was not built")
        tests.append({"name": test["name"], "command": test["command"],
                      "labels": properties.get("LABELS", []),
                      "timeout": properties.get("TIMEOUT", DEFAULT_TIMEOUT_S),
                      "cwd": properties.get("WORKING_DIRECTORY"),
                      "skip": properties.get("SKIP_RETURN_CODE", 77)})
    return tests


def _count_criterion(suite: str, name: str, report: Path, tally: Tally) -> tuple[int, int]:
    """Count the tests in a report of Criterion; (passed, failed)."""
    passed = failed = 0
    for group in ElementTree.parse(report).getroot().iter("testsuite"):
        for case in group.iter("testcase"):
            label = f"{name}: {group.get('name')}::{case.get('name')}"
            bad = [*case.findall("failure"), *case.findall("error")]
            if bad:
                failed += 1
                tally.failed(suite, label, "\n".join(
                    f"{entry.get('message') or ''} {entry.text or ''}".strip() for entry in bad))
            elif case.find("skipped") is not None or case.get("status") == "SKIPPED":
                tally.skipped(suite, label, "disabled in its source")
            else:
                passed += 1
    tally.passed(passed)
    return passed, failed


def _run_criterion(suite: str, test: dict, timeout: float, tally: Tally) -> None:
    """Run a Criterion program and count what its report holds."""
    with tempfile.TemporaryDirectory(prefix="okl4fs-") as scratch:
        report = Path(scratch, "report.xml")
        started = time.monotonic()
        prefix = _without_aslr() if suite == "tsan" else []
        outcome = run_program(prefix + test["command"] + [f"--xml={report}"],
                              timeout, cwd=scratch, env=build.environment())
        passed = failed = 0
        trouble = outcome.trouble()
        if not trouble:
            try:
                passed, failed = _count_criterion(suite, test["name"], report, tally)
            except (OSError, ElementTree.ParseError) as error:
                trouble = f"no report: {error}"
    if not trouble and not failed and (outcome.status or not passed):
        trouble = f"exit status {outcome.status}, {passed} tests passed, none failed"
    _tell_output(outcome, failed or trouble)
    if trouble:
        tally.failed(suite, test["name"], trouble)
    print(f"{suite}: {test['name']}: {passed} passed, {failed} failed "
          f"({time.monotonic() - started:.1f} s)", flush=True)


def _tell_output(outcome: Outcome, bad) -> None:
    if bad:
        for line in outcome.output.splitlines()[-60:]:
            print(f"   | {line}")


def _run_check(suite: str, test: dict, timeout: float, tally: Tally) -> None:
    """Run a command that passes by its exit status."""
    outcome = run_program(test["command"], timeout, cwd=test["cwd"], env=build.environment())
    last = (outcome.output.strip().splitlines() or [""])[-1]
    if outcome.trouble():
        tally.failed(suite, test["name"], f"{outcome.trouble()}\n{outcome.output[-3000:]}")
    elif outcome.status == test["skip"]:
        tally.skipped(suite, test["name"], last)
    elif outcome.status:
        tally.failed(suite, test["name"], outcome.output[-3000:])
    else:
        tally.passed()
        print(f"{suite}: {test['name']}: passed", flush=True)


@functools.cache
def _without_aslr() -> list[str]:
    """gcc-12's ThreadSanitizer does not work with the address layout of newer host kernels."""
    prefix = ["setarch", platform.machine(), "-R"]
    works = subprocess.run(prefix + ["true"], capture_output=True, check=False).returncode == 0
    return prefix if works else []


def run(suite: str, directory: Path, tally: Tally) -> None:
    """Run the tests that ctest knows in a build directory."""
    tests = [test for test in _listed(directory) if tally.wants(test["name"])]
    if not tests and not tally.only:
        tally.failed(suite, "discovery", "there is no test")
    for test in tests:
        timeout = test["timeout"] * (1 if suite == "unit" else SANITIZER_FACTOR)
        if "criterion" in test["labels"]:
            _run_criterion(suite, test, timeout, tally)
        else:
            _run_check(suite, test, timeout, tally)
