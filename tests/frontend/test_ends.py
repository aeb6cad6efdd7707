# SPDX-License-Identifier: BSD-3-Clause
"""Ends of file on a plain channel: what a reader that is there in time sees, and a late one.

An end that somebody waits for is never lost. Streams that end before anybody looks follow each other
without a mark, as through any fifo: docs/okl4fs.7 says both.
"""
import os
import socket

from guest_end import Channel
from rig import RING_BYTES
from socket_rig import LIMIT_S, SocketTest, free_port, unix_client, unix_server

ROUNDS = 25


class Ends(SocketTest):
    """A channel to each kind of socket. Each test has a guest of its own, which begins anew."""

    @classmethod
    def channels(cls):
        cls.path = {name: cls.scratch / f"{name}.sock" for name in ("unix-listen", "unix-connect")}
        cls.port = {name: free_port() for name in ("tcp-listen", "tcp-connect")}
        endpoints = {name: {"type": name, "path": str(path)} for name, path in cls.path.items()}
        endpoints |= {name: {"type": name, "address": f"127.0.0.1:{port}"}
                      for name, port in cls.port.items()}
        return {"vm1": {name: {"ring_bytes": RING_BYTES, "endpoint": endpoint}
                        for name, endpoint in endpoints.items()}}

    def setUp(self):
        super().setUp()
        self.servers: dict[str, socket.socket] = {}

    def server(self, name: str) -> socket.socket:
        """The program at which a channel connects; it listens from the first call on."""
        if name not in self.servers:
            self.servers[name] = self.listen(self.port[name]) if name in self.port else \
                unix_server(self.path[name])
            self.addCleanup(self.servers[name].close)
            if name in self.path:
                self.addCleanup(self.path[name].unlink)
        return self.servers[name]

    def peer(self, name: str) -> socket.socket:
        """A client that the daemon has taken, or a connection of the daemon's."""
        if name.endswith("-connect"):
            sock, _ = self.server(name).accept()
            sock.settimeout(LIMIT_S)
            return sock
        clients = self.endpoint(name)["clients"]
        sock = self.connect_to(self.port[name]) if name in self.port else \
            unix_client(self.path[name])
        self.until(lambda: self.endpoint(name)["clients"] > clients, "the client to be taken")
        return sock

    def through(self, channel: Channel, sock: socket.socket, data: bytes) -> bytes:
        """The same with a reader that is there; what that gets up to the end of file."""
        got, sent = b"", 0
        if channel.tx.phase.value % 2 == 0:
            self.open_writer(channel)
        while sent < len(data):
            n = channel.write_some(data[sent:])
            sent += n
            if len(got) < sent:
                got += sock.recv(1 << 16)
            elif not n:
                channel.sleep_write()  # what has just come is not given back yet
        channel.close_writer()
        return got + self.take(sock)

    @staticmethod
    def take(sock: socket.socket) -> bytes:
        """All to the end of file; a connection that is torn is an error."""
        data = b""
        while piece := sock.recv(1 << 16):
            data += piece
        return data

    @staticmethod
    def stream(number: int) -> bytes:
        """A stream that is like no other; some are longer than the ring."""
        size = (1, 100, RING_BYTES - 4, RING_BYTES, 3 * RING_BYTES + 17)[number % 5]
        return number.to_bytes(4, "little") + os.urandom(size)

    # In time

    def test_a_peer_sees_the_end_of_each_writer(self):
        driver = self.driver()
        for name in (*self.path, *self.port):
            channel = self.guest(name, driver=driver)
            for number in range(ROUNDS):
                data = self.stream(number)
                if name.endswith("-connect"):
                    self.server(name)
                    self.open_writer(channel)
                with self.peer(name) as sock:
                    self.assertEqual(self.through(channel, sock, data), data, (name, number))

    def test_a_server_that_comes_after_the_writer_sees_its_end(self):
        """In time is before the next writer opens."""
        channel = self.guest("unix-connect")
        self.server("unix-connect")
        for number in range(ROUNDS):
            data = self.stream(number)[:RING_BYTES]
            self.write_stream(channel, data)
            with self.peer("unix-connect") as sock:
                self.assertEqual(self.take(sock), data, number)

    def test_a_reader_in_the_guest_sees_the_end_of_each_client(self):
        driver = self.driver()
        for name in ("unix-listen", "tcp-listen"):
            channel, taken = self.guest(name, driver=driver).open(), 0
            for number in range(ROUNDS):
                data = self.stream(number)[:RING_BYTES]
                with self.peer(name) as sock:
                    sock.sendall(data)
                self.assertEqual(self.read_to_end(channel, taken), data, (name, number))
                taken = channel.rx.peer_phase.value

    # Late

    def test_a_late_peer_gets_the_streams_as_one(self):
        """In order, whole, with one end of file behind the last."""
        driver = self.driver()
        streams = [self.stream(number)[:1000] for number in range(5)]
        for name in (*self.path, *self.port):
            channel = self.guest(name, driver=driver)
            for data in streams:
                self.write_stream(channel, data)
            with self.peer(name) as sock:
                self.assertEqual(self.take(sock), b"".join(streams), name)

    def test_a_late_reader_in_the_guest_gets_the_clients_as_one(self):
        channel = self.guest("unix-listen")
        streams = [self.stream(number)[:1000] for number in range(3)]
        for data in streams:
            with self.peer("unix-listen") as sock:
                sock.sendall(data)
        self.until(lambda: not self.endpoint("unix-listen")["connected"], "the last to be gone")
        self.open_reader(channel)
        self.assertEqual(self.read_to_end(channel), b"".join(streams))

    def test_between_two_clients_a_write_is_refused(self):
        """After an end of file the host's end is closed until another client is there.

        The end of a writer that was refused is not the next client's.
        """
        driver = self.driver()
        for name in ("unix-listen", "tcp-listen"):
            channel = self.guest(name, driver=driver)
            with self.peer(name):
                pass  # it has gone before there ever was a writer
            for number in range(5):
                self.until(lambda: channel.tx.peer_phase.value % 2 == 0 or name == "tcp-listen",
                           "EPIPE")
                self.write_stream(channel, b"")
                data = self.stream(number)
                with self.peer(name) as sock:
                    self.assertEqual(channel.tx.peer_phase.value % 2, 1, (name, number))
                    self.assertEqual(self.through(channel, sock, data), data, (name, number))
                    self.until(lambda: channel.tx.peer_phase.value % 2 == 0, "EPIPE")


