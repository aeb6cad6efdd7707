# SPDX-License-Identifier: BSD-3-Clause
"""The endpoints tcp-listen and tcp-connect without TLS, and unix-connect.

tests/unit/endpoint/stream has addresses and names, and when a client makes way.
"""
import hashlib
import os
import socket

from rig import RING_BYTES, assert_idle
from socket_rig import Flow, SocketTest, free_port, unix_server


class Tcp(SocketTest):
    """Loopback, no TLS."""

    @classmethod
    def channels(cls):
        cls.ports = {name: free_port() for name in ("listen", "connect", "nowhere")}
        return {"vm1": {name: {"ring_bytes": RING_BYTES, "endpoint": endpoint}
                        for name, endpoint in {
            "listen": {"type": "tcp-listen", "address": f"127.0.0.1:{cls.ports['listen']}"},
            "connect": {"type": "tcp-connect", "address": f"localhost:{cls.ports['connect']}"},
            "nowhere": {"type": "tcp-connect", "address": f"127.0.0.1:{cls.ports['nowhere']}"},
            "unix": {"type": "unix-connect", "path": str(cls.scratch / "server.sock")},
        }.items()}}

    def bulk(self, channel, sock) -> None:
        """Many bytes in both directions at once, with half-closes."""
        there, back = os.urandom(24 << 20), os.urandom(24 << 20)
        flow = Flow(sock, back)
        self.assertEqual(self.both_ways(channel, there), hashlib.sha256(back).hexdigest())
        self.assertEqual(flow.join(), hashlib.sha256(there).hexdigest())
        sock.close()

    def test_listen(self):
        channel = self.guest("listen").open()
        with self.connect_to(self.ports["listen"]) as client:
            self.bulk(channel, client)
        self.until(lambda: not self.endpoint("listen")["connected"], "the client to be gone")

    def test_one_client_at_a_time(self):
        channel = self.guest("listen").open()
        with self.connect_to(self.ports["listen"]) as first:
            first.sendall(b"1")
            channel.read(1)
            refused = self.endpoint("listen")["clients_refused"]
            with self.connect_to(self.ports["listen"]) as second:
                self.assertEqual(second.recv(1), b"")
            self.assertEqual(self.endpoint("listen")["clients_refused"], refused + 1)
            channel.write(b"still yours")
            self.assertEqual(first.recv(11), b"still yours")

    def test_connect(self):
        with self.listen(self.ports["connect"]) as listener:
            channel = self.guest("connect").open()
            server, _ = listener.accept()
            self.bulk(channel, server)
        self.until(lambda: not self.endpoint("connect")["connected"], "the connection to be over")
        self.assertEqual(self.endpoint("connect")["attempts_failed"], 0)

    def test_nobody_there(self):
        """What is written waits, attempts are counted, and a peer that comes later gets it."""
        channel = self.guest("nowhere")
        self.open_writer(channel)
        channel.write(b"waiting")
        error = self.await_error("nowhere", "Connection refused")
        self.assertIn(f"127.0.0.1:{self.ports['nowhere']}", error)
        channel.close_writer()
        with self.listen(self.ports["nowhere"]) as listener:
            server, _ = listener.accept()
            with server:
                self.assertEqual(server.recv(100), b"waiting")
                self.assertEqual(server.recv(100), b"")
        self.until(lambda: not self.endpoint("nowhere")["connected"], "the connection to be over")
        self.assertIsNone(self.endpoint("nowhere")["error"])
        assert_idle(self, self.daemon)

    def test_peer_restarts(self):
        """One connection per opening; the next opening finds a server that has come back."""
        channel, taken = self.guest("connect").open(), 0
        for message in (b"one", b"two", b"three"):
            self.until(lambda: self.endpoint("connect")["attempts_failed"] or message == b"one",
                       "an attempt")
            with self.listen(self.ports["connect"]) as listener:
                server, _ = listener.accept()
                with server:
                    channel.write(message)
                    self.assertEqual(server.recv(100), message)
            self.assertEqual(self.read_to_end(channel, taken), b"")
            taken = channel.rx.peer_phase.value
            channel.close_writer()
            channel.close_reader()
            channel.open()

    def test_slow_client(self):
        channel = self.guest("listen").open()
        with self.connect_to(self.ports["listen"]) as client:
            sent = len(self.fill_and_not_grow(channel))
            while sent:
                sent -= len(client.recv(1 << 20))

    def test_slow_guest(self):
        channel = self.guest("listen").open()
        with self.connect_to(self.ports["listen"]) as client:
            self.slow_guest("listen", channel, client, client.sendall)

    def test_unix_connect(self):
        channel = self.guest("unix")
        self.open_writer(channel)
        channel.write(b"early")
        self.await_error("unix", "server.sock: No such file or directory")
        with unix_server(self.scratch / "server.sock") as listener:
            server, _ = listener.accept()
            with server:
                self.assertEqual(server.recv(5, socket.MSG_WAITALL), b"early")
                self.open_reader(channel)
                self.bulk(channel, server)
