# SPDX-License-Identifier: BSD-3-Clause
"""A frontend that does not read its answers: others are served, and its guest can go."""
import os
import select
import contextlib
import signal
import struct
import unittest

import vhost_user as vu
from guest_end import Channel, Driver
from memory import Memory
from vhost_user import Frontend
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir
from vm.ptrace import VHOST_THREAD, StoppedThread

ECHO = {"echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}}


class StuckFrontend(unittest.TestCase):
    """vm1's frontend asks and never reads."""

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

    def stuck(self) -> Frontend:
        """A frontend that does not read, with a full socket."""
        frontend = self.frontend()
        frontend.handshake()
        frontend.sock.setblocking(False)
        poller = select.poll()
        poller.register(frontend.sock, select.POLLOUT)
        question = struct.pack("<III", vu.GET_FEATURES, vu.VERSION, 0)
        while poller.poll(300):
            frontend.sock.send(question)
        return frontend

    def assert_echo(self, name: str) -> None:
        """A new frontend can set up, and bytes move."""
        driver = Driver(self.frontend(name).setup())
        driver.hello()
        Channel(driver, "echo").attach().open().echo(os.urandom(100000))

    def test_others_set_up(self):
        """The daemon drops the stuck frontend by itself."""
        self.stuck()
        self.assert_echo("vm2")
        deadline = Deadline(20)
        while self.daemon.rpc("guest.list")["guests"][0]["connected"]:
            deadline.check("the frontend to be dropped")
        self.assertIn("guest vm1: the frontend does not read its answers", self.daemon.log())
        self.assert_echo("vm1")

    def test_removal(self):
        """Removing the guest ends the connection; main does not wait for the vhost thread."""
        stuck = self.stuck()
        with StoppedThread(self.daemon.pid, *VHOST_THREAD):
            self.daemon.rpc("guest.remove", {"guest": "vm1"})
            self.assertFalse((self.scratch / "vm1.sock").exists())
            self.assertEqual(len(self.daemon.rpc("guest.list")["guests"]), 1)
            self.daemon.rpc("guest.add", {"guest": self.guest("vm1")})
        stuck.sock.settimeout(20)
        with contextlib.suppress(ConnectionResetError):  # the connection ends with unread messages
            while stuck.sock.recv(1 << 16):
                pass
        self.assert_echo("vm1")
        self.assert_echo("vm2")

    def test_end(self):
        """SIGTERM ends the daemon although the vhost thread never goes on."""
        self.stuck()
        with StoppedThread(self.daemon.pid, *VHOST_THREAD) as thread:
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
