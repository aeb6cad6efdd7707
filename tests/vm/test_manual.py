# SPDX-License-Identifier: BSD-3-Clause
"""The arguments in docs/qemu.md are those that okl4fsctl prints, and a guest boots with them."""
import unittest

from vm import until, guest_config, manual
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved

SOCKET = "/run/okl4fs/vm1.sock"


class Pasted(VmTest):
    """A daemon with a guest vm1, and a machine that is started with arguments from the manual."""
    mode = "listen"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = str(cls.scratch / "vm1.sock")
        cls.start_daemon([guest_config("vm1", cls.socket, {
            "echo": echo(), "out": listens(cls.scratch / "out.sock")}, socket_mode=cls.mode)])

    @classmethod
    def here(cls, text: str) -> str:
        """A text of the manual with our socket's path."""
        return text.replace(SOCKET, cls.socket)

    @classmethod
    def words(cls, example: int) -> list[str]:
        """The arguments of QEMU in an example."""
        return manual.words(cls.here(manual.examples("qemu.md", "sh")[example]))

    def printed(self, *args) -> list[str]:
        """The arguments of QEMU that okl4fsctl prints."""
        status, output, errors = self.daemon.ctl("qemu-args", "vm1", *args)
        self.assertEqual((status, errors), (0, ""))
        return manual.words(output)

    def talk(self) -> None:
        """Send bytes there and back."""
        until(lambda: not self.guest.run("rm -f /okl4/echo; mkfifo /okl4/echo")[0],
              "the device in the guest", 60)
        self.guest.check("okl4test seq /okl4/echo records=500")


class QemuListens(Pasted):
    """The recommended lines."""
    mode = "connect"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.guest = cls.start_guest(None, way="fs", qemu_args=cls.words(0))

    def test_printed_and_used(self):
        self.assertEqual(self.printed(), self.words(0))
        self.talk()


class DaemonListens(Pasted):
    """Those of the other mode, with a slot for hot-plug."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.guest = cls.start_guest(None, way="fs", qemu_args=cls.words(1)[:-2] + cls.words(2))

    def monitor(self, line: str) -> None:
        """Do a line of the manual: a command for QEMU's monitor, or another step."""
        command, _, what = line.partition("  ")
        since = self.guest.n_events()
        if command:
            self.assertEqual(self.guest.qmp("human-monitor-command", command_line=command), "")
        if "DEVICE_DELETED" in what:
            self.guest.wait_event("DEVICE_DELETED", since)
        elif what:
            self.assertEqual(what.strip(), "start the daemon")
            self.daemon.start()

    def test_printed_and_used(self):
        self.assertEqual(self.printed(), self.words(1))
        self.talk()

    def test_repair(self):
        """After the lines of the manual it works again, and what was written is delivered."""
        self.talk()
        self.guest.check("mkfifo /okl4/out; okl4test stream /okl4/out write=500000 seed=4")
        self.daemon.kill()
        for line in self.here(manual.examples("qemu.md", "text")[0]).splitlines():
            self.monitor(line)
        self.talk()
        status, output = HostTool(self.scratch, "stream", f"unix:{self.scratch}/out.sock",
                                  "read=eof", "seed=4").wait(60)
        self.assertEqual(status, 0, output)
        self.assertEqual(moved(output)["read"][0], 500000)


class Generic(Pasted):
    """The other way, on a QEMU that has it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.guest = cls.start_guest(None, way="generic", qemu_args=cls.words(3))

    def test_printed_and_used(self):
        self.assertEqual(self.printed("--way", "generic"), self.words(3))
        self.talk()


if __name__ == "__main__":
    unittest.main()
