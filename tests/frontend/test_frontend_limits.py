# SPDX-License-Identifier: BSD-3-Clause
"""What a frontend may cost: messages, connections and descriptors have limits, and a line each."""
import os
import resource
import select
import socket
import struct
import time
import unittest
from contextlib import ExitStack, suppress
from pathlib import Path

import vhost_user as vu
from rig import FrontendTest
from vhost_user import Frontend
from vm.process import Deadline

AT_ONCE, PER_S = 2000, 1000  # messages, as in daemon/vhost/front.c
TOO_FAST = "served no faster than 1000 messages per second"


class FrontendLimits(FrontendTest):
    """Each test has a guest of its own; meanwhile another guest's stream goes on."""

    GUESTS = ("bystander", "messages", "in-turn", "at-once", "pieces", "no-room", "no-library")
    DAEMON_ARGS = ()  # at level debug no line is left out

    def setUp(self):
        super().setUp()
        self.bystander_channel = self.echo_channel("bystander")

    def shaken(self, guest: str) -> Frontend:
        """A frontend after the handshake."""
        frontend = self.connect(guest)
        frontend.handshake()
        return frontend

    def lines(self, words: str) -> int:
        """How many lines with these words there are since the test began."""
        return self.daemon.log()[self.log_start:].count(words)

    def library_ticks(self) -> int:
        """CPU time that DPDK's thread has used."""
        for task in Path(f"/proc/{self.daemon.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text(encoding="utf-8").rpartition(") ")
            if "vhost" in name and "ev" in name:
                return sum(int(field) for field in rest.split()[11:13])
        raise AssertionError("DPDK has no thread")

    def test_messages(self):
        """A frontend that floods is read at the rate, and not dropped."""
        frontend = self.shaken("messages")
        frontend.sock.settimeout(20)
        began = time.monotonic()
        for _ in range(AT_ONCE + PER_S):
            frontend.send(vu.SET_OWNER)
        self.assert_undisturbed(self.bystander_channel)
        self.assertEqual(frontend.ask_u64(vu.GET_FEATURES), frontend.features)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertEqual(self.lines(TOO_FAST), 1)

    def test_connections_one_after_the_other(self):
        deadline = Deadline(20)
        while not self.lines(TOO_FAST):
            deadline.check("the line about connections")
            # one that comes before the last one has left is turned away
            with socket.socket(socket.AF_UNIX) as sock, suppress(ConnectionError):
                sock.connect(str(self.scratch / "in-turn.sock"))
                sock.send(struct.pack("<III", vu.GET_FEATURES, vu.VERSION, 0))
                sock.settimeout(20)
                sock.recv(1)
        self.assert_undisturbed(self.bystander_channel)
        self.echo_channel("in-turn").echo(os.urandom(1000))
        self.assertEqual(self.lines(TOO_FAST), 1)

    def test_connections_at_once(self):
        """One is kept; the others cost the daemon no descriptor."""
        number = 2000
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number + 200, hard), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        before = self.n_fds()
        with ExitStack() as stack:
            for _ in range(number):
                sock = stack.enter_context(socket.socket(socket.AF_UNIX))
                sock.settimeout(20)
                sock.connect(str(self.scratch / "at-once.sock"))
            self.assert_undisturbed(self.bystander_channel)
            self.assert_logged("guest at-once", "a second frontend is turned away")
            deadline = Deadline(20)
            while self.n_fds() >= before + 60:
                deadline.check("the descriptors of those that were turned away to be closed")
        self.assertLess(self.lines("second frontend"), 100)
        self.wait_free("at-once")
        self.assert_undisturbed(self.bystander_channel)

    def test_descriptors_of_a_message_that_does_not_end(self):
        """They stay in the socket; and more than any message may have end the connection."""
        frontend, before = self.shaken("pieces"), self.n_fds()
        with os.fdopen(os.memfd_create("x"), "r") as file:
            frontend.send(vu.SET_MEM_TABLE, b"", [file.fileno()] * 8, size=1000)
            socket.send_fds(frontend.sock, [b"x"], [file.fileno()] * 200)
            self.assert_undisturbed(self.bystander_channel)
            self.assertLess(self.n_fds(), before + 100)  # other tests' sockets come and go
            frontend.sock.send(bytes(999))
        self.assertTrue(frontend.dropped())
        self.assert_logged("guest pieces", "SET_MEM_TABLE", "more descriptors come with it")

    def test_no_descriptors_for_a_message(self):
        """The kernel drops what does not fit; the message is not taken for one without them."""
        frontend = self.shaken("no-room")
        self.leave_descriptors(0)
        frontend.send(vu.SET_VRING_CALL, struct.pack("<Q", 0), [frontend.memory.regions[0].fd])
        self.assertTrue(frontend.dropped())
        self.assert_logged("guest no-room", "SET_VRING_CALL", "no descriptors left")
        self.assert_undisturbed(self.bystander_channel)

    def test_no_descriptors_for_the_library(self):
        """DPDK would try to accept, again and again, without a rest."""
        before, limit = self.library_ticks(), resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        for left in (6, 5, 4, 3):
            self.leave_descriptors(left)
            with Frontend(self.scratch / "no-library.sock") as frontend:
                poller = select.poll()
                poller.register(frontend.sock, select.POLLIN)
                poller.poll(500)
            resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, limit)
            self.wait_free("no-library")
        self.assertLess(self.library_ticks() - before, os.sysconf("SC_CLK_TCK") // 10)
        self.assert_logged("guest no-library", "DPDK takes no connection", "Too many open files")
        self.assert_undisturbed(self.bystander_channel)


if __name__ == "__main__":
    unittest.main()
