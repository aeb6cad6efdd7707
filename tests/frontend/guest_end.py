# SPDX-License-Identifier: BSD-3-Clause
"""A guest's side of okl4fs in a few lines: requests, events, bells, and a channel end.

It stands for the driver. Layouts and names are those of libfs/abi.h.
"""
import contextlib
import os
import re
import select
import struct

from memory import Memory, fence
from vhost_user import TIMEOUT_S, Frontend

MAGIC = 0x344C4B4F
NOT_GIVEN = 0xffffffff  # as mode, uid, gid
HELLO, CHANNEL_INFO, ATTACH, DETACH, PING, RELEASE, OPEN, CLOSE, SETTLE = range(1, 10)
WAKE, CHANNEL_ADDED, CHANNEL_REMOVED, CHANNEL_FAILED, GREET, SESSION = range(1, 7)
BELL_WORDS = 16
NOWAIT, RESUME = 1, 2  # flags of OPEN
REQUEST_ROOM = 320 << 10  # more than the largest request


def statuses(header) -> dict[str, int]:
    """{name: number} of OKL4_STATUS_LIST in status.h."""
    return {name: int(number) for name, number in
            re.findall(r"^\tX\((\w+), (\d+),", header.read_text(encoding="utf-8"), re.M)}


class Refused(Exception):
    """A request was refused; `status` says why."""

    def __init__(self, status: int):
        super().__init__(f"status {status}")
        self.status = status


