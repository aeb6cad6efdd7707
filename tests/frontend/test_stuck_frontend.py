# SPDX-License-Identifier: BSD-3-Clause
"""A frontend that does not read its answers, and a library that gives none: nobody else waits."""
import itertools
import os
import signal
import struct
import unittest

import vhost_user as vu
from guest_end import Channel, Driver
from memory import Memory
from vhost_user import Frontend
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir
from vm.ptrace import VHOST_THREAD, StoppedThread

ECHO = {"echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}}


class StuckFrontend(unittest.TestCase):
    """vm1's frontend gets no further."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.daemon = Daemon({"guests": [self.guest("vm1"), self.guest("vm2")]},
                             scratch=self.scratch)
        self.addCleanup(self.daemon.stop)

    def guest(self, name: str) -> dict:
        """Configuration of a guest."""
        return guest_config(name, self.scratch / f"{name}.sock", ECHO)

    def frontend(self, name: str = "vm1") -> Frontend:
        """A frontend that has connected."""
        frontend = Frontend(self.scratch / f"{name}.sock", Memory(size=4 << 20))
        self.addCleanup(frontend.close)
        return frontend

    def assert_echo(self, name: str) -> None:
        """A new frontend can set up, and bytes move."""
        driver = Driver(self.frontend(name).setup())
        driver.hello()
        Channel(driver, "echo").attach().open().echo(os.urandom(100000))

    def test_never_reads(self):
        """It is dropped when its answers do not fit any longer; others set up meanwhile."""
        frontend = self.frontend()
        question = struct.pack("<III", vu.GET_FEATURES, vu.VERSION, 0)
        with self.assertRaises((BrokenPipeError, ConnectionResetError)):
            for n in itertools.count():
                frontend.sock.sendall(question)
                if n == 10:
                    self.assert_echo("vm2")
        self.daemon.wait_log("guest vm1: the frontend does not read its answers")
        self.assert_echo("vm1")

    def test_removal(self):
        """A guest goes although the library owes its frontend an answer; nothing waits for that."""
        frontend = self.frontend().setup()
        with StoppedThread(self.daemon.pid, *VHOST_THREAD):
            frontend.send(vu.SET_OWNER, flags=vu.VERSION | vu.NEED_REPLY)
            self.daemon.rpc("guest.remove", {"guest": "vm1"})
            self.assertFalse((self.scratch / "vm1.sock").exists())
            self.assertEqual(len(self.daemon.rpc("guest.list")["guests"]), 1)
            self.assertTrue(frontend.dropped())
            self.daemon.rpc("guest.add", {"guest": self.guest("vm1")})
        self.assert_echo("vm1")
        self.assert_echo("vm2")

    def test_end(self):
        """SIGTERM ends the daemon although the library's thread never goes on."""
        frontend = self.frontend().setup()
        with StoppedThread(self.daemon.pid, *VHOST_THREAD) as thread:
            frontend.send(vu.SET_OWNER, flags=vu.VERSION | vu.NEED_REPLY)
            self.daemon.signal(signal.SIGTERM)
            thread.wait_end(20)
        self.assertEqual(self.daemon.wait(), 0)
        self.assertFalse((self.scratch / "vm1.sock").exists())

    def test_connected_guest_is_removed_and_added_again(self):
        """With a well-behaved frontend, the next guest of the same socket is there at once."""
        for _ in range(20):
            self.assert_echo("vm1")
            self.daemon.rpc("guest.remove", {"guest": "vm1"})
            self.daemon.rpc("guest.add", {"guest": self.guest("vm1")})


if __name__ == "__main__":
    unittest.main()