class Guests(SocketTest):
    """Endpoints that are not sockets: an echo, and a channel of another guest."""

    @classmethod
    def channels(cls):
        def link(guest):
            return {"ring_bytes": RING_BYTES,
                    "endpoint": {"type": "channel", "guest": guest, "channel": "link"}}
        return {"vm1": {"link": link("vm2"), "echo": {"ring_bytes": RING_BYTES,
                                                      "endpoint": {"type": "echo"}}},
                "vm2": {"link": link("vm1")}}

    def each_end_is_seen(self, writer: Channel, reader: Channel) -> None:
        """A reader that looks before the next writer opens sees the end of each."""
        self.open_reader(reader)
        taken = 0
        for number in range(ROUNDS):
            data = os.urandom(number * 1000)
            self.write_stream(writer, data)
            self.assertEqual(self.read_to_end(reader, taken), data, number)
            taken = reader.rx.peer_phase.value

    def test_a_reader_in_another_guest(self):
        self.each_end_is_seen(self.guest("link"), self.guest("link", "vm2"))

    def test_a_reader_of_an_echo(self):
        channel = self.guest("echo")
        self.each_end_is_seen(channel, channel)

    def test_a_late_reader_in_another_guest(self):
        """What was written before the other guest was there is one stream."""
        writer = self.guest("link")
        streams = [os.urandom(1000) for _ in range(3)]
        for data in streams:
            self.write_stream(writer, data)
        reader = self.guest("link", "vm2")
        self.open_reader(reader)
        self.assertEqual(self.read_to_end(reader), b"".join(streams))
