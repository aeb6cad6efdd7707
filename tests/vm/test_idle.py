# SPDX-License-Identifier: BSD-3-Clause
"""When nothing moves, nothing wakes up."""
import select
import unittest

from vm import Deadline
from vm.base import VmTest, echo, listens

WINDOW_S = 6


class Idle(VmTest):
    """A guest with open files and nothing to do."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"echo": echo(), "unused": echo(), "out": listens(cls.scratch / "out.sock")})
        cls.guest.check("okl4test seq /okl4/echo records=2000", 60)
        cls.guest.check("mkfifo /okl4/out")

    def window(self, seconds: float) -> None:
        """Let a while pass; the daemon must live through it."""
        poller = select.poll()
        poller.register(self.daemon.pidfd, select.POLLIN)
        self.assertEqual(poller.poll(seconds * 1000), [], "the daemon ended")

    def requests(self) -> int:
        """Control requests that the daemon has served for the guest."""
        return self.daemon.rpc("guest.list")["guests"][0]["requests"]

    def assert_no_wake_up(self) -> None:
        """Wait until earlier activity has ended; then no thread of the daemon may run at all."""
        deadline = Deadline(20)
        before = self.daemon.switches()
        self.window(1)
        while self.daemon.switches() != before:
            deadline.check(f"the daemon to come to rest ({before})")
            before = self.daemon.switches()
            self.window(1)
        self.window(WINDOW_S)
        self.assertEqual(self.daemon.switches(), before)

    def test_daemon_sleeps(self):
        """With files open in the guest that are not read or written."""
        holder = self.guest.spawn("exec sleep 1000 <>/okl4/echo")
        self.guest.check("true")
        self.assert_no_wake_up()
        holder.signal(9)
        holder.wait(10)

    def test_no_ping_when_nobody_waits(self):
        """The driver asks whether the host is alive only while something waits."""
        holder = self.guest.spawn("exec sleep 1000 <>/okl4/echo")
        self.guest.check("true")
        before = self.requests()
        self.window(WINDOW_S)
        self.assertEqual(self.requests(), before)
        holder.signal(9)
        holder.wait(10)

    def test_ping_while_somebody_waits(self):
        """While something waits, the driver does ask."""
        reader = self.guest.spawn("mkfifo /okl4/unused; exec cat /okl4/unused")
        before, deadline = self.requests(), Deadline(30)
        while self.requests() < before + 2:
            deadline.check("two more requests of the driver")
        reader.signal(9)
        reader.wait(10)


if __name__ == "__main__":
    unittest.main()
