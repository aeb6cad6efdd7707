# SPDX-License-Identifier: BSD-3-Clause
"""The endpoints tcp-listen and tcp-connect without TLS, and unix-connect."""
import hashlib
import json
import os
import socket

from rig import RING_BYTES, assert_idle
from socket_rig import LIMIT_S, Flow, SocketTest, free_port, unix_server


class Tcp(SocketTest):
    """Loopback, no TLS."""

    @classmethod
    def channels(cls):
        cls.ports = {name: free_port() for name in ("listen", "connect", "name", "nowhere")}
        return {"vm1": {name: {"ring_bytes": RING_BYTES, "endpoint": endpoint}
                        for name, endpoint in {
            "listen": {"type": "tcp-listen", "address": f"127.0.0.1:{cls.ports['listen']}"},
            "name": {"type": "tcp-listen", "address": f"localhost:{cls.ports['name']}"},
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

    def test_listen_by_name(self):
        channel = self.guest("name").open()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.settimeout(LIMIT_S)
                try:
                    client.connect((address, self.ports["name"]))
                except OSError as error:
                    self.assertEqual(family, socket.AF_INET6, error)
                    continue  # localhost is not ::1 everywhere
                client.sendall(b"by name")
                self.assertEqual(channel.read(7), b"by name")
            self.until(lambda: not self.endpoint("name")["connected"] or
                       channel.rx.peer_phase.value % 2 == 0, "the end to be seen")

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
        # A client that has ended its direction makes way for the next one: whether it has closed
        # the connection cannot be seen.
        clients = self.endpoint("listen")["clients"]
        with self.connect_to(self.ports["listen"]) as second:
            self.until(lambda: self.endpoint("listen")["clients"] > clients, "the second")
            channel.write(b"yours")
            self.assertEqual(second.recv(5), b"yours")

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
        channel = self.guest("connect").open()
        for message in (b"one", b"two", b"three"):
            self.until(lambda: self.endpoint("connect")["attempts_failed"] or message == b"one",
                       "an attempt")
            with self.listen(self.ports["connect"]) as listener:
                server, _ = listener.accept()
                with server:
                    channel.write(message)
                    self.assertEqual(server.recv(100), message)
            self.assertEqual(self.read_to_end(channel), b"")
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

    def test_an_address_that_is_taken(self):
        channel = {"name": "taken", "endpoint": {"type": "tcp-listen",
                                                 "address": f"127.0.0.1:{self.ports['listen']}"}}
        status, _, errors = self.daemon.ctl("channel-add", "vm1", json.dumps(channel))
        self.assertEqual(status, 1, errors)
        self.assertIn("Address already in use", errors)
