# SPDX-License-Identifier: BSD-3-Clause
"""A terminal for a program, and what the program draws on it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import unicodedata

from vm.process import Deadline

TIMEOUT_S = 20


class Terminal:
    """A program on a terminal of its own, and what it draws."""

    def __init__(self, argv, columns: int = 80, rows: int = 24, env=None):
        self.master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            [str(arg) for arg in argv], stdin=self._slave, stdout=self._slave,
            stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=self._begin,
            env={"PATH": "/usr/bin:/bin", "TERM": "xterm", "LANG": "C.UTF-8", **(env or {})})
        self.text = ""

    @staticmethod
    def _begin() -> None:
        """Take the terminal; reset signals that the test was started with as ignored."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in (signal.SIGTSTP, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal a size; the programs on it get SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern: str, since: int = 0) -> str:
        """Wait until what was drawn matches."""
        deadline = Deadline(TIMEOUT_S)
        while not (found := re.search(pattern, self.text[since:], re.S)):
            ready, _, _ = select.select([self.master], [], [], deadline.left_s())
            deadline.check(f"{pattern!r} (got {self.text[since:][-600:]!r})")
            if ready:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        return found[0]

    def frame(self, since: int | None = None) -> list[str]:
        """The lines of the next whole picture."""
        since = len(self.text) if since is None else since
        drawn = self.read_until(r"\033\[H(?:(?!\033\[H).)*\033\[J", since)
        return [line.replace("\033[K", "") for line in
                drawn.removeprefix("\033[H").removesuffix("\033[J").split("\r\n")]

    def key(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def is_as_it_was(self) -> bool:
        """Whether the terminal's settings are what they were at first."""
        return termios.tcgetattr(self._slave) == self.before

    def end(self) -> int:
        """Wait until the program ends; return its status."""
        status = self.process.wait(timeout=TIMEOUT_S)
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        return status

    def quit(self) -> int:
        """Press the key for that; return the status."""
        self.key("q")
        return self.end()

    def close(self) -> None:
        """Close the terminal."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self._slave)


def width(line: str) -> int:
    """Columns of a line."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in line)
