# SPDX-License-Identifier: BSD-3-Clause
"""Two daemons connected by a unix socket: guest, daemon, socket, daemon, guest."""
import os
import threading

from rig import RING_BYTES, FrontendTest
from socket_rig import LIMIT_S, SocketTest
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir


class Joined(SocketTest):
    """One listens, the other connects when its guest opens the channel."""

    @classmethod
    def channels(cls):
        cls.path = str(cls.scratch / "joint.sock")
        return {"vm1": {"c": {"ring_bytes": RING_BYTES,
                              "endpoint": {"type": "unix-listen", "path": cls.path}}}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        scratch = scratch_dir()
        cls.second = Daemon({"guests": [guest_config("vm2", scratch / "vm2.sock", {
            "c": {"ring_bytes": RING_BYTES, "endpoint": {"type": "unix-connect",
                                                         "path": cls.path}}})]}, scratch=scratch)

    @classmethod
    def tearDownClass(cls):
        status = cls.second.stop()
        super().tearDownClass()
        assert status == 0

    class Second(FrontendTest):
        """The other daemon's guest, with the same tools."""

    def setUp(self):
        super().setUp()
        self.other = self.Second()
        self.other.scratch, self.other.daemon = self.second.scratch, self.second
        self.other.setUp()
        self.addCleanup(self.other.doCleanups)
        self.left = self.guest("c")
        self.right = SocketTest.guest(self.other, "c", "vm2")

    def join(self) -> None:
        """Both guests open, and the daemons connect."""
        self.left.open()
        self.right.open()
        self.until(lambda: self.endpoint("c")["connected"], "the two to be connected")

    def test_both_ways(self):
        self.join()
        self.both_at_once(self.left, self.right, 16 << 20)
        self.until(lambda: not self.endpoint("c")["connected"], "the connection to be over")

    def test_half_closes(self):
        for first, second in ((self.left, self.right), (self.right, self.left)):
            taken = first.rx.peer_phase.value, second.rx.peer_phase.value
            self.join()
            first.write(b"question")
            first.close_writer()
            self.assertEqual(self.read_to_end(second, taken[1]), b"question")
            second.write(b"answer")
            second.close_writer()
            self.assertEqual(self.read_to_end(first, taken[0]), b"answer")
            first.close_reader()
            second.close_reader()
            self.until(lambda: not self.endpoint("c")["connected"], "the connection to be over")

    def test_one_opening_after_the_other(self):
        """echo into one end, cat out of the other, again and again."""
        for writer, reader in (((self.right, self.left),) * 4 + ((self.left, self.right),) * 4):
            taken = reader.rx.peer_phase.value
            self.open_reader(reader)
            data = os.urandom(3 * RING_BYTES)
            thread = threading.Thread(target=self.write_stream, args=(writer, data))
            thread.start()
            self.assertEqual(self.read_to_end(reader, taken), data)
            thread.join(LIMIT_S)
            reader.close_reader()

    def test_slow_reader(self):
        """Both rings and the socket fill up, and then the writer waits."""
        self.join()
        sent = self.fill(self.right)
        self.assertLess(len(sent), 4 << 20)
        self.assertEqual(self.left.read(len(sent)), sent)

    def test_restart_of_the_one_that_connects(self):
        """What was written and not taken comes exactly once, with the next opening."""
        self.join()
        self.right.write(b"before")
        self.assertEqual(self.left.read(6), b"before")
        self.second.kill()
        self.right.driver.frontend.close()
        self.assertEqual(self.read_to_end(self.left), b"")
        self.second.start()
        self.right = SocketTest.guest(self.other, "c", "vm2")
        self.left.close_reader()
        self.left.close_writer()
        self.join()
        self.right.write(b"after")
        self.assertEqual(self.left.read(5), b"after")
