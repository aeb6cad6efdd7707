# SPDX-License-Identifier: BSD-3-Clause
"""What a guest has written is delivered when the guest has gone, or there is no clean end."""
import contextlib
import os
import signal
import socket

from certificates import Certificates
from guest_end import Channel, Driver
from socket_rig import (LIMIT_S, SocketTest, TlsSocket, free_port, unix_client,
                        unix_server)
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir

RING_BYTES = 1 << 20
TYPES = ("unix-listen", "unix-connect", "tcp-listen", "tcp-connect", "tls-listen", "tls-connect")


class TailTest(SocketTest):
    """A guest with a channel to each kind of socket, and tools to end it."""

    GUEST_OPTIONS: dict = {}
    TYPES = TYPES

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.certs = Certificates(cls.scratch / "tls")
        cls.ports = {name: free_port() for name in TYPES if not name.startswith("unix")}
        cls.start_daemon()

    @classmethod
    def config(cls) -> dict:
        """The daemon's configuration."""
        return {"guests": [guest_config("vm1", cls.scratch / "vm1.sock", {
            name: {"ring_bytes": RING_BYTES, "endpoint": cls.endpoint_config(name)}
            for name in cls.TYPES}, **cls.GUEST_OPTIONS)]}

    @classmethod
    def start_daemon(cls):
        """Start the daemon with what config() says."""
        cls.daemon = Daemon(cls.config(), args=cls.DAEMON_ARGS, scratch=cls.scratch)

    @classmethod
    def endpoint_config(cls, name: str) -> dict:
        """An endpoint's configuration."""
        if name.startswith("unix"):
            return {"type": name, "path": str(cls.scratch / f"{name}.sock")}
        config = {"type": name.replace("tls", "tcp"), "address": f"127.0.0.1:{cls.ports[name]}"}
        if name.startswith("tls"):
            config["tls"] = cls.certs.tls("left", name="left.example")
        return config

    def server(self, name: str):
        """Where the daemon connects to; None where it listens."""
        if not name.endswith("-connect"):
            return contextlib.nullcontext()
        if name.startswith("unix"):
            return unix_server(self.scratch / f"{name}.sock")
        return self.listen(self.ports[name])

    def client(self, name: str, server=None):
        """A peer at the host end, connected; it reads nothing."""
        connects, is_unix = name.endswith("-connect"), name.startswith("unix")
        path = self.scratch / f"{name}.sock"
        if connects:
            with contextlib.nullcontext(server) if server else self.server(name) as listener:
                sock, _ = listener.accept()
            sock.settimeout(LIMIT_S)
        else:
            sock = unix_client(path) if is_unix else self.connect_to(self.ports[name])
        self.addCleanup(sock.close)
        if not name.startswith("tls"):
            return sock
        return TlsSocket(sock, self.certs.context(connects, "left"), connects,
                         None if connects else "left.example")

    def connected(self, name: str):
        """The same, when the daemon has taken it."""
        client = self.client(name)
        self.until(lambda: self.endpoint(name)["connected"], "the client to connect")
        return client

    def writer(self, name: str, data: bytes = b"") -> Channel:
        """A guest's channel with a writer that has written something."""
        channel = self.guest(name)
        self.open_writer(channel)
        channel.write(data)
        return channel

    def end_daemon(self) -> str:
        """End the daemon; return what it logs from now on."""
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(), 0)
        return self.daemon.log()[since:]

    def stop(self, channel: Channel) -> None:
        """The machine is switched off."""
        channel.driver.frontend.stop_rings()
        self.kill(channel)

    def kill(self, channel: Channel) -> None:
        """QEMU is killed."""
        channel.driver.frontend.close()
        self.wait_free("vm1")

    def take(self, client, expect: bytes) -> None:
        """The client gets everything, and a clean end."""
        taken = bytearray()
        while piece := client.recv(1 << 16):
            taken += piece
        self.assertEqual(len(taken), len(expect))
        self.assertTrue(taken == expect, "the bytes are others")
        client.close()

    def assert_no_tail(self, *names: str) -> None:
        """Everything was delivered, and no memory is held for it."""
        self.until(lambda: not self.guest_state("vm1")["tail_bytes"], "the tail to be freed")
        for name in names or self.TYPES:
            self.assertEqual(self.channel_state("vm1", name)["tail_bytes"], 0)


