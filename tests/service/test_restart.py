# SPDX-License-Identifier: BSD-3-Clause
"""The daemon ends and comes back under a running guest, and nobody notices.

The daemon is a service of a real systemd, with its units as shipped. The guest is a real one whose QEMU
connects to the daemon (socket_mode `listen`), as libvirt has it.
"""
import json
import re
import statistics
import time
import unittest

from vm import Guest
from vm.process import Deadline
from vm.ptrace import StoppedThread

from rig import HostTest, guest

TIMEOUT_S = 900
KILLS = 30
STEP = 100  # records from one line of progress to the next


class Restart(HostTest):
    """One stream of numbers through an echo goes on through everything; the tests are its steps."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host.check("dpkg -i /srv/okl4fs.deb")
        cls.configure(cls, {"guests": [guest("vm1", channels=[
            {"name": "echo", "ring_bytes": 1 << 20, "endpoint": {"type": "echo"}}])]})
        cls.host.check("systemctl restart okl4fsd.service")
        cls.qemu = Guest(cls.host.seen("/run/okl4fs/vm1.sock"), way="fs")
        cls.addClassCleanup(cls.qemu.stop)
        cls.qemu.check("mkfifo /okl4/echo")
        cls.stream = cls.qemu.spawn(f"okl4test seq /okl4/echo records=1000000000 max=65536 "
                                    f"progress={STEP}")
        cls.stream.wait_output("progress", 60)
        cls.console_start = len(cls.qemu.console())
        cls.gaps_ms: list[float] = []
        cls.looked = 0

    def progress(self) -> list[tuple[int, float]]:
        """All lines of progress so far: (records, longest gap in ms)."""
        return [(int(n), int(us) / 1000) for n, us in
                re.findall(rb"progress (\d+)\. gap (\d+) us", self.stream.output)]

    def wait_progress(self, lines: int = 2) -> None:
        """Wait until the stream has moved on by some lines of progress."""
        deadline, before = Deadline(60), len(self.progress())
        while len(self.progress()) < before + lines:
            self.assertFalse(self.stream.done(), self.stream.output[-500:])
            deadline.check("the stream to go on")

    def outage(self, end, what: str) -> None:
        """Have the daemon end; wait for the next one, and for the stream; note the gap."""
        self.wait_progress()
        before, n = self.show("MainPID"), len(self.progress())
        end()
        deadline = Deadline(60)
        while self.show("MainPID") in ("0", before):
            deadline.check("the next daemon")
        self.wait_progress()
        gap = max(ms for _, ms in self.progress()[n:])
        type(self).gaps_ms.append(gap)
        print(f"{what}: no byte for {gap:.0f} ms", flush=True)

    def moved(self) -> int:
        """Bytes that have come back to the guest from this daemon."""
        listed = json.loads(self.host.check("okl4fsctl --json channels"))
        return listed["channels"][0]["bwd"]["bytes"]

    def rate(self) -> float:
        """MiB per second, one way, while nothing happens."""
        began, before = time.monotonic(), self.moved()
        self.wait_progress(50)
        return (self.moved() - before) / (time.monotonic() - began) / (1 << 20)

    def assert_files_unnoticed(self) -> None:
        """The stream goes on, and QEMU has said nothing."""
        self.assertFalse(self.stream.done(), self.stream.output[-500:])
        self.assertEqual((self.qemu.scratch / "qemu.log").read_text(), "")

    def assert_unnoticed(self) -> None:
        """Nor has the guest."""
        self.assert_files_unnoticed()
        self.assertEqual(self.qemu.console()[self.console_start:], "")

    def test_1_killed(self):
        """SIGKILL."""
        self.outage(lambda: self.host.check("systemctl kill --signal=SIGKILL okl4fsd.service"),
                    "SIGKILL")
        self.assert_unnoticed()

    def test_2_restarted(self):
        """`systemctl restart`."""
        self.outage(lambda: self.host.check("systemctl restart okl4fsd.service"), "restart")
        self.assert_unnoticed()

    def test_3_upgraded(self):
        """The package is installed again."""
        self.outage(lambda: self.host.check("dpkg -i /srv/okl4fs.deb"), "upgrade")
        self.assert_unnoticed()

    def test_4_watchdog(self):
        """A worker is stuck, and the watchdog kills the daemon."""
        self.drop_in("[Service]\nWatchdogSec=2s\n")
        self.wait_progress()
        before, n = self.show("MainPID"), len(self.progress())
        with StoppedThread(self.pid(), "worker-0") as stopped:
            stopped.wait_end(30)
        deadline = Deadline(60)
        while self.show("MainPID") in ("0", before):
            deadline.check("the next daemon")
        self.wait_progress()
        gap = max(ms for _, ms in self.progress()[n:])
        print(f"watchdog of 2 s: no byte for {gap:.0f} ms", flush=True)
        self.assert_files_unnoticed()
        type(self).console_start = len(self.qemu.console())  # it was away long enough to be missed

    def test_5_killed_again_and_again(self):
        """Many times, each as soon as bytes move again."""
        for i in range(KILLS):
            self.outage(lambda: self.host.check(
                "systemctl kill --signal=SIGKILL okl4fsd.service"), f"kill {i + 1}")
        self.assert_unnoticed()
        self.drop_in(None)
        print(f"median of {len(self.gaps_ms)} gaps: {statistics.median(self.gaps_ms):.0f} ms; "
              f"{self.rate():.0f} MiB/s each way", flush=True)

    def test_9_stopped_for_good(self):
        """Then the guest's QEMU is told, and nothing is left in the store."""
        self.host.check("systemctl stop okl4fsd.service okl4fsd.socket")
        self.assertEqual(self.show("NFileDescriptorStore"), "0")


if __name__ == "__main__":
    unittest.main()
