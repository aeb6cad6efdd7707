# SPDX-License-Identifier: BSD-3-Clause
"""Child processes that never outlive us, scratch folders that go away, waits with a limit."""
import atexit
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


class Timeout(Exception):
    """An awaited event did not come in time."""


class Deadline:
    """A point in time by which something must have happened.

    Limits are those of a stock kernel on a quiet machine, and others may use this one, so all are
    twice as long. Where a guest's kernel is `slower`, they are that many times as long, here and
    nowhere else; left() is in the limits' terms, to be passed on as one.
    """
    slower = 2.0

    def __init__(self, seconds: float):
        self.seconds = seconds * self.slower
        self._end = time.monotonic() + self.seconds

    def left(self) -> float:
        """What remains of the limit, never negative."""
        return max(0.0, self._end - time.monotonic()) / self.slower

    def left_s(self) -> float:
        """Seconds that remain by the clock, for a system call that waits."""
        return self.left() * self.slower

    def check(self, what: str) -> None:
        """Raise Timeout naming `what` when the time is over."""
        if self.left() <= 0:
            raise Timeout(f"{what}: not within {self.seconds:g} s")


def until(condition, what, limit_s: float = 60):
    """Wait until condition() holds, and return what it returned; `what` may be a function."""
    deadline = Deadline(limit_s)
    while not (found := condition()):
        deadline.check(what() if callable(what) else what)
    return found


class Process:
    """A child in a process group of its own, ended with its whole group at the latest at exit.

    A child that the main thread started is ended even when we are killed by SIGKILL. The kernel sends the
    signal when the thread that forked has ended, so for other threads it would come too early.
    """

    _alive: set["Process"] = set()

    def __init__(self, argv, **popen_options):
        self.argv = [str(arg) for arg in argv]
        prefix = []
        if threading.current_thread() is threading.main_thread():
            prefix = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--"]
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                exit_on_signals()
        self._popen = subprocess.Popen(prefix + self.argv, process_group=0, **popen_options)
        self._pidfd = os.pidfd_open(self._popen.pid)
        Process._alive.add(self)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._popen.pid

    @property
    def pidfd(self) -> int:
        """A descriptor that becomes readable when the child has ended."""
        return self._pidfd

    def poll(self):
        """The exit status, or None while the child runs."""
        status = self._popen.poll()
        if status is not None:
            self._forget()
        return status

    def wait(self, timeout: float) -> int:
        """The exit status (negative for a signal); Timeout when the child goes on running."""
        if self._pidfd >= 0:
            deadline = Deadline(timeout)
            poller = select.poll()
            poller.register(self._pidfd, select.POLLIN)
            if not poller.poll(deadline.left_s() * 1000):
                raise Timeout(f"{self.argv[0]} (pid {self.pid}) still runs after "
                              f"{deadline.seconds:g} s")
        status = self._popen.wait()
        self._forget()
        return status

    def signal(self, number: int) -> None:
        """Send a signal to the child alone, if it still runs."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def kill(self) -> int:
        """End the whole group at once and reap the child; its exit status."""
        if self._popen.returncode is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._popen.wait()
        self._forget()
        return self._popen.returncode

    def stop(self, timeout: float = 10) -> int:
        """Send SIGTERM, then SIGKILL if it does not end; the exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except Timeout:
            return self.kill()

    def _forget(self) -> None:
        Process._alive.discard(self)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    @classmethod
    def kill_all(cls) -> None:
        """End every child that still runs."""
        for process in list(cls._alive):
            process.kill()


_scratch: set[Path] = set()


def scratch_dir() -> Path:
    """A new private folder with a short name (sockets allow 107 bytes), removed at exit."""
    path = Path(tempfile.mkdtemp(prefix="okl4fs-", dir=os.environ.get("TMPDIR") or "/tmp"))
    _scratch.add(path)
    return path


def remove_scratch(path: Path) -> None:
    """Remove a folder that scratch_dir() made."""
    shutil.rmtree(path, ignore_errors=True)
    _scratch.discard(path)


@atexit.register
def _clean_up() -> None:
    Process.kill_all()
    for path in list(_scratch):
        remove_scratch(path)


def exit_on_signals() -> None:
    """Make SIGTERM and SIGHUP end this program as an exception does: with clean-up."""
    def leave(number, _frame):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