class Kept(TailTest):
    """There is room for everything."""

    def tearDown(self):
        self.assert_no_tail()
        for name in TYPES:
            self.assertEqual(self.channel_state("vm1", name)["lost_bytes"], 0)

    def test_slow_client(self):
        """It is connected and has not read a byte when the machine goes."""
        for name in TYPES:
            for end in (self.stop, self.kill):
                with self.subTest(name=name, end=end.__name__):
                    channel = self.writer(name)
                    client = self.connected(name)
                    moved = self.channel_state("vm1", name)["fwd"]["bytes"]
                    data = self.fill(channel)
                    end(channel)
                    state = self.channel_state("vm1", name)
                    self.assertGreater(state["tail_bytes"], RING_BYTES // 4)
                    self.assertEqual(state["tail_bytes"] + state["fwd"]["bytes"],
                                     moved + len(data))
                    self.take(client, data)
                    self.until(lambda: not self.endpoint(name)["connected"], "the client to be gone")

    def test_late_client(self):
        """It connects when the guest is gone; another one after it finds nothing."""
        for name in TYPES:
            for closed in (False, True):
                with self.subTest(name=name, closed=closed):
                    data = os.urandom(900000)
                    channel = self.writer(name, data)
                    if closed:
                        channel.close_writer()
                    self.stop(channel)
                    self.assertEqual(self.channel_state("vm1", name)["tail_bytes"], len(data))
                    self.assertEqual(self.guest_state("vm1")["tail_bytes"], len(data))
                    self.take(self.client(name), data)
                    self.assert_no_tail(name)

    def test_reboots(self):
        """Each boot's stream has its own end; the last boot's goes on."""
        for name in TYPES:
            with self.subTest(name=name):
                driver, written = self.driver(), []
                for boot in range(3):
                    channel = self.guest(name, driver=driver)
                    written.append(os.urandom(100000 * (boot + 1)))
                    self.open_writer(channel)
                    channel.write(written[-1])
                    driver.frontend.reset_rings()
                    channel.memory.write(channel.gpas[1][0], bytes(channel.chunk[1]))
                    driver = Driver(driver.frontend)
                    driver.hello(instance=0x5000 + boot)
                channel = self.guest(name, driver=driver).open()
                channel.write(b"present")
                self.assertEqual(self.channel_state("vm1", name)["tail_bytes"], 600000)
                # One server: a tail that fits into a socket may be in its queue by the time that
                # the client before has been taken
                with self.server(name) as server:
                    for data in written:
                        self.take(self.client(name, server), data)
                    client = self.client(name, server)
                self.assertEqual(client.recv(7), b"present")
                (client.send if name.startswith("tls") else client.sendall)(b"answer")
                self.assertEqual(channel.read(6), b"answer")
                client.close()
                channel.close_writer()
                channel.close_reader()
                self.until(lambda: not self.endpoint(name)["connected"], "the client to be gone")
                self.kill(channel)

    def test_metrics(self):
        self.kill(self.writer("tcp-listen", b"z" * 5000))
        text = self.daemon.rpc("metrics.get")["text"]
        labels = 'guest="vm1",channel="tcp-listen"'
        self.assertIn(f"okl4fs_channel_tail_bytes{{{labels}}} 5000\n", text)
        self.assertIn(f"okl4fs_channel_lost_bytes_total{{{labels}}} 0\n", text)
        self.take(self.client("tcp-listen"), b"z" * 5000)


class Removed(TailTest):
    """What remains of a channel that is removed, by itself or with its guest."""

    TYPES = ("unix-listen", "tcp-listen", "tls-listen", "unix-connect")

    def tearDown(self):
        self.doCleanups()
        self.start_anew()

    def start_anew(self) -> None:
        """A daemon with the first configuration."""
        if self.daemon.running():
            self.end_daemon()
        self.daemon.config.update(self.config())
        self.daemon.write_config()
        self.daemon.start()

    def slow(self, name: str) -> tuple[Channel, object, bytes]:
        """A guest that has written more than its client has taken."""
        channel = self.writer(name)
        client = self.connected(name)
        return channel, client, self.fill(channel)

    def remove_channel(self, name: str) -> None:
        """By hand."""
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": name})

    def remove_guest(self, _name: str) -> None:
        """By hand."""
        self.daemon.rpc("guest.remove", {"guest": "vm1"})

    def reload(self, name: str) -> None:
        """Reload with another ring size."""
        for channel in self.daemon.config["guests"][0]["channels"]:
            if channel["name"] == name:
                channel["ring_bytes"] = RING_BYTES // 2
        self.daemon.write_config()
        self.daemon.rpc("config.reload")

    def test_client_that_is_there(self):
        for how in (self.remove_channel, self.reload, self.remove_guest):
            for name in self.TYPES:
                with self.subTest(name=name, how=how.__name__):
                    _, client, data = self.slow(name)
                    how(name)
                    self.take(client, data)
                    self.start_anew()
                    self.doCleanups()

    def test_the_name_is_free_at_once(self):
        """While one client takes the rest, another one connects to the new channel."""
        channel, client, data = self.slow("unix-listen")
        self.reload("unix-listen")
        channel = Channel(channel.driver, "unix-listen", instance=99).attach()
        self.open_writer(channel)
        channel.write(b"next")
        with self.client("unix-listen") as other:
            self.assertEqual(other.recv(4), b"next")
        self.take(client, data)

    def test_client_of_a_removed_channel_leaves(self):
        """What it has not taken is lost, and the log says so."""
        channel, client, data = self.slow("unix-listen")
        moved = self.channel_state("vm1", "unix-listen")["fwd"]["bytes"]
        self.remove_channel("unix-listen")
        client.close()
        self.assert_logged("channel unix-listen: ", f"{len(data) - moved} bytes", "are lost")
        self.kill(channel)

    def test_nobody_there(self):
        """The bytes stay in the guest's memory and are there when the channel is offered again."""
        channel = self.writer("unix-listen", b"waits")
        config = self.daemon.config["guests"][0]["channels"][0]
        self.remove_channel("unix-listen")
        self.assert_logged("channel unix-listen: 5 bytes that nobody has taken stay")
        self.daemon.rpc("channel.add", {"guest": "vm1", "channel": config})
        info = channel.driver.channels()["unix-listen"]
        channel.id, channel.generation = info["id"], info["generation"]
        channel.attach()
        with self.client("unix-listen") as client:
            self.assertEqual(client.recv(5), b"waits")

    def test_tail_of_a_removed_channel(self):
        """The guest has gone, no client came, and the channel goes: the log reports the loss."""
        for how in (self.remove_channel, self.remove_guest):
            self.kill(self.writer("unix-listen", b"x" * 77777))
            self.log_start = len(self.daemon.log())
            how("unix-listen")
            self.assert_logged("channel unix-listen: 77777 bytes that the guest wrote are lost")
            self.start_anew()
            self.doCleanups()

    def test_the_daemon_ends(self):
        for name in ("tcp-listen", "tls-listen"):
            with self.subTest(name=name):
                channel, client, data = self.slow(name)
                self.kill(channel)
                self.assertRegex(self.end_daemon(), r"[0-9]{6,} bytes that the guest wrote are lost")
                with self.assertRaises(OSError):  # an ssl.SSLError is one
                    self.take(client, data)
                client.close()
                self.start_anew()

    def test_the_daemon_ends_before_the_guest(self):
        """What is in the guest's memory is for the next daemon: it is neither a tail nor lost."""
        channel = self.writer("unix-listen", b"x" * 1000)
        self.assertNotIn("are lost", self.end_daemon())
        channel.driver.frontend.close()
        self.start_anew()


class Lost(TailTest):
    """There is no room for a tail, or not enough."""

    GUEST_OPTIONS = {"tail_bytes": 0}

    def test_slow_client(self):
        for name in TYPES:
            with self.subTest(name=name):
                lost = self.channel_state("vm1", name)["lost_bytes"]
                channel = self.writer(name)
                client = self.connected(name)
                moved = self.channel_state("vm1", name)["fwd"]["bytes"]
                data = self.fill(channel)
                self.stop(channel)
                state = self.channel_state("vm1", name)
                lost, moved = state["lost_bytes"] - lost, state["fwd"]["bytes"] - moved
                self.assertGreater(lost, RING_BYTES // 4)
                self.assertEqual(lost + moved, len(data))
                self.assert_logged(f"channel {name}: {lost} bytes that the guest wrote are lost")
                if name.startswith("unix"):
                    self.read_torn_unix(client, moved)
                else:
                    with self.assertRaises(OSError):  # an ssl.SSLError is one
                        self.take(client, data)
                client.close()
        text = self.daemon.rpc("metrics.get")["text"]
        self.assertRegex(text, r'okl4fs_channel_lost_bytes_total\{[^}]*"tls-listen"\} [1-9]')

    def read_torn_unix(self, client: socket.socket, size: int) -> None:
        """Read what was sent: there is no end, but an error once the client writes."""
        while size:
            piece = client.recv(min(size, 1 << 16))
            self.assertTrue(piece)
            size -= len(piece)
        client.setblocking(False)
        with self.assertRaises(BlockingIOError):
            client.recv(1)
        client.settimeout(LIMIT_S)
        client.send(b"?")
        with self.assertRaises(ConnectionResetError):
            client.recv(1)


class Part(TailTest):
    """There is room for part of it."""

    GUEST_OPTIONS = {"tail_bytes": 300000}

    def test_late_client(self):
        """It gets what was kept, but no clean end."""
        for name in ("tcp-listen", "tls-listen", "tcp-connect", "tls-connect"):
            with self.subTest(name=name):
                lost = self.channel_state("vm1", name)["lost_bytes"]
                data = os.urandom(400000)
                self.kill(self.writer(name, data))
                state = self.channel_state("vm1", name)
                self.assertEqual((state["tail_bytes"], state["lost_bytes"] - lost),
                                 (300000, 100000))
                taken = b""
                with self.assertRaises(OSError):
                    client = self.client(name)  # which may take so long that it is reset meanwhile
                    while piece := client.recv(1 << 16):
                        taken += piece
                self.assertTrue(data.startswith(taken))
                self.doCleanups()
                self.assert_no_tail(name)

    def test_budget_is_the_guest_s(self):
        """One channel's tail leaves less room for the others, until it is delivered."""
        driver = self.driver()
        first = self.guest("unix-listen", driver=driver)
        second = self.guest("tcp-listen", driver=driver)
        for channel in (first, second):
            self.open_writer(channel)
            channel.write(b"x" * 200000)

        def lost() -> int:
            return sum(self.channel_state("vm1", name)["lost_bytes"]
                       for name in ("unix-listen", "tcp-listen"))
        before = lost()
        self.kill(first)
        self.assertEqual(lost() - before, 100000)
        self.assertEqual(self.guest_state("vm1")["tail_bytes"], 300000)
        self.take(self.client("unix-listen"), b"x" * 200000)
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "tcp-listen"})
        self.assert_no_tail()
