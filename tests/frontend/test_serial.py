# SPDX-License-Identifier: BSD-3-Clause
"""Guests without the driver, `"way": "serial"`: this test is QEMU's end of the ports' sockets."""
import hashlib
import os
import signal
import socket
import threading
import unittest
from pathlib import Path

from guest_end import Channel
from memory import Memory
from rig import RING_BYTES, FrontendTest, assert_idle
from socket_rig import LIMIT_S, unix_client, unix_server
from vm.daemon import Daemon, DaemonError, guest_config
from vm.process import Deadline, scratch_dir

MIB = 1 << 20


def take(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer before an end."""
    data = bytearray()
    while len(data) < size and (piece := sock.recv(min(MIB, size - len(data)))):
        data += piece
    return bytes(data)


def take_all(sock: socket.socket) -> bytes:
    """Everything until the end."""
    return take(sock, 1 << 40)


class SerialRig(FrontendTest):
    """A daemon with a guest `win` without the driver; PORTS listen, or connect."""

    MODE = "listen"

    @classmethod
    def channels(cls) -> dict[str, dict]:
        """Channels of the guest `win`."""
        client = str(cls.scratch / "win.client")
        small = {"ring_bytes": RING_BYTES}
        return {"echo": {"type": "echo"}, "discard": {"type": "discard"},
                "bulk": {"type": "unix-listen", "path": client + ".bulk"},
                "sock": {**small, "endpoint": {"type": "unix-listen", "path": client}},
                "dial": {**small, "endpoint": {"type": "unix-connect", "path": client + ".dial"}},
                "file": {"type": "intervm", "file": str(cls.scratch / "file")},
                "link": {**small, "endpoint": {"type": "channel", "guest": "vm1",
                                               "channel": "link"}}}

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        (cls.scratch / "file").write_bytes(b"a file\n")
        link = {"ring_bytes": RING_BYTES, "endpoint": {"type": "channel", "guest": "win",
                                                       "channel": "link"}}
        cls.daemon = Daemon({"guests": [
            guest_config("win", cls.scratch / "win", cls.channels(), way="serial",
                         socket_mode=cls.MODE),
            guest_config("vm1", cls.scratch / "vm1.sock", {**cls.CHANNELS, "link": link}),
            guest_config("vm2", cls.scratch / "vm2.sock", cls.CHANNELS)]},
            args=cls.DAEMON_ARGS, scratch=cls.scratch)

    def port(self, channel: str = "echo") -> socket.socket:
        """QEMU's end of a port, which the daemon has noticed."""
        port = unix_client(self.scratch / f"win.{channel}")
        self.addCleanup(self.leave, port, channel)
        self.until(lambda: self.state(channel) == "attached", "the port to be connected")
        return port

    def leave(self, port: socket.socket, channel: str) -> None:
        """QEMU ends; the daemon has noticed."""
        port.close()
        if self.daemon.running():
            self.until(lambda: self.state(channel) != "attached", "the port to be free")

    def client(self, name: str = "win.client") -> socket.socket:
        """A client of the endpoint unix-listen."""
        sock = unix_client(self.scratch / name)
        self.addCleanup(sock.close)
        return sock

    def state(self, channel: str) -> str:
        """Of a channel of the guest."""
        return self.channel_state("win", channel)["state"]

    @staticmethod
    def until(condition, what: str) -> None:
        """Wait for a condition; each look is a call to the daemon."""
        deadline = Deadline(LIMIT_S)
        while not condition():
            deadline.check(what)


class SerialTest(SerialRig):
    """The daemon listens at the ports."""

    def test_echo(self):
        """Bytes come back; the guest is connected as long as QEMU is."""
        self.assertFalse(self.guest_state("win")["connected"])
        port, data = self.port(), os.urandom(3 * MIB)
        sender = threading.Thread(target=port.sendall, args=(data,))
        sender.start()
        self.assertEqual(take(port, len(data)), data)
        sender.join()
        guest, channel = self.guest_state("win"), self.channel_state("win", "echo")
        self.assertEqual((guest["way"], guest["connected"], guest["ready"]), ("serial", True, True))
        self.assertEqual(channel["port"], str(self.scratch / "win.echo"))
        self.assertEqual((channel["fwd"]["bytes"], channel["bwd"]["bytes"]), (len(data),) * 2)
        self.leave(port, "echo")
        self.assertFalse(self.guest_state("win")["connected"])

    def test_others(self):
        """A guest with the driver has no port."""
        self.assertIsNone(self.channel_state("vm1", "echo")["port"])
        self.assertEqual(self.guest_state("vm1")["way"], "vhost-user")

    def test_both_ways(self):
        """64 MiB each way at the same time arrive as they were."""
        port, client = self.port("bulk"), self.client("win.client.bulk")
        data = [os.urandom(64 * MIB) for _ in range(2)]
        senders = [threading.Thread(target=sock.sendall, args=(bytes_,))
                   for sock, bytes_ in zip((port, client), data)]
        came = [None, None]

        def receive(idx: int, sock: socket.socket) -> None:
            came[idx] = hashlib.sha256(take(sock, 64 * MIB)).hexdigest()
        takers = [threading.Thread(target=receive, args=args)
                  for args in ((0, client), (1, port))]
        for thread in (*senders, *takers):
            thread.start()
        for thread in (*senders, *takers):
            thread.join(120)
        self.assertEqual(came, [hashlib.sha256(d).hexdigest() for d in data])

    def fill(self, sock: socket.socket) -> int:
        """Write as much as fits while nobody reads."""
        n = 0
        sock.settimeout(0.3)
        try:
            while n < 64 * MIB:
                n += sock.send(bytes(4096))
        except TimeoutError:
            pass
        sock.settimeout(LIMIT_S)
        return n

    def test_back_pressure(self):
        """An end that does not read holds up the other side, and nothing runs meanwhile."""
        port, client = self.port("sock"), self.client()
        port2, client2 = self.port("bulk"), self.client("win.client.bulk")
        to_host, to_guest = self.fill(port), self.fill(client2)
        self.assertLess(to_host, 2 * MIB)
        self.assertLess(to_guest, 4 * MIB)
        assert_idle(self, self.daemon)
        self.assertEqual(take(client, to_host), bytes(to_host))
        self.assertEqual(take(port2, to_guest), bytes(to_guest))

    def test_client_waits(self):
        """What a client sends before the port is there reaches the guest."""
        client = self.client()
        client.sendall(b"before")
        port = self.port("sock")
        self.assertEqual(take(port, 6), b"before")
        port.sendall(b"answer")
        self.assertEqual(take(client, 6), b"answer")

    def test_clients_come_and_go(self):
        """The port stays; the next client goes on with what the guest writes then."""
        port = self.port("sock")
        for i in range(5):
            client, word = self.client(), b"client %d" % i
            client.sendall(word)
            self.assertEqual(take(port, len(word)), word)
            port.sendall(word)
            self.assertEqual(take(client, len(word)), word)
            client.close()
            self.until(lambda: not self.channel_state("win", "sock")["endpoint"]["connected"],
                       "the client to be gone")

    def test_written_for_nobody(self):
        """What the guest writes while there is no client waits for the next one."""
        port = self.port("sock")
        first = self.client()
        port.sendall(b"1")
        self.assertEqual(take(first, 1), b"1")
        first.close()
        self.until(lambda: not self.channel_state("win", "sock")["endpoint"]["connected"],
                   "the client to be gone")
        port.sendall(b"in between")
        self.assertEqual(take(self.client(), 10), b"in between")

    def test_half_close(self):
        """A client that half-closes still gets what the guest writes; the guest sees nothing of it."""
        port, client = self.port("sock"), self.client()
        client.sendall(b"request")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(take(port, 7), b"request")
        port.sendall(b"answer")
        self.assertEqual(take(client, 6), b"answer")
        self.leave(port, "sock")
        self.assertEqual(take_all(client), b"")

    def test_machine_ends(self):
        """What it wrote arrives, then the client's connection ends; another machine begins anew."""
        port, client = self.port("sock"), self.client()
        n = self.fill(port)
        port.close()
        self.assertEqual(take_all(client), bytes(n))
        port, client = self.port("sock"), self.client()
        client.sendall(b"new")
        self.assertEqual(take(port, 3), b"new")

    def test_next_machine_waits(self):
        """A machine that comes while a client still takes what the former one wrote is served next."""
        port, client = self.port("sock"), self.client()
        n = self.fill(port)
        port.close()
        second = unix_client(self.scratch / "win.sock")
        self.addCleanup(self.leave, second, "sock")
        second.sendall(b"second")
        self.assertEqual(take_all(client), bytes(n))
        self.assertEqual(take(self.client(), 6), b"second")

    def test_machine_ends_unread(self):
        """With no client: what fits into the ring waits, the rest is counted as lost."""
        before = self.channel_state("win", "sock")
        port = self.port("sock")
        n = self.fill(port)
        port.close()
        self.until(lambda: self.state("sock") == "detached", "the machine's end")
        now = self.channel_state("win", "sock")
        lost = now["lost_bytes"] - before["lost_bytes"]
        self.assertEqual(now["tail_bytes"] + lost, n)
        self.assertEqual(now["tail_bytes"], RING_BYTES)
        self.assert_logged("channel sock", "are lost", "nobody reads them")
        self.assertEqual(take_all(self.client()), bytes(RING_BYTES))

    def test_second_is_turned_away(self):
        """There is one machine at a time."""
        port = self.port()
        with unix_client(self.scratch / "win.echo") as second:
            self.assertEqual(second.recv(1), b"")
        self.assert_logged("guest win: channel echo", "a second connection to the port")
        port.sendall(b"x")
        self.assertEqual(port.recv(1), b"x")

    def test_reset(self):
        """channel.reset drops what is in the rings; the port stays and goes on."""
        port = self.port("sock")
        port.sendall(b"dropped")
        self.until(lambda: self.channel_state("win", "sock")["fwd"]["fill_bytes"] == 7, "the bytes")
        self.daemon.rpc("channel.reset", {"guest": "win", "channel": "sock"})
        self.until(lambda: self.state("sock") == "attached", "new memory")
        client = self.client()
        port.sendall(b"new")
        self.assertEqual(take(client, 3), b"new")
        client.sendall(b"back")
        self.assertEqual(take(port, 4), b"back")

    def test_dial(self):
        """The first bytes of the guest connect; when the server has hung up, the next ones do.

        Nothing else connects: nothing runs while nothing moves.
        """
        server = unix_server(self.scratch / "win.client.dial")
        self.addCleanup(server.close)
        port = self.port("dial")
        for word in (b"first", b"second", b"third"):
            port.sendall(word)
            conn, _ = server.accept()
            self.assertEqual(take(conn, len(word)), word)
            conn.sendall(b"got " + word)
            self.assertEqual(take(port, len(word) + 4), b"got " + word)
            conn.close()
            self.until(lambda: not self.channel_state("win", "dial")["endpoint"]["connected"],
                       "the connection to end")
        self.port(), self.port("sock"), self.client()
        assert_idle(self, self.daemon)
        self.assertEqual(self.channel_state("win", "dial")["endpoint"]["clients"], 3)

    def test_intervm(self):
        """The guest gets the file twice, as OKL4's example sends it."""
        self.assertEqual(take(self.port("file"), 14), b"a file\n" * 2)

    def test_discard(self):
        """Everything is taken."""
        port = self.port("discard")
        before = self.channel_state("win", "discard")["fwd"]["bytes"]
        port.sendall(bytes(4 * MIB))
        self.until(lambda: self.channel_state("win", "discard")["fwd"]["bytes"] == before + 4 * MIB,
                   "4 MiB to be taken")

    def test_joined(self):
        """A guest without the driver and one with it."""
        port = self.port("link")
        link = Channel(self.driver("vm1", Memory(size=4 << 20)), "link").attach().open()
        data = os.urandom(4 * RING_BYTES)
        sender = threading.Thread(target=port.sendall, args=(data,))
        sender.start()
        self.assertEqual(link.read(len(data)), data)
        sender.join()
        got = []
        taker = threading.Thread(target=lambda: got.append(take(port, len(data))))
        taker.start()
        link.write(data)
        taker.join(LIMIT_S)
        self.assertEqual(got, [data])

    def test_add_and_remove(self):
        """Channels come and go at run time, with their ports; what fits no port is refused."""
        self.daemon.rpc("channel.add", {"guest": "win", "channel": {
            "name": "more", "endpoint": {"type": "echo"}}})
        port = unix_client(self.scratch / "win.more")
        self.addCleanup(port.close)
        port.sendall(b"x")
        self.assertEqual(port.recv(1), b"x")
        self.daemon.rpc("channel.remove", {"guest": "win", "channel": "more"})
        self.assertEqual(port.recv(1), b"")
        self.assertFalse((self.scratch / "win.more").exists())
        for key, value in (("exclusive", True), ("guest_mode", "0600"), ("guest_uid", 1)):
            with self.assertRaisesRegex(DaemonError, f"{key}: has no meaning with"):
                self.daemon.rpc("channel.add", {"guest": "win", "channel": {
                    "name": "more", key: value, "endpoint": {"type": "echo"}}})
        with self.assertRaisesRegex(DaemonError, "has a path of more than 107 bytes"):
            self.daemon.rpc("channel.add", {"guest": "win", "channel": {
                "name": "m" * 107, "endpoint": {"type": "echo"}}})
        (self.scratch / "win.taken").mkdir()
        with self.assertRaisesRegex(DaemonError, "port: cannot listen on .*win.taken"):
            self.daemon.rpc("channel.add", {"guest": "win", "channel": {
                "name": "taken", "endpoint": {"type": "echo"}}})

    def test_removed_under_a_client(self):
        """A client gets what the guest wrote before its channel was removed."""
        path = str(self.scratch / "gone.client")
        self.daemon.rpc("channel.add", {"guest": "win", "channel": {
            "name": "gone", "ring_bytes": MIB, "endpoint": {"type": "unix-listen", "path": path}}})
        port, client = unix_client(self.scratch / "win.gone"), unix_client(path)
        port.sendall(bytes(700000))
        self.until(lambda: self.channel_state("win", "gone")["fwd"]["fill_bytes"] +
                   self.channel_state("win", "gone")["fwd"]["bytes"] >= 700000, "the bytes")
        self.daemon.rpc("channel.remove", {"guest": "win", "channel": "gone"})
        self.assertEqual(take_all(client), bytes(700000))
        client.close()
        port.close()

    def test_reload(self):
        """A port whose file was removed is listened at again; the rest goes on."""
        port = self.port("sock")
        Path(self.scratch / "win.echo").unlink()
        self.assertTrue(self.guest_state("win")["path_lost"])
        self.daemon.rpc("config.reload")
        self.assertFalse(self.guest_state("win")["path_lost"])
        again, client = self.port(), self.client()
        again.sendall(b"x")
        self.assertEqual(again.recv(1), b"x")
        client.sendall(b"y")
        self.assertEqual(port.recv(1), b"y")

    def test_events(self):
        """The guest comes with its first port, and goes with its last."""
        first, second = self.port(), self.port("sock")
        self.leave(first, "echo")
        self.assertTrue(self.guest_state("win")["connected"])
        self.leave(second, "sock")
        self.assertFalse(self.guest_state("win")["connected"])

    def test_killed(self):
        """A daemon that was killed and its successor: QEMU connects again, and bytes move."""
        port = self.port()
        self.daemon.kill()
        self.assertEqual(port.recv(1), b"")
        self.daemon.start()
        port = self.port()
        port.sendall(b"again")
        self.assertEqual(take(port, 5), b"again")

    def test_parting(self):
        """A daemon that is stopped ends its ports, and removes their files."""
        port = self.port()
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(port.recv(1), b"")
        self.assertEqual(self.daemon.wait(), 0)
        self.assertEqual(list(self.scratch.glob("win.echo*")), [])
        self.daemon.start()


class SerialConnectTest(SerialRig):
    """QEMU listens, and the daemon connects."""

    MODE = "connect"

    def machine(self, channel: str = "echo") -> tuple[socket.socket, socket.socket]:
        """QEMU's listening socket, and its connection."""
        server = unix_server(self.scratch / f"win.{channel}")
        self.addCleanup(server.close)
        port, _ = server.accept()
        port.settimeout(LIMIT_S)
        self.addCleanup(port.close)
        return server, port

    def test_echo(self):
        """The daemon connects as soon as QEMU listens, and again when it has come back."""
        self.assertIn("No such file", self.channel_state("win", "echo")["port_away"])
        for _ in range(3):
            server, port = self.machine()
            port.sendall(b"hello")
            self.assertEqual(take(port, 5), b"hello")
            self.assertIsNone(self.channel_state("win", "echo")["port_away"])
            server.close()
            port.close()
            self.until(lambda: self.state("echo") == "detached", "the machine's end")

    def test_hangs_up_unread(self):
        """A machine that ends with a full ring and no client does not keep the daemon from the next."""
        server, port = self.machine("sock")
        port.setblocking(False)
        try:
            while True:
                port.send(bytes(4096))
        except BlockingIOError:
            pass
        self.until(lambda: self.channel_state("win", "sock")["fwd"]["fill_bytes"] == RING_BYTES, "a fill")
        port.close()
        again, _ = server.accept()
        again.close()
        server.close()


if __name__ == "__main__":
    unittest.main()
