# SPDX-License-Identifier: BSD-3-Clause
"""What ./dev and `./dev test` show of long commands, on a terminal and elsewhere."""
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import unittest
from pathlib import Path

from vm import paths
from vm.process import remove_scratch, scratch_dir

sys.path.insert(0, str(paths.ROOT / "tests"))
# pylint: disable=wrong-import-position
from runner.outlook import LastLine, Outlook  # noqa: E402
from runner.tally import Tally  # noqa: E402

TIMEOUT_S = 60


class Scratch(unittest.TestCase):
    """A folder per test."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.addCleanup(remove_scratch, self.scratch)


class Logged(Scratch):
    """tests/runner/progress.sh."""

    def script(self, text: str) -> list[str]:
        """A shell that has the functions."""
        self.log = self.scratch / "build/dev.log"
        return ["bash", "-c", f"set -euo pipefail; log={self.log}; "
                f". {paths.ROOT}/tests/runner/progress.sh; {text}"]

    def plain(self, text: str) -> tuple[int, str]:
        """Run it without a terminal: status, output."""
        done = subprocess.run(self.script(text), capture_output=True, text=True, check=False,
                              timeout=TIMEOUT_S)
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def on_terminal(self, text: str, columns: int = 80) -> tuple[int, str]:
        """Run it on a terminal: status, output. It sees the pipe $SEEN, which is at its end when the
        terminal has shown `of 20`."""
        mine, its = pty.openpty()
        seen, show = os.pipe()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        child = subprocess.Popen(self.script(text), stdin=its, stdout=its, stderr=its,
                                 pass_fds=[seen], env={**os.environ, "SEEN": str(seen)})
        os.close(its)
        os.close(seen)
        said = b""
        try:
            while data := os.read(mine, 4096):
                said += data
                if show is not None and b"of 20" in said:
                    os.close(show)
                    show = None
        except OSError:  # EIO: the terminal is closed
            pass
        os.close(mine)
        if show is not None:
            os.close(show)
        return child.wait(TIMEOUT_S), said.decode()

    def test_plain(self):
        """One line before and one after; what the command prints is in the log."""
        self.assertEqual(self.plain("logged building seq 3"), (
            0, "okl4fs: building ...\nokl4fs: building: done (0 s)\n"))
        self.assertEqual(self.log.read_text(), "== building: seq 3\n1\n2\n3\n")

    def test_quick(self):
        """-q: nothing is said of a command that is quick, but its failure is told."""
        self.assertEqual(self.plain("logged -q building true"), (0, ""))
        status, said = self.plain("logged -q building false")
        self.assertEqual(status, 1)
        self.assertIn("okl4fs: building: failed with status 1", said)

    def test_failure(self):
        """The end of this command's output and the log's path are shown; the script ends."""
        status, said = self.plain("logged one echo first; "
                                  "logged two sh -c 'seq 30; exit 7'; echo not reached")
        self.assertEqual(status, 7)
        lines = said.splitlines()
        self.assertEqual(lines[3:-1], ["okl4fs: two: failed with status 7, after this:"]
                         + [f"    {n}" for n in range(11, 31)])
        self.assertEqual(lines[-1], f"okl4fs: the whole output is in {self.log}")

    def test_terminal(self):
        """One line says how far ninja is, and is gone at the end."""
        status, said = self.on_terminal(
            "go() { echo '[7/20] Building a.o'; cat <&$SEEN; }; logged building go")
        self.assertEqual(status, 0)
        self.assertRegex(said, r"\r\033\[Kokl4fs: building: 7 of 20, \d+ s"
                         r"\r\033\[Kokl4fs: building: done \(\d+ s\)\r\n$")
        self.assertEqual(said.count("\n"), 1)

    def test_narrow_terminal(self):
        """The line is cut, so that it stays one line."""
        said = self.on_terminal("go() { echo '[7/20] Building a.o'; cat <&$SEEN; }; "
                                "logged building go", columns=26)[1]
        self.assertIn("\033[Kokl4fs: building: 7 of 20\r", said)

    def test_what_apt_says(self):
        """Packages, and what our own programs say, are progress, too."""
        for line, shown in (("Setting up gcc (4:12.2.0-3) ...", "Setting up gcc"),
                            ("Get:12 http://mirror.example/debian stable/main amd64 x", "download 12"),
                            ("okl4fs: waiting for another dpkg to end",
                             "waiting for another dpkg to end"), ("plain text", "")):
            self.log = self.scratch / "log"
            self.log.write_text(f"before\n{line}\n", encoding="utf-8")
            done = subprocess.run(["bash", "-c", f"log={self.log}; . {paths.ROOT}/tests/runner/"
                                   "progress.sh; how_far 7"], capture_output=True, text=True,
                                  check=True, timeout=TIMEOUT_S)
            self.assertEqual(done.stdout.rstrip("\n"), shown)


class Left(Scratch):
    """Which suites are left, and how long they take."""

    def outlook(self, *suites: str, only: str = "", **times: int) -> Outlook:
        """For some suites, of which some have run before."""
        self.times = self.scratch / "times.json"
        if times:
            self.times.write_text(json.dumps(times), encoding="utf-8")
        self.tally = Tally(only)
        return Outlook(list(suites), self.tally, self.times)

    def test_lines(self):
        """Number and time; what has run is kept for the next time."""
        outlook = self.outlook("unit", "vm", unit=50, vm=500)
        self.assertEqual(outlook.begin(), "== unit (1 of 2 suites, about 9 min left)")
        self.assertEqual(outlook.end(), "== unit: 0 s")
        self.assertEqual(outlook.begin(), "== vm (2 of 2 suites, about 8 min left)")
        outlook.end(complete=False)
        self.assertEqual(json.loads(self.times.read_text()), {"unit": 0, "vm": 500})
        self.assertEqual(outlook.left_s(), 0)

    def test_never_ran(self):
        """There are times for each suite of `./dev test`, and for those on another release."""
        outlook = self.outlook("unit", "asan", "tsan", "integration", "vm", "ways", "kernels",
                               "libvirt", "package", "service", "trixie", "trixie/vm")
        self.assertRegex(outlook.begin(), r"\(1 of 12 suites, about [2-5]\d min left\)$")

    def test_some_tests_only(self):
        """With -k nobody knows how long it takes, and nothing is kept."""
        outlook = self.outlook("unit", only="config")
        self.assertEqual(outlook.begin(), "== unit (1 of 1 suites)")
        outlook.end()
        self.assertFalse(self.times.exists())

    def test_damaged_times(self):
        """They are as if there were none."""
        Path(self.scratch / "times.json").write_text("{", encoding="utf-8")
        self.assertEqual(self.outlook("unit").left_s(), 60)

    def test_last_line(self):
        """On a terminal it stands below all that was printed, once."""
        outlook = self.outlook("unit", "vm", unit=50, vm=500)
        outlook.begin()
        self.tally.passed(3)
        out = io.StringIO()
        stream = LastLine(out, outlook.last_line)
        print("ok   one", file=stream)
        print("ok   two", file=stream)
        outlook.end()
        print("ok   end", file=stream)
        last = "unit, suite 1 of 2: 0 s, about 9 min left; 3 passed"
        self.assertEqual(out.getvalue(), f"\r\033[Kok   one\n{last}\r\033[Kok   two\n{last}"
                                         "\r\033[Kok   end\n")


if __name__ == "__main__":
    unittest.main()
