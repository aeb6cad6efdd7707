# SPDX-License-Identifier: BSD-3-Clause
"""A user at a terminal: okl4fsctl attach, and what they type and see."""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios

from vm import paths
from vm.process import Deadline

PROMPT = "ready> "
# bash turns it on and off around each line
BRACKETED_PASTE = re.compile(r"\x1b\[\?2004[hl]")


class Console:
    """A terminal in which okl4fsctl attach runs."""

    def __init__(self, control_path, channel: str, rows: int = 24, columns: int = 80):
        self._fd, theirs = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._shown = ""

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self._process = subprocess.Popen(
            [paths.BUILD / "okl4fsctl", "-s", control_path, "attach", channel], stdin=theirs,
            stdout=theirs, stderr=theirs, preexec_fn=take_terminal)

    def close(self) -> None:
        """End it in any case."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._fd)
        os.close(self._theirs)

    def resize(self, rows: int, columns: int) -> None:
        """Drag a corner of the window."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode())

    def see(self, pattern: str, seconds: float = 60) -> re.Match:
        """Wait until the terminal shows this, after what was seen before."""
        deadline = Deadline(seconds)
        while not (match := re.search(pattern, self._shown)):
            if not select.select([self._fd], [], [], deadline.left_s())[0]:
                raise AssertionError(f"{pattern!r} is not shown: {self._shown!r}")
            self._shown += os.read(self._fd, 4096).decode(errors="replace")
            self._shown = BRACKETED_PASTE.sub("", self._shown)
        self._shown = self._shown[match.end():]
        return match

    def run(self, command: str) -> str:
        """Run a command in the shell there; its output."""
        self.type(f"{command}\r")
        self.see(re.escape(command) + "\r\n\r?")
        return self.see(f"(?s)(.*?){PROMPT}")[1].replace("\r", "")

    def log_in(self, user: str, password: str) -> None:
        """Until the prompt."""
        self.see("login: ")
        self.type(f"{user}\r")
        self.see("Password: ")
        self.type(f"{password}\r")
        self.see(r"\$ $")
        self.type(f"PS1='{PROMPT[:2]}''{PROMPT[2:]}'\r")
        self.see(PROMPT)

    def ended(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()

    def is_restored(self) -> bool:
        """The terminal is as it was."""
        return termios.tcgetattr(self._theirs) == self.before
