# SPDX-License-Identifier: BSD-3-Clause
"""The way `fs` on a QEMU that is years newer than Debian 12's."""
import unittest

from vm import guest_config, newqemu
from vm.base import VmTest, echo


class NewQemu(VmTest):
    """QEMU listens, the daemon connects and keeps trying."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {"echo": echo()},
                                       socket_mode="connect")])
        cls.guest = cls.start_guest(cls.socket, serve=True, way="fs", smp=4,
                                    program=newqemu.program())

    def test_version_and_processors(self):
        """This is the right QEMU, with as many processors as were asked for."""
        self.assertGreaterEqual(self.guest.qmp("query-version")["qemu"]["major"], 11)
        self.assertEqual(self.guest.check("nproc"), "4\n")

    def test_stream_and_reset(self):
        """It moves bytes, also after the machine was reset."""
        self.guest.check("okl4test seq /okl4/echo records=5000", 60)
        self.guest.reset()
        self.guest.check("okl4test seq /okl4/echo records=5000", 60)

    def test_killed_daemon(self):
        """It recovers by itself, as on the old QEMU."""
        command = self.start_seq(records=20000)
        self.daemon.kill()
        self.daemon.start()
        self.assertIn("records 20000 ", self.ends_well(command, 150))


if __name__ == "__main__":
    unittest.main()
