# SPDX-License-Identifier: BSD-3-Clause
"""Suite debug-kernel: the guest tests on kernels that look for faults, and when they last passed.

It takes most of an hour, so it is not run by default. When it has passed it writes RECORD, which is
committed; every run of tests/run prints it, and whether it is still valid.
"""
import datetime
import hashlib
import re
from pathlib import Path

from vm import kernel, paths

from . import build, pyunit
from .tally import Tally

RECORD = paths.ROOT / "tests/debug-kernel.passed"
TESTED = ("guest-driver", "libfs")
# On KASAN's kernel every file with a guest is run, except:
LEFT_OUT = {
    "test_firmware.py": "is about what happens before a kernel",
    "test_harness.py": "is about the host's half of the harness",
    "test_manual.py": "is about what QEMU is told",
    "test_readme.py": "is about what the host is told",
    "test_idle.py": "looks at the daemon's threads while the guest does nothing",
}
# On KCSAN's kernel, the files with much concurrency.
CONCURRENT = ("vm/test_driver.py", "vm/test_restart.py", "vm/test_rows.py", "vm/test_smp.py",
              "vm/test_stream.py", "vm/test_unplug.py")


def run(tally: Tally) -> None:
    """Run the suite."""
    before, counts = tally.counts(), []
    guests = [path for path in pyunit.files("vm/test_*.py") if path.name not in LEFT_OUT]
    plan = {"kasan": guests, "kcsan": pyunit.files(*CONCURRENT)}
    for name in plan:
        build.for_guests(name)
    pyunit.run("debug-kernel", pyunit.files("detectors/test_*.py"), tally)
    for name, files in plan.items():
        passed = tally.counts().passed
        pyunit.run("debug-kernel", files, tally, label=name, env={"OKL4FS_TEST_KERNEL": name})
        counts.append((kernel.get(name).release, tally.counts().passed - passed))
    after = tally.counts()
    if not tally.only and after.failed == before.failed:
        _write(counts, after.skipped - before.skipped)


def _tree() -> str:
    """A hash that changes with any source that a guest's kernel runs."""
    digest = hashlib.sha256()
    for folder in TESTED:
        for path in sorted((paths.ROOT / folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(paths.ROOT)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _write(counts: list[tuple[str, int]], n_skipped: int) -> None:
    """Note that the suite has passed."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    lines = ["# SPDX-License-Identifier: BSD-3-Clause",
             "# When `./dev test debug-kernel` last passed. It writes this file: commit it.",
             f"date {today.isoformat()}", f"tree {_tree()}"]
    lines += [f"kernel {release} {passed} passed" for release, passed in counts]
    RECORD.write_text("\n".join(lines + [f"skipped {n_skipped}", ""]), encoding="utf-8")


def last_passed(record: Path = RECORD) -> str:
    """One line: when the suite last passed, and whether what it tested is still the same."""
    if not record.exists():
        return "debug-kernel: has never passed (no tests/debug-kernel.passed)"
    text = record.read_text(encoding="utf-8")
    date, tree = re.findall(r"^(?:date|tree) (\S+)$", text, re.M)
    kernels = ", ".join(f"{passed} tests on {release}" for release, passed in
                        re.findall(r"^kernel (\S+) (\d+) passed$", text, re.M))
    change = "have not changed" if tree == _tree() else "HAVE CHANGED"
    return (f"debug-kernel: last passed {date} ({kernels}); {' and '.join(TESTED)} {change} since")
