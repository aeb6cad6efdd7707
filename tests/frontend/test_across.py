# SPDX-License-Identifier: BSD-3-Clause
"""Guest to guest across two hosts, as docs/recipes.md says: two daemons, mutual TLS, a bad network."""
import json
import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

from package.recipes import Recipe
from rig import RING_BYTES
from socket_rig import SocketTest
from vm.control import Connection
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir
from wan import ADDRESSES, Wan

PEER_TIMEOUT_S = 4
HOSTS = ("left", "right")
GUESTS = ("vm1", "vm2")
DELAY_MS, LOSS = 20, 0.01


class Right(SocketTest):
    """The other daemon and its guest, with the same tools."""


class Across(SocketTest):
    """vm1 on the host left, which listens, and vm2 on the host right, which connects."""

    @classmethod
    def setUpClass(cls):
        seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"{cls.__name__}: OKL4FS_SEED={seed}", flush=True)
        cls.wan = Wan(seed, DELAY_MS, LOSS)
        cls.scratch, cls.folder = scratch_dir(), scratch_dir()
        cls.recipe = Recipe("Two hosts")
        cls.certify(0)
        cls.install(0, 0)
        cls.install(0, 1)
        cls.daemon, cls.second = cls.host(0, cls.scratch), cls.host(1, scratch_dir())

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

    # The recipe, with our folders and addresses in place of the hosts'

    @classmethod
    def here(cls, text: str, host: int) -> str:
        """A text that is for the host left, for one of the two."""
        return (text.replace("left", HOSTS[host])
                .replace("/etc/okl4fs/tls", str(cls.folder / HOSTS[host])).replace(" -g okl4fs", ""))

    @classmethod
    def type(cls, text: str) -> None:
        """Type a block in the folder that has all certificates."""
        done = subprocess.run(["sh", "-euc", text], cwd=cls.folder, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    @classmethod
    def certify(cls, step: int) -> None:
        """Make certificates: the first ones, the second CA, those that it signs."""
        cls.type(cls.recipe.hosts["# ca"][step])

    @classmethod
    def install(cls, step: int, host: int) -> None:
        """Bring a host what the step made; the last step leaves only the second CA."""
        cls.type(cls.here(cls.recipe.hosts["# left, as root"][step], host))

    @classmethod
    def host(cls, host: int, scratch: Path) -> Daemon:
        """A daemon on one of the hosts."""
        text, = cls.recipe.hosts[f"// {HOSTS[host]}: {GUESTS[host]}"]
        text = text.replace("left.example:7000", f"{ADDRESSES[0]}:7000")
        channel = json.loads(text.replace("/etc/okl4fs/tls", str(cls.folder / HOSTS[host])))
        assert channel["endpoint"]["peer_timeout_s"] == 60
        channel["endpoint"]["peer_timeout_s"] = PEER_TIMEOUT_S
        channel["ring_bytes"] = RING_BYTES
        return Daemon({"guests": [guest_config(GUESTS[host], scratch / f"{GUESTS[host]}.sock",
                                               {channel.pop("name"): channel})]},
                      scratch=scratch, prefix=cls.wan.inside(host), args=cls.DAEMON_ARGS)

    # The stream

    def join(self) -> None:
        """Both guests open, and the daemons connect."""
        self.left.open()
        self.right.open()
        self.until(lambda: self.endpoint("far")["connected"]
                   and self.far.endpoint("far", "vm2")["connected"], "the two to be connected")

    def part(self) -> None:
        """Both guests close, and the connection is over."""
        for channel in (self.left, self.right):
            channel.close_writer()
        for channel in (self.left, self.right):
            self.assertEqual(self.read_to_end(channel), b"")
            channel.close_reader()
        self.until(lambda: not self.endpoint("far")["connected"]
                   and not self.far.endpoint("far", "vm2")["connected"], "the connection to be over")

    def talk(self, text: bytes) -> None:
        """Some bytes each way."""
        self.right.write(text)
        self.assertEqual(self.left.read(len(text)), text)
        self.left.write(text)
        self.assertEqual(self.right.read(len(text)), text)

    # A network that is bad, or is not there

    def test_bulk(self):
        """Many bytes both ways over a link that loses some packets."""
        self.join()
        self.both_at_once(self.left, self.right, 1 << 20)
        self.assertGreater(self.wan.cut(False)["lost"], 0)

    def test_link_down_and_up(self):
        """A device that is off for a moment in mid-stream costs nothing."""
        self.join()
        self.talk(b"first")
        self.wan.plug(1, False)
        sent = self.fill(self.right)
        self.wan.plug(1, True)
        self.assertEqual(self.left.read(len(sent)), sent)
        self.talk(b"last")

    def test_link_that_stays_broken(self):
        """Both sides learn of it, whether they have something to send or not; it comes back by itself."""
        torn = self.endpoint("far")["connections_torn"]
        watch = Connection(self.second.control_path)
        self.addCleanup(watch.close)
        watch.call("events.subscribe", {"guest": "vm2",
                                        "kinds": ["channel.lost", "endpoint.disconnected"]})
        self.join()
        self.talk(b"first")
        self.wan.cut(True)
        self.addCleanup(self.wan.cut, False)
        sent = self.fill(self.right)
        why = f"the peer's machine has not answered for {PEER_TIMEOUT_S} s"
        self.far.await_error("far", f"torn: {why}", "vm2")
        error = self.await_error("far", "torn: ")  # its last bytes may not have been confirmed
        self.assertRegex(error, f"torn: (Connection timed out|{why}); what came may not be all$")
        self.assertEqual(self.endpoint("far")["connections_torn"], torn + 1)
        # All that has left the ring was in the daemon or in the kernel, and the daemon counts its part.
        waiting = self.right.tx.cursor.value - self.right.tx.peer_cursor.value
        lost, left = watch.event(), watch.event()
        self.assertEqual((lost["kind"], lost["reason"]), ("channel.lost", why))
        self.assertLess(0, lost["bytes"])
        self.assertLessEqual(lost["bytes"], len(sent) - waiting)
        self.assertEqual((left["torn"], left["reason"]), (True, "the connection is torn"))
        # The guests see the end, and open again; what was still in the ring begins the next connection.
        self.wan.cut(False)
        self.part()
        self.join()
        self.assertEqual(self.left.read(waiting), sent[len(sent) - waiting:])
        self.talk(b"again")

    def test_guest_that_reads_nothing(self):
        """It is waited for, however long, since its machine answers."""
        watch = Connection(self.second.control_path, 1.5 * PEER_TIMEOUT_S)
        self.addCleanup(watch.close)
        self.join()
        sent = b""
        with suppress(TimeoutError):  # until all buffers are full, and the peer's window is closed
            while True:
                sent += self.fill(self.right)
                self.right.sleep_read(timeout=5 * DELAY_MS / 1000, room=True)
        watch.call("events.subscribe", {"guest": "vm2", "kinds": ["endpoint.disconnected"]})
        with self.assertRaises(TimeoutError):
            self.fail(f"the connection has ended: {watch.event()}")
        self.assertEqual(self.left.read(len(sent)), sent)
        self.talk(b"last")

    # Certificates

    def test_renewal(self):
        """The stream goes on while each file is replaced, and each new connection takes what is new."""
        self.addCleanup(self.restore)
        clients = self.endpoint("far")["clients"]
        self.join()
        for made, installed in ((1, 1), (2, 2), (None, 3)):
            if made:
                self.certify(made)
            for host in (0, 1):
                self.install(installed, host)
                self.talk(b"the same stream")
            for daemon in (self.daemon, self.second):
                daemon.rpc("config.reload")
            self.talk(b"after a reload")
        self.assertEqual(self.endpoint("far")["clients"], clients + 1)
        self.part()
        self.join()
        self.talk(b"with the second CA")

    def test_renewal_half_way(self):
        """One host has the second CA's certificate, the other one the first's, and both know both."""
        self.addCleanup(self.restore)
        self.certify(1)
        self.install(1, 0)
        self.install(1, 1)
        self.certify(2)
        self.install(2, 0)
        self.join()
        self.talk(b"both are trusted")
        self.part()
        # The first CA is gone too early: neither the one nor the other takes the connection.
        self.install(3, 0)
        self.left.open()
        self.right.open()
        self.await_error("far", "the peer's certificate is not signed by a CA in "
                                f"{self.folder}/left/ca.pem")
        self.far.await_error("far", "the peer does not know the CA of our certificate", "vm2")
        self.install(2, 1)
        self.until(lambda: self.endpoint("far")["connected"], "right to try again")
        self.talk(b"renewed")

    def test_refused(self):
        """A certificate for another name, and one that has expired."""
        self.addCleanup(self.restore)
        sign = self.recipe.hosts["# ca"][0].split("for host", 1)
        sign = sign[0].split("openssl", 1)[0] + "for host" + sign[1]
        self.type(sign.replace("DNS:$host.example", "DNS:other.example"))
        self.install(0, 1)
        self.left.open()
        self.right.open()
        self.await_error("far", "the peer's certificate is not for right.example but for other.example")
        self.far.await_error("far", "the peer does not accept our certificate", "vm2")
        self.type(sign.replace("-days 365", "-days 0"))
        self.install(0, 1)
        self.far.await_error("far", f"certificate {self.folder}/right/right.pem: it has expired", "vm2")
        self.type(sign)
        self.install(0, 1)
        self.until(lambda: self.endpoint("far")["connected"], "right to try again")
        self.talk(b"renewed")

    def restore(self) -> None:
        """The first CA and its certificates anew."""
        self.certify(0)
        self.install(0, 0)
        self.install(0, 1)