class Driver:
    """The driver of a device with a control queue and M event queues."""

    N_EVENT_BUFFERS = 4

    def __init__(self, frontend: Frontend):
        self.frontend, self.memory = frontend, frontend.memory
        self.n_event_queues = len(frontend.rings) - 1
        self.bell = self.memory.alloc(4096)
        self._request = self.memory.alloc(REQUEST_ROOM)
        self._reply = self.memory.alloc(4096)
        self._events = self.memory.alloc(4096)
        self._cookie = 0
        self.failures: list[tuple[int, int, int]] = []
        self.changes: list[tuple[int, int]] = []
        self.answers: dict[int, int] = {}  # of SESSION: status by instance
        self.rung: set[int] = set()
        self._last_instance = 0x5E55_0000_0000
        self.on_greet = None
        self.timeout_s = TIMEOUT_S
        self.post_all()

    # Control queue

    def raw(self, request: bytes, room: int = 4096, pieces: int = 1) -> bytes:
        """Send bytes as a request and return all bytes that were written into the reply."""
        self.memory.write(self._request, request)
        chain, step, at = [], -(-len(request) // pieces) or 1, 0
        while at < len(request):
            chain.append((self._request + at, min(step, len(request) - at), False))
            at += step
        if room:
            chain.append((self._reply, room, True))
        ring = self.frontend.rings[0]
        ring.add(chain)
        _, length = ring.wait(self.timeout_s, self.frontend.sock.fileno())
        return self.memory.read(self._reply, length)

    def header(self, kind: int, size: int, magic: int = MAGIC, reserved: int = 0) -> bytes:
        """Header of a request."""
        self._cookie += 1
        return struct.pack("<IHHII", magic, kind, reserved, size, self._cookie)

    def ask(self, kind: int, body: bytes = b"", pieces: int = 1) -> bytes:
        """Send a request; return the reply's bytes after its header."""
        reply = self.raw(self.header(kind, 16 + len(body)) + body, pieces=pieces)
        magic, got, status, size, cookie = struct.unpack_from("<IHHII", reply)
        assert (magic, got, size, cookie) == (MAGIC, kind, len(reply), self._cookie), reply.hex()
        if status:
            assert size == 16, "a refusal is a header"
            raise Refused(status)
        return reply[16:]

    def hello(self, version: int = 1, n_event_queues: int | None = None, bell: int | None = None,
              instance: int = 0x1234) -> tuple[int, int, int]:
        """HELLO: (version, max_channels, host_instance)."""
        if n_event_queues is None:
            n_event_queues = self.n_event_queues
        body = struct.pack("<IIQQ", version, n_event_queues, self.bell if bell is None else bell,
                           instance)
        return struct.unpack("<IIQ", self.ask(HELLO, body))

    def info(self, first_id: int) -> dict:
        """CHANNEL_INFO."""
        ident, flags, ring_bytes, name_bytes, generation, name, *access, max_sessions = struct.unpack(
            "<IIQII64s4I", self.ask(CHANNEL_INFO, struct.pack("<II", first_id, 0)))
        return {"id": ident, "generation": generation, "flags": flags, "ring_bytes": ring_bytes,
                "name": name[:name_bytes].decode(), "access": access, "max_sessions": max_sessions}

    def channels(self) -> dict[str, dict]:
        """All channels by name; NO_CHANNEL (73) ends the list."""
        found, first = {}, 0
        while True:
            try:
                channel = self.info(first)
            except Refused as refusal:
                assert refusal.status == 73
                return found
            found[channel["name"]] = channel
            first = channel["id"] + 1

    def detach(self, ident: int, generation: int = 0) -> None:
        """DETACH."""
        self.ask(DETACH, struct.pack("<II", ident, generation))

    def release(self, ident: int, generation: int = 0) -> None:
        """RELEASE."""
        self.ask(RELEASE, struct.pack("<II", ident, generation))

    def ping(self) -> None:
        """PING."""
        self.ask(PING)

    def close(self, ident: int, generation: int) -> None:
        """CLOSE."""
        self.ask(CLOSE, struct.pack("<II", ident, generation))

    def settle(self) -> None:
        """SETTLE."""
        self.ask(SETTLE)

    def new_instance(self) -> int:
        """One that no memory has had."""
        self._last_instance += 1
        return self._last_instance

    # Event queue

    def post_all(self) -> None:
        """Post all event buffers, on fresh rings."""
        for queue, ring in enumerate(self.frontend.rings[1:]):
            for i in range(self.N_EVENT_BUFFERS):
                buffer = self._events + 16 * (queue * self.N_EVENT_BUFFERS + i)
                ring.add([(buffer, 16, True)], kick=False)

    def take_events(self) -> int:
        """Take events and bells, post the events' buffers again; return how many there were."""
        n, greet = 0, False
        for ring in self.frontend.rings[1:]:
            while (used := ring.poll()):
                index = struct.unpack("<Q", self.memory.read(ring.desc + 16 * used[0], 8))[0]
                kind, status, channel, arg = struct.unpack("<HHIQ", self.memory.read(index, 16))
                if kind == CHANNEL_FAILED:
                    self.failures.append((channel, status, arg))
                elif kind == SESSION:
                    self.answers[arg] = status
                elif kind in (CHANNEL_ADDED, CHANNEL_REMOVED):
                    self.changes.append((kind, channel))
                greet |= kind == GREET
                ring.add([(index, 16, True)], kick=True)
                n += 1
        if greet and self.on_greet:
            self.on_greet()
        for word in range(BELL_WORDS):
            at = self.bell + 2048 + 8 * word
            if self.memory.word(at).value:
                bits = self.memory.exchange(at, 0)
                self.rung |= {bit * 16 + word for bit in range(64) if bits >> bit & 1}
        return n

    def wait_event(self, timeout: float | None = None) -> None:
        """Wait for an event or a bell."""
        rings = {ring.call_fd: ring for ring in self.frontend.rings[1:]}
        poller = select.poll()
        for call_fd in rings:
            poller.register(call_fd, select.POLLIN)
        while not self.take_events() and not self.rung:
            ready = poller.poll((self.timeout_s if timeout is None else timeout) * 1000)
            if not ready:
                raise TimeoutError(f"no event came ({[r.state() for r in rings.values()]})")
            for call_fd, _ in ready:
                with contextlib.suppress(BlockingIOError):  # queues may share one
                    os.eventfd_read(call_fd)

    def wait_failures(self) -> list[tuple[int, int, int]]:
        """Wait until a channel has failed; (channel, status, instance) of all that have."""
        while not self.failures:
            self.rung.clear()
            self.wait_event()
        return self.failures

    def wait_answer(self, instance: int) -> int:
        """Wait until the host has answered the session with this memory; the status."""
        while instance not in self.answers:
            self.rung.clear()
            self.wait_event()
        return self.answers.pop(instance)

    def ring_host(self, ident: int) -> None:
        """Ring the host's bell for a channel."""
        word = ident % BELL_WORDS
        if not self.memory.fetch_or(self.bell + 8 * word, 1 << ident // BELL_WORDS):
            self.frontend.rings[1 + word % self.n_event_queues].kick()


class Pipe:
    """One end of one direction: the words of an okl4_pipe_shm (producer at 0, consumer at 128)."""

    def __init__(self, memory: Memory, shm: int, producer: bool):
        mine, peer = (0, 128) if producer else (128, 0)
        self.cursor = memory.word(shm + mine)
        self.event = memory.word(shm + mine + 8)
        self.phase = memory.word(shm + mine + 16)
        self.eof_seen = memory.word(shm + mine + 24)  # of a consumer
        self.peer_cursor = memory.word(shm + peer)
        self.peer_event = memory.word(shm + peer + 8)
        self.peer_phase = memory.word(shm + peer + 16)
        self._memory = memory
        self._opener = shm + mine + (24 if producer else 32)

    def name(self, comm: bytes, pid: int, uid: int = 0, gid: int = 0) -> None:
        """Say which program opens the end next (okl4_opener_shm)."""
        self._memory.write(self._opener, struct.pack("<IIII16s", uid, gid, pid, 0, comm))


class Channel:
    """A channel end in the guest, with memsections of its own."""

    def __init__(self, driver: Driver, name: str, chunk: int = 65536, ctl_bytes: int = 4096,
                 instance: int = 0xABCD0001, region: int = 0, info: dict | None = None):
        self.driver, self.memory, self.name = driver, driver.memory, name
        info = info or driver.channels()[name]
        self.id, self.size, self.instance = info["id"], info["ring_bytes"], instance
        self.generation = info["generation"]
        self.ctl_bytes = ctl_bytes
        self.chunk = [min(chunk, ctl_bytes), min(chunk, self.size), min(chunk, self.size)]
        self.gpas = [[self.memory.alloc(self.chunk[s], region)
                      for _ in range(size // self.chunk[s])]
                     for s, size in enumerate((ctl_bytes, self.size, self.size))]
        self.create()

    def create(self) -> None:
        """Lay out the control memsection: header, then the two pipes in its heap."""
        ctl = self.gpas[0][0]
        for gpa in self.gpas[0]:
            self.memory.write(gpa, bytes(self.chunk[0]))
        self.memory.write(ctl, struct.pack("<IIIIQQIIII", MAGIC, 1, 128, self.ctl_bytes, self.size,
                                           self.instance, 128, self.ctl_bytes - 128, 256, 640))
        self.tx = Pipe(self.memory, ctl + 256, True)
        self.rx = Pipe(self.memory, ctl + 640, False)

    def body(self, instance: int | None = None, flags: int = 0) -> bytes:
        """Body of the ATTACH request, or of OPEN."""
        body = struct.pack("<IIQII", self.id, self.generation,
                           self.instance if instance is None else instance, flags, 0)
        for s, size in enumerate((self.ctl_bytes, self.size, self.size)):
            body += struct.pack("<QII", size, self.chunk[s], len(self.gpas[s]))
        return body + b"".join(struct.pack("<Q", gpa) for chunks in self.gpas for gpa in chunks)

    def attach(self, pieces: int = 1) -> "Channel":
        """ATTACH."""
        self.driver.ask(ATTACH, self.body(), pieces)
        return self

    def ring(self) -> None:
        """Tell the host to look."""
        self.driver.ring_host(self.id)

    def open(self) -> "Channel":
        """Open both ends."""
        for pipe in (self.tx, self.rx):
            assert pipe.phase.value % 2 == 0
            pipe.phase.value += 1
        self.ring()
        return self

    def close_writer(self) -> None:
        """Half-close: this side sends no more bytes."""
        self.tx.phase.value += 1
        self.ring()

    def close_reader(self) -> None:
        """Close the other half; an end-of-file that is there counts as seen."""
        if (self.rx.peer_phase.value % 2 == 0 and
                self.rx.cursor.value == self.rx.peer_cursor.value):
            self.rx.eof_seen.value = self.rx.peer_phase.value
        self.rx.phase.value += 1
        self.ring()

    def state(self) -> str:
        """All words, for the message of a test that failed."""
        def words(pipe):
            return [getattr(pipe, name).value for name in
                    ("cursor", "event", "phase", "peer_cursor", "peer_event", "peer_phase")]
        return f"{self.name}: tx {words(self.tx)}, rx {words(self.rx)}"

    def _copy(self, section: int, position: int, data: bytes | int):
        """Copy into (bytes) or out of (a size) a ring at a free-running position."""
        done, out, total = 0, b"", data if isinstance(data, int) else len(data)
        while done < total:
            offset = (position + done) % self.size
            index, inside = divmod(offset, self.chunk[section])
            n = min(total - done, self.chunk[section] - inside)
            at = self.gpas[section][index] + inside
            if isinstance(data, int):
                out += self.memory.read(at, n)
            else:
                self.memory.write(at, data[done:done + n])
            done += n
        return out

    def write_some(self, data: bytes) -> int:
        """Write what fits; return how much that was."""
        tail = self.tx.peer_cursor.value
        head = self.tx.cursor.value
        n = min(len(data), self.size - (head - tail))
        if n:
            self._copy(1, head, data[:n])
            self.tx.cursor.value = head + n
            fence()
            if head <= self.tx.peer_event.value < head + n:
                self.ring()
        return n

    def read_some(self, limit: int = 1 << 30) -> bytes:
        """Read what is there."""
        head, tail = self.rx.peer_cursor.value, self.rx.cursor.value
        data = self._copy(2, tail, min(limit, head - tail))
        if data:
            self.rx.cursor.value = tail + len(data)
            fence()
            if tail <= self.rx.peer_event.value < tail + len(data):
                self.ring()
        return data

    def write(self, data: bytes) -> None:
        """Write everything; wait for room."""
        at = 0
        while at < len(data):
            n = self.write_some(data[at:])
            at += n
            if not n:
                self.sleep_write()

    def sleep_write(self) -> None:
        """Wait for room if the ring is full."""
        full = self.tx.cursor.value - self.size
        self.tx.event.value = full
        fence()
        while self.tx.peer_cursor.value <= full:
            self.driver.rung.clear()
            self.driver.wait_event()

    def sleep_read(self, timeout: float | None = None, room: bool = False,
                   phase: int | None = None) -> None:
        """Wait for bytes, for the peer's writer to open or close, or (if asked) for room.

        phase: the writer's phase when the caller last looked; a caller that waits only for bytes
        can leave it out
        """
        tail = self.rx.cursor.value
        if phase is None:
            phase = self.rx.peer_phase.value
        full = self.tx.cursor.value - self.size
        self.rx.event.value = tail
        if room:
            self.tx.event.value = full
        fence()
        while (self.rx.peer_cursor.value == tail and self.rx.peer_phase.value == phase and
               not (room and self.tx.peer_cursor.value > full)):
            self.driver.rung.clear()
            try:
                self.driver.wait_event(timeout)
            except TimeoutError as error:
                raise TimeoutError(f"{self.state()}: {error}") from None

    def read(self, size: int) -> bytes:
        """Read exactly that many bytes; wait for them."""
        data = b""
        while len(data) < size:
            piece = self.read_some(size - len(data))
            data += piece
            if not piece:
                self.sleep_read()
        return data

    def echo(self, data: bytes, sent: int = 0, received: int = 0) -> None:
        """Write through an echo endpoint and read all of it back, from where its stream is."""
        while received < len(data):
            sent += self.write_some(data[sent:])
            piece = self.read_some()
            if piece != data[received:received + len(piece)]:
                raise AssertionError(f"{self.name}: byte {received} or later came back wrong")
            received += len(piece)
            if not piece and received < len(data):
                self.sleep_read(room=sent < len(data))


class Session(Channel):
    """A session of a channel, with memory of its own that can be used again for the next one."""

    def __init__(self, driver: Driver, board: str, chunk: int = 65536, info: dict | None = None):
        super().__init__(driver, board, chunk, instance=driver.new_instance(), info=info)
        self.board = (self.id, self.generation)
        self.is_waiting = False

    def renew(self) -> "Session":
        """Clear the memory for another session."""
        self.instance = self.driver.new_instance()
        self.create()
        return self

    def open(self, flags: int = 0, reader: bool = True, writer: bool = True) -> "Session":
        """OPEN, as open(2) with O_RDWR or one half of it does; it may be waiting then."""
        self.tx.phase.value = 1 if writer else 2
        self.rx.phase.value = 1 if reader else 2
        return self.ask_open(flags)

    def ask_open(self, flags: int = 0) -> "Session":
        """OPEN with the memory as it is."""
        self.id, self.generation = self.board
        reply = self.driver.ask(OPEN, self.body(flags=flags))
        self.id, self.generation, waiting, reserved = struct.unpack("<4I", reply)
        assert waiting in (0, 1) and not reserved, reply.hex()
        self.is_waiting = bool(waiting)
        return self

    def wait_open(self) -> "Session":
        """Wait for the answer, if there was none yet; raise Refused."""
        if self.is_waiting:
            self.is_waiting = False
            if (status := self.driver.wait_answer(self.instance)):
                raise Refused(status)
        return self

    def close(self) -> None:
        """Close both ends as the last close of a file does, and CLOSE; the rest is not waited for."""
        for pipe in (self.tx, self.rx):
            pipe.phase.value += pipe.phase.value % 2
        self.driver.close(self.id, self.generation)

    def read_all(self) -> bytes:
        """Read until the end of file."""
        data = b""
        while True:
            phase = self.rx.peer_phase.value
            piece = self.read_some()
            data += piece
            if piece:
                continue
            if phase and phase % 2 == 0:
                return data
            self.sleep_read(phase=phase)
