# SPDX-License-Identifier: BSD-3-Clause
"""The base of tests of socket endpoints: guests with open channels, and peers of the daemon."""
import hashlib
import os
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from guest_end import Channel, Driver
from rig import FrontendTest, assert_idle
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir

LIMIT_S = 30


def free_port() -> int:
    """A port of 127.0.0.1 that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def unix_client(path) -> socket.socket:
    """A client of a unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT_S)
    sock.connect(str(path))
    return sock


def unix_server(path: Path) -> socket.socket:
    """A listening unix socket, in place of one that was there before."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(LIMIT_S)
    sock.bind(str(path))
    sock.listen()
    return sock


class Flow:
    """Bytes through a socket, hashed, one thread per direction; a half-close at the end."""

    def __init__(self, sock: socket.socket, data: bytes):
        self.received = hashlib.sha256()
        self.n_received = 0
        self._sock, self._data = sock, data
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._take)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        self._sock.sendall(self._data)
        self._sock.shutdown(socket.SHUT_WR)

    def _take(self) -> None:
        while piece := self._sock.recv(1 << 16):
            self.received.update(piece)
            self.n_received += len(piece)

    def join(self) -> str:
        """Wait for both threads; return the hash of what came."""
        for thread in self._threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "the stream does not end"
        return self.received.hexdigest()


def receive(sock, size: int) -> bytes:
    """Exactly that many bytes of a socket, or of what has its recv()."""
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"it ended after {len(data)} of {size} bytes: {data[-100:]!r}"
        data += piece
    return data


class TlsSocket:
    """A TLS connection that can end one direction and go on with the other, unlike Python's."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server: bool,
                 name: str | None = None):
        self.sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=name)
        sock.settimeout(LIMIT_S)
        try:
            self._do(self._tls.do_handshake)
        except ssl.SSLError:
            self._flush()  # the alert
            sock.close()
            raise

    def _flush(self) -> None:
        if self._out.pending:
            self.sock.sendall(self._out.read())

    def _do(self, call, *args):
        while True:
            try:
                result = call(*args)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                piece = self.sock.recv(1 << 16)
                if piece:
                    self._in.write(piece)
                else:
                    self._in.write_eof()

    def send(self, data: bytes) -> None:
        """Send all."""
        self._do(self._tls.write, data)

    def recv(self, limit: int = 1 << 16) -> bytes:
        """What is there, or b"" after a close_notify; ssl.SSLError if it was cut off."""
        try:
            return self._do(self._tls.read, limit)
        except ssl.SSLZeroReturnError:
            return b""

    def read(self, size: int) -> bytes:
        """Exactly that many bytes."""
        return receive(self, size)

    def end(self) -> None:
        """close_notify; reading goes on."""
        waiting = self._in.read()  # unwrap() would take these bytes for an error
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._in.write(waiting)
        self._flush()

    def close(self) -> None:
        """Close the TCP connection, with or without a close_notify."""
        self.sock.close()


