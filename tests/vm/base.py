# SPDX-License-Identifier: BSD-3-Clause
"""Common parts of the tests on real guests."""
import contextlib
import unittest
from pathlib import Path

from . import Daemon, Deadline, Guest, detectors, guest_config, remove_scratch, scratch_dir


def echo() -> dict:
    """An endpoint."""
    return {"type": "echo"}


def listens(path: Path) -> dict:
    """An endpoint."""
    return {"type": "unix-listen", "path": str(path)}


class VmTest(unittest.TestCase):
    """Daemons and guests of a class: they are started by setUpClass, and end with the class.

    A test that fails shows what the daemon and the guests said meanwhile. At the end the guests'
    kernels must not have complained, and the daemon must end cleanly.
    """
    daemon: Daemon
    guest: Guest
    scratch: Path
    _guests: list[Guest]
    _stack: contextlib.ExitStack

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.scratch = scratch_dir()
        cls._guests = []
        cls._stack = contextlib.ExitStack()
        cls.addClassCleanup(cls._end_class)

    @classmethod
    def start_daemon(cls, guests: list[dict], **options) -> Daemon:
        """Start the class's daemon; its configuration's control socket lies in `scratch`."""
        cls.daemon = Daemon({"guests": guests}, **options)
        cls._stack.callback(cls.daemon.stop)
        return cls.daemon

    @classmethod
    def one_guest(cls, channels: dict[str, dict], **options) -> None:
        """A daemon with one guest `vm`, as most tests want it."""
        socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", socket, channels)])
        cls.guest = cls.start_guest(socket, **options)

    @classmethod
    def start_guest(cls, socket: Path | None, **options) -> Guest:
        """Start a guest of the class."""
        guest = cls._stack.enter_context(Guest(socket, **{"smp": 2, **options}))
        cls._guests.append(guest)
        return guest

    @staticmethod
    def _judge(guest: Guest) -> None:
        """A guest's kernel must have found nothing."""
        found = []
        if guest.kernel and guest.kernel.detects and guest.running():
            try:
                detectors.check(guest)
            except detectors.Complaint as error:
                found.append(str(error))
        said = detectors.complaint(guest.console()[guest.judged_from:])
        if said:
            found.append(f"a guest's kernel complains:\n{said}")
        if found:
            raise detectors.Complaint("\n".join(found))

    @classmethod
    def _end_class(cls) -> None:
        """Daemons and guests must end cleanly; whatever happens, all of them are ended."""
        try:
            for guest in cls._guests:
                cls._judge(guest)
            daemon = getattr(cls, "daemon", None)
            if daemon and daemon.running():
                daemon.signal(15)
                status = daemon.wait(20)
                if status:
                    raise AssertionError(f"okl4fsd ended with status {status}\n"
                                         + daemon.log()[-3000:])
        finally:
            cls._stack.close()
            remove_scratch(cls.scratch)

    def wait_fill(self, channel: str, fill_bytes: int, limit_s: float, *, guest: str | None = None,
                  way: str = "fwd") -> None:
        """Wait until so many bytes lie in a ring (`fwd` is the one to the host)."""
        deadline = Deadline(limit_s)
        params = {"guest": guest} if guest else None
        while True:
            state, = (c for c in self.daemon.rpc("channel.list", params)["channels"]
                      if c["name"] == channel)
            if state[way]["fill_bytes"] == fill_bytes:
                return
            deadline.check(f"{channel} to hold {fill_bytes} bytes ({state})")

    def setUp(self) -> None:
        self._log_from = len(self.daemon.log()) if hasattr(self, "daemon") else 0
        self._console_from = [len(guest.console()) for guest in self._guests]

    def tearDown(self) -> None:
        result = self._outcome.result
        if not any(test is self for test, _ in result.errors + result.failures):
            return
        if hasattr(self, "daemon"):
            print(f"-- {self.id()}: the daemon said:")
            print(self.daemon.log()[self._log_from:][-3000:])
        for i, guest in enumerate(self._guests):
            start = self._console_from[i] if i < len(self._console_from) else 0
            print(f"-- guest {i} said:\n{guest.console()[start:][-3000:]}")
