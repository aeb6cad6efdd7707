# SPDX-License-Identifier: BSD-3-Clause
"""The guest sleeps and wakes up: streams go on, nothing is lost or doubled."""
import contextlib
import re
import unittest

from vm import Deadline, Timeout, guest_config
from vm.base import VmTest, echo, listens

LIMIT_S = 120

# SeaBIOS does this at boot but not at the end of a sleep: set the address of the power management
# registers of q35's LPC bridge, and enable them. Otherwise the next attempt to sleep fails at once.
ENABLE_ACPI_REGISTERS = r"""
printf '\001\006\000\000\200' |
	dd of=/sys/bus/pci/devices/0000:00:1f.0/config bs=1 seek=64 conv=notrunc 2>/dev/null
"""


class Suspend(VmTest):
    """One guest; QEMU listens, so that a restarted daemon reconnects by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", socket, {
            "echo": {"ring_bytes": 65536, "endpoint": echo()}, "quiet": echo(),
            "out": listens(cls.scratch / "out.sock")}, socket_mode="connect")])
        # With one CPU: under TCG, Linux now and then waits for ever for the second to come up again.
        cls.guest = cls.start_guest(socket, serve=True, smp=1)

    @contextlib.contextmanager
    def asleep(self):
        """Suspended to memory (ACPI S3) meanwhile."""
        since = self.guest.n_events()
        sleeping = self.guest.spawn("echo deep > /sys/power/mem_sleep && echo mem > /sys/power/state")
        self.guest.wait_event("SUSPEND", since, LIMIT_S)
        yield
        self.guest.qmp("system_wakeup")
        self.assertEqual(sleeping.wait(LIMIT_S), (0, ""))
        self.guest.check(ENABLE_ACPI_REGISTERS)

    @contextlib.contextmanager
    def idle(self):
        """Suspended to idle meanwhile: the CPUs wait, and devices sleep. A key wakes it up."""
        self.guest.check("echo enabled > /sys/bus/serio/devices/serio0/power/wakeup")
        since = len(self.guest.console())
        sleeping = self.guest.spawn("echo freeze > /sys/power/state")
        self.guest.wait_console("Suspending console", LIMIT_S, since)
        yield
        deadline = Deadline(LIMIT_S)
        while not sleeping.done():  # a key that comes before the keyboard is armed is lost
            deadline.check("the guest to wake up")
            self.guest.qmp("send-key", keys=[{"type": "qcode", "data": "a"}])
            with contextlib.suppress(Timeout):
                sleeping.wait(1)
        self.assertEqual(sleeping.wait(LIMIT_S), (0, ""))

    def through(self, *pauses) -> None:
        """A stream with sequence numbers; after each 1000 records a pause happens."""
        records = 1000 * (len(pauses) + 2)
        stream = self.guest.spawn(f"okl4test seq /okl4/echo records={records} progress=100")
        for n, pause in enumerate(pauses, start=1):
            stream.wait_output(f"progress {n * 1000}.", LIMIT_S)
            pause()
        self.assertIn(f"records {records} ", self.ends_well(stream, LIMIT_S))

    def suspend(self) -> None:
        """To memory and back."""
        with self.asleep():
            pass

    def test_stream_through_suspend(self):
        """In full swing, three times."""
        self.through(self.suspend, self.suspend, self.suspend)

    def test_stream_through_idle(self):
        """The same with s2idle."""
        if self.guest.run("test -e /sys/bus/serio/devices/serio0/power/wakeup")[0]:
            self.skipTest("this kernel has no keyboard to wake it up with")

        def idle():
            with self.idle():
                pass
        self.through(idle)

    def test_daemon_killed_meanwhile(self):
        """The new daemon is there at the wake-up, or comes later; or the old one ended before the sleep."""
        def restarted():
            with self.asleep():
                self.daemon.kill()
                self.daemon.start()

        def gone_and_back():
            with self.asleep():
                self.daemon.kill()
            self.daemon.start()

        def away_before():
            self.daemon.kill()
            with self.asleep():
                pass
            self.daemon.start()
        self.through(restarted, gone_and_back, away_before)

    def test_sleepers_sleep_on(self):
        """A reader, a poller and a writer on a full ring stay asleep."""
        self.sleep_through(self.suspend, LIMIT_S)

    def test_each_phase_alone(self):
        """Each phase of a suspend that the kernel can test alone (pm_test)."""
        if self.guest.run("test -e /sys/power/pm_test")[0]:
            self.skipTest("this kernel has no CONFIG_PM_DEBUG")
        levels = re.findall(r"\w+", self.guest.check("cat /sys/power/pm_test"))
        self.guest.run("echo 1 > /sys/module/suspend/parameters/pm_test_delay")

        def pause(level):
            return lambda: self.guest.check(
                f"echo {level} > /sys/power/pm_test; echo mem > /sys/power/state", LIMIT_S)
        try:
            self.through(*(pause(level) for level in levels if level != "none"))
        finally:
            self.guest.check("echo none > /sys/power/pm_test")


if __name__ == "__main__":
    unittest.main()