class SocketTest(FrontendTest):
    """One daemon per class, whose guests have the channels that channels() names."""

    @classmethod
    def channels(cls) -> dict[str, dict[str, dict]]:
        """{guest: {channel: endpoint, or a whole channel}}."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        guests = [guest_config(name, cls.scratch / f"{name}.sock", channels)
                  for name, channels in cls.channels().items()]
        cls.daemon = Daemon({"guests": guests}, args=cls.DAEMON_ARGS, scratch=cls.scratch)

    def guest(self, channel: str, guest: str = "vm1", driver: Driver | None = None) -> Channel:
        """A channel, attached; nothing is opened."""
        return Channel(driver or self.driver(guest), channel,
                       instance=int.from_bytes(os.urandom(7), "little") + 1).attach()

    def endpoint(self, channel: str, guest: str = "vm1") -> dict:
        """What `channel.list` says of the endpoint."""
        return self.channel_state(guest, channel)["endpoint"]

    def until(self, condition, what: str) -> None:
        """Wait for a condition; each look is a call to the daemon."""
        deadline = Deadline(LIMIT_S)
        while not condition():
            deadline.check(what)

    def await_error(self, channel: str, text: str, guest: str = "vm1") -> str:
        """Wait until the endpoint's error has a text, which must be in the log, too."""
        self.until(lambda: text in (self.endpoint(channel, guest)["error"] or ""),
                   f"{text!r}, but there is {self.endpoint(channel, guest)}")
        error = self.endpoint(channel, guest)["error"]
        self.assert_logged(f"guest {guest}: channel {channel}: ", text)
        return error

    @staticmethod
    def listen(port: int) -> socket.socket:
        """A listening TCP socket."""
        sock = socket.create_server(("127.0.0.1", port))
        sock.settimeout(LIMIT_S)
        return sock

    @staticmethod
    def connect_to(port: int) -> socket.socket:
        """A client."""
        return socket.create_connection(("127.0.0.1", port), LIMIT_S)

    @staticmethod
    def open_writer(channel: Channel) -> None:
        """The guest's first writer opens."""
        assert channel.tx.phase.value % 2 == 0
        channel.tx.phase.value += 1
        channel.ring()

    @staticmethod
    def open_reader(channel: Channel) -> None:
        """The guest's first reader opens."""
        assert channel.rx.phase.value % 2 == 0
        channel.rx.phase.value += 1
        channel.ring()

    def write_stream(self, channel: Channel, data: bytes) -> None:
        """A writer in the guest, from its opening to its end, as `echo` is one."""
        self.open_writer(channel)
        channel.write(data)
        channel.close_writer()

    @staticmethod
    def fill(channel: Channel) -> bytes:
        """Write as much as the guest can while nobody reads; return what that was."""
        data, stalls = bytearray(), 0
        while stalls < 50:
            piece = os.urandom(1 << 16)
            n = channel.write_some(piece)
            data += piece[:n]
            stalls = 0 if n else stalls + 1
            if not n:
                channel.driver.ping()  # time for the daemon to take more
        return bytes(data)

    def fill_and_not_grow(self, channel: Channel) -> bytes:
        """The same: it has an end, and the daemon does not grow by it."""
        before = self.rss_kib()
        data = self.fill(channel)
        self.assertLess(len(data), 32 << 20)
        self.assertLess(self.rss_kib() - before, 512)
        return data

    def slow_guest(self, name: str, channel: Channel, sock: socket.socket, send) -> None:
        """A guest does not read: its ring fills, the client waits, the daemon neither grows nor runs."""
        memory, moved, sent = self.rss_kib(), self.channel_state("vm1", name)["bwd"]["bytes"], 0
        sock.settimeout(0.5)
        with suppress(TimeoutError):
            while sent < 64 << 20:
                send(bytes(16384))
                sent += 16384
        self.assertLess(sent, 64 << 20)
        self.assertEqual(self.channel_state("vm1", name)["bwd"]["bytes"], moved + channel.size)
        self.assertLess(self.rss_kib() - memory, 512)
        assert_idle(self, self.daemon)
        self.assertEqual(channel.read(sent), bytes(sent))

    def read_to_end(self, channel: Channel, taken: int = 0) -> bytes:
        """Everything until the host's writer closes; an end at phase `taken` is an old one."""
        data = b""
        while True:
            phase = channel.rx.peer_phase.value
            ended = phase > taken and phase % 2 == 0
            piece = channel.read_some()
            data += piece
            if not piece:
                if ended:
                    return data
                channel.sleep_read(phase=phase)

    def both_ways(self, channel: Channel, data: bytes) -> str:
        """The guest sends data, half-closes, and reads to the end; return the hash of what came."""
        received, sent, closed = hashlib.sha256(), 0, False
        while True:
            sent += channel.write_some(data[sent:sent + (1 << 18)])
            if sent == len(data) and not closed:
                channel.close_writer()
                closed = True
            phase = channel.rx.peer_phase.value
            ended = phase and phase % 2 == 0
            piece = channel.read_some()
            received.update(piece)
            if not piece and ended and closed:
                return received.hexdigest()
            if not piece:
                channel.sleep_read(room=not closed, phase=phase)

    def both_at_once(self, one: Channel, other: Channel, size: int) -> None:
        """Two guests that are joined send each other bytes, and then the end, at the same time."""
        there, back = os.urandom(size), os.urandom(size)
        found = []
        thread = threading.Thread(target=lambda: found.append(self.both_ways(other, back)))
        thread.start()
        self.assertEqual(self.both_ways(one, there), hashlib.sha256(back).hexdigest())
        thread.join(LIMIT_S)
        self.assertEqual(found, [hashlib.sha256(there).hexdigest()])

    def rss_kib(self) -> int:
        """The daemon's private memory."""
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("RssAnon:")).split()[1])
