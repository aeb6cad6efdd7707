# SPDX-License-Identifier: BSD-3-Clause
"""Guest to guest across two hosts, as docs/recipes.md says: two daemons, mutual TLS, a bad network."""
import hashlib
import os
import random
import re
import threading

from certificates import Certificates
from rig import RING_BYTES, FrontendTest
from socket_rig import LIMIT_S, SocketTest
from vm.control import Connection
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir
from wan import ADDRESSES, Wan

PEER_TIMEOUT_S = 4
PORT = 7000


class Right(SocketTest):
    """The other daemon and its guest, with the same tools."""


class AcrossTest(SocketTest):
    """vm1 on the left, which listens, and vm2 on the right, which connects."""

    DELAY_MS, LOSS = 20.0, 0.01

    @classmethod
    def setUpClass(cls):
        seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"{cls.__name__}: OKL4FS_SEED={seed}", flush=True)
        cls.wan = Wan(seed, cls.DELAY_MS, cls.LOSS)
        cls.scratch = scratch_dir()
        cls.certs = Certificates(cls.scratch / "tls")
        cls.daemon = cls.host(0, "vm1", cls.scratch, {"type": "tcp-listen",
                                                      "address": f"0.0.0.0:{PORT}"})
        cls.second = cls.host(1, "vm2", scratch_dir(), {"type": "tcp-connect",
                                                        "address": f"{ADDRESSES[0]}:{PORT}"})

    @classmethod
    def host(cls, host: int, guest: str, scratch, endpoint: dict) -> Daemon:
        """A daemon on one of the hosts."""
        tls = cls.certs.tls(("left", "right")[host], name=("right", "left")[host] + ".example")
        return Daemon({"guests": [guest_config(guest, scratch / f"{guest}.sock", {"far": {
            "ring_bytes": RING_BYTES, "endpoint": {**endpoint, "peer_timeout_s": PEER_TIMEOUT_S,
                                                   "tls": tls}}})]},
                      scratch=scratch, prefix=cls.wan.inside(host), args=cls.DAEMON_ARGS)

    @classmethod
    def tearDownClass(cls):
        status = cls.second.stop()
        super().tearDownClass()
        cls.wan.close()
        assert status == 0

    def setUp(self):
        super().setUp()
        self.far = Right()
        self.far.scratch, self.far.daemon = self.second.scratch, self.second
        self.far.setUp()
        self.addCleanup(self.far.doCleanups)
        self.left, self.right = self.guest("far"), self.far.guest("far", "vm2")

    def join(self) -> None:
        """Both guests open, and the daemons connect."""
        self.left.open()
        self.right.open()
        self.until(lambda: self.endpoint("far")["connected"]
                   and self.far.endpoint("far", "vm2")["connected"], "the two to be connected")

    def test_bulk(self):
        """Many bytes both ways over a link that loses some packets."""
        self.join()
        there, back = os.urandom(1 << 20), os.urandom(1 << 20)
        found = []
        thread = threading.Thread(target=lambda: found.append(self.both_ways(self.right, back)))
        thread.start()
        self.assertEqual(self.both_ways(self.left, there), hashlib.sha256(back).hexdigest())
        thread.join(LIMIT_S)
        self.assertEqual(found, [hashlib.sha256(there).hexdigest()])
        self.assertGreater(self.wan.cut(False)["lost"], 0)

    def test_link_down_and_up(self):
        """A device that is off for a moment in mid-stream costs nothing."""
        self.join()
        self.right.write(b"first")
        self.assertEqual(self.left.read(5), b"first")
        self.wan.plug(1, False)
        sent = self.fill(self.right)
        self.wan.plug(1, True)
        self.assertEqual(self.left.read(len(sent)), sent)

    def test_link_that_stays_broken(self):
        """Both sides learn of it, whether they have something to send or not; it comes back by itself."""
        self.join()
        self.right.write(b"first")
        self.assertEqual(self.left.read(5), b"first")
        self.wan.cut(True)
        self.addCleanup(self.wan.cut, False)
        watch = Connection(self.second.control_path)
        self.addCleanup(watch.close)
        watch.call("events.subscribe", {"guest": "vm2"})
        sent = self.fill(self.right)
        self.far.await_error("far", f"torn: the peer's machine has not answered for {PEER_TIMEOUT_S} s",
                             "vm2")
        self.await_error("far", "torn: Connection timed out")
        print(watch.event()); print(watch.event()); print(self.far.channel_state("vm2","far")); print(self.channel_state("vm1","far"))
        print(self.second.log()[-1500:])
        self.wan.cut(False)
        waiting = self.right.tx.cursor.value - self.right.tx.peer_cursor.value
        print(waiting, len(sent))
        self.assertEqual(self.read_to_end(self.left), b"")
        for channel in (self.left, self.right):
            channel.close_reader()
            channel.close_writer()
        self.join()
        self.right.write(b"again")
        got = self.left.read(waiting + 5)
        print(got == sent[-waiting:] + b"again")
        self.left.write(b"and back")
        self.assertEqual(self.right.read(8), b"and back")
