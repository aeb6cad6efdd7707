# SPDX-License-Identifier: BSD-3-Clause
"""The host's end of the rows' channels, directed by the rows themselves (okl4test/rows*.c).

A row writes `TAG NAME COMMAND [NUMBER]` to the channel `peer_ctl` and gets a line back, `TAG ok` or
`TAG` and what went wrong, when the command has been carried out on the socket of channel NAME:

    connect, close        become its client, and leave
    shut_wr, shut_rd      shut one way down
    send N, taken         send N bytes of the pattern; wait until the daemon has taken all of them
    expect N, skip N      take N bytes, which must be the pattern's; or any
    eof                   the next thing that comes must be the end
    pause                 nothing: the client reads only when told to
    flood N, drain N      as send and expect, but in odd pieces with pauses, after the reply
    drained               wait until the drain has ended, well
    second_refused        another client must be closed at once
"""
import fcntl
import random
import socket
import struct
import termios
import threading
import time
from pathlib import Path

LIMIT_S = 40
SEED, GOLDEN, MASK = 7, 0x9E3779B97F4A7C15, (1 << 64) - 1


class PeerFailed(Exception):
    """The result was not what the row expects."""


class Pattern:
    """The bytes that pattern.c makes, as many as were asked for so far."""

    def __init__(self, seed: int):
        self._seed, self._bytes = seed, bytearray()

    def part(self, offset: int, length: int) -> bytes:
        """Bytes [offset, offset + length)."""
        while len(self._bytes) < offset + length:
            x = (self._seed + (len(self._bytes) // 8 + 1) * GOLDEN) & MASK
            x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
            x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
            self._bytes += struct.pack("<Q", x ^ x >> 31)
        return bytes(self._bytes[offset:offset + length])


PATTERN = Pattern(SEED)


class Client:
    """A client of one channel's socket."""

    def __init__(self, path: Path):
        self._path = str(path)
        self._sock: socket.socket | None = None
        self._sent = self._received = 0
        self._drain: threading.Thread | None = None
        self._drain_error: str | None = None

    def connect(self, _n: int) -> None:
        self.close(0)
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(LIMIT_S)
        self._sock.connect(self._path)
        self._sent = self._received = 0

    def close(self, _n: int) -> None:
        if self._sock:
            self._sock.close()
            self._sock = None

    def shut_wr(self, _n: int) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def shut_rd(self, _n: int) -> None:
        self._sock.shutdown(socket.SHUT_RD)

    def pause(self, _n: int) -> None:
        pass

    def send(self, n: int) -> None:
        self._sock.sendall(PATTERN.part(self._sent, n))
        self._sent += n

    def taken(self, _n: int) -> None:
        end = time.monotonic() + LIMIT_S
        while struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"\0" * 4))[0]:
            if time.monotonic() > end:
                raise PeerFailed("the daemon does not take what was sent")
            time.sleep(0.001)

    def _take(self, n: int) -> bytes:
        got = bytearray()
        while len(got) < n:
            piece = self._sock.recv(n - len(got))
            if not piece:
                raise PeerFailed(f"the end came after {self._received + len(got)} bytes")
            got += piece
        return bytes(got)

    def expect(self, n: int) -> None:
        got, wanted = self._take(n), PATTERN.part(self._received, n)
        if got != wanted:
            first = next(i for i in range(n) if got[i] != wanted[i])
            raise PeerFailed(f"byte {self._received + first} is wrong")
        self._received += n

    def skip(self, n: int) -> None:
        self._take(n)

    def eof(self, _n: int) -> None:
        rest = self._sock.recv(100)
        if rest:
            raise PeerFailed(f"more bytes came instead of the end: {rest[:20]!r}")

    def flood(self, n: int) -> None:
        threading.Thread(target=self._flood, args=(self._sock, n), daemon=True).start()

    def _flood(self, sock: socket.socket, n: int) -> None:
        source, done = random.Random(n), 0
        while done < n:
            size = min(n - done, source.choice((1, 77, 4096, 65537, 200001)))
            sock.sendall(PATTERN.part(done, size))
            done += size
            time.sleep(source.choice((0, 0, 0.002, 0.02)))

    def drain(self, n: int) -> None:
        self._drain_error = None
        self._drain = threading.Thread(target=self._run_drain, args=(n,), daemon=True)
        self._drain.start()

    def _run_drain(self, n: int) -> None:
        source, end = random.Random(n), self._received + n
        try:
            while self._received < end:
                self.expect(min(end - self._received, source.choice((1, 77, 4096, 65537))))
                time.sleep(source.choice((0, 0, 0.002, 0.02)))
        except (OSError, PeerFailed) as error:
            self._drain_error = str(error)

    def drained(self, _n: int) -> None:
        self._drain.join(LIMIT_S)
        if self._drain.is_alive():
            raise PeerFailed(f"only {self._received} bytes came")
        if self._drain_error:
            raise PeerFailed(self._drain_error)

    def second_refused(self, _n: int) -> None:
        with socket.socket(socket.AF_UNIX) as second:
            second.settimeout(LIMIT_S)
            second.connect(self._path)
            try:
                if second.recv(1):
                    raise PeerFailed("a second client has received bytes")
            except ConnectionResetError:
                pass


COMMANDS = {name for name in vars(Client) if not name.startswith("_")}


class FifoPeer:
    """Serves `peer_ctl` in a thread until close(); the channels' sockets lie in `folder`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._clients: dict[str, Client] = {}
        self._control: socket.socket | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="fifo_peer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave all channels."""
        self._stopping = True
        if self._control:
            self._control.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT_S)
        for client in self._clients.values():
            client.close(0)

    def reset(self) -> None:
        """A row has ended, perhaps with a failure: leave its channel."""
        for client in self._clients.values():
            client.close(0)
        self._clients.clear()

    def _serve(self) -> None:
        while not self._stopping:  # a client that comes too early after another one is refused
            with socket.socket(socket.AF_UNIX) as self._control:
                self._control.connect(str(self._folder / "peer_ctl.sock"))
                try:
                    for line in self._control.makefile("r", encoding="ascii"):
                        self._control.sendall(self._obey(line.split()).encode() + b"\n")
                except OSError:
                    pass

    def _obey(self, words: list[str]) -> str:
        tag, name, command = words[:3]
        if command not in COMMANDS:
            return f"{tag} error: no command {command}"
        client = self._clients.setdefault(name, Client(self._folder / f"{name}.sock"))
        try:
            getattr(client, command)(int(words[3]) if len(words) > 3 else 0)
        except (OSError, PeerFailed) as error:
            return f"{tag} error: {type(error).__name__}: {error}"
        return f"{tag} ok"
