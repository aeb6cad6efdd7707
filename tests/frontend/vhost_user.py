# SPDX-License-Identifier: BSD-3-Clause
"""The frontend's side of vhost-user, as faithful or as hostile as a test wants it.

It stands for QEMU. Every message can be sent with any payload and any descriptors; setup() sends
what QEMU sends for a device with a number of split queues.
"""
import array
import ctypes
import os
import select
import socket
import struct

from memory import Memory

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER = 1, 2, 3, 4
SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD = 5, 6, 7
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = 12, 13, 14
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 15, 16, 17
SET_VRING_ENABLE = 18
GET_INFLIGHT_FD, SET_INFLIGHT_FD = 31, 32

VERSION = 1
REPLY = 4
NEED_REPLY = 8

F_VERSION_1 = 1 << 32
F_PROTOCOL_FEATURES = 1 << 30
PROTOCOL_MQ = 1 << 0
PROTOCOL_REPLY_ACK = 1 << 3

TIMEOUT_S = 5


class Dropped(Exception):
    """The daemon has closed the connection."""


class Ring:
    """A split vring in guest memory, from the driver's side (virtio 1.2, section 2.7)."""

    DESC_NEXT, DESC_WRITE, DESC_INDIRECT = 1, 2, 4

    def __init__(self, memory: Memory, size: int = 128):
        self.memory, self.size = memory, size
        self.desc = memory.alloc(16 * size)
        self.avail = memory.alloc(6 + 2 * size)
        self.used = memory.alloc(6 + 8 * size)
        self.kick_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.call_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.clear()

    def clear(self) -> None:
        """Clear everything, as a driver does that has reset the device."""
        self.memory.write(self.desc, bytes(16 * self.size))
        self.memory.write(self.avail, bytes(6 + 2 * self.size))
        self.memory.write(self.used, bytes(6 + 8 * self.size))
        self._avail_idx = self._seen = 0
        self._free = list(range(self.size))
        self._chains: dict[int, list[int]] = {}

    def write_desc(self, index: int, gpa: int, length: int, flags: int, following: int) -> None:
        """Write one descriptor; it need not make sense."""
        self.memory.write(self.desc + 16 * index, struct.pack("<QIHH", gpa, length, flags,
                                                              following))

    def publish(self, head: int) -> None:
        """Make a head available; it need not make sense."""
        self.memory.write(self.avail + 4 + 2 * (self._avail_idx % self.size),
                          struct.pack("<H", head))
        self._avail_idx = (self._avail_idx + 1) & 0xFFFF
        self.set_avail_idx(self._avail_idx)

    def set_avail_idx(self, index: int) -> None:
        """Write the available index; it need not make sense."""
        self.memory.word(self.avail + 2, ctypes.c_uint16).value = index

    def add(self, pieces, kick: bool = True) -> int:
        """Make a chain of (gpa, length, writable) available; return its head."""
        chain = [self._free.pop(0) for _ in pieces]
        for i, (gpa, length, writable) in enumerate(pieces):
            last = i + 1 == len(pieces)
            flags = (0 if last else self.DESC_NEXT) | (self.DESC_WRITE if writable else 0)
            self.write_desc(chain[i], gpa, length, flags, 0 if last else chain[i + 1])
        self._chains[chain[0]] = chain
        self.publish(chain[0])
        if kick:
            self.kick()
        return chain[0]

    def kick(self) -> None:
        """Kick the queue."""
        os.eventfd_write(self.kick_fd, 1)

    def used_idx(self) -> int:
        """The used index."""
        return struct.unpack("<H", self.memory.read(self.used + 2, 2))[0]

    def state(self) -> str:
        """The indices, for the message of a test that failed."""
        return f"available {self._avail_idx}, used {self.used_idx()}, seen {self._seen}"

    def poll(self) -> tuple[int, int] | None:
        """The next used chain, as (head, bytes written), if there is one."""
        if self.used_idx() == self._seen:
            return None
        head, length = struct.unpack(
            "<II", self.memory.read(self.used + 4 + 8 * (self._seen % self.size), 8))
        self._seen = (self._seen + 1) & 0xFFFF
        self._free.extend(self._chains.pop(head, []))
        return head, length

    def wait(self, timeout: float = TIMEOUT_S, other_fd: int = -1) -> tuple[int, int]:
        """Wait for the next used chain, at the call descriptor."""
        poller = select.poll()
        poller.register(self.call_fd, select.POLLIN)
        if other_fd >= 0:
            poller.register(other_fd, select.POLLIN | select.POLLHUP)
        while True:
            found = self.poll()
            if found:
                return found
            ready = dict(poller.poll(timeout * 1000))
            if not ready:
                raise TimeoutError("no chain came back")
            if self.call_fd in ready:
                os.eventfd_read(self.call_fd)
            elif (found := self.poll()):
                return found
            else:
                raise Dropped("while waiting for a chain")

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.kick_fd)
        os.close(self.call_fd)


class Frontend:
    """A connection to the daemon's vhost-user socket."""

    def __init__(self, path, memory: Memory | None = None, sock: socket.socket | None = None):
        self.memory = memory or Memory()
        self.rings: list[Ring] = []
        if sock is None:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT_S)
            sock.connect(str(path))
        sock.settimeout(TIMEOUT_S)
        self.sock = sock

    def send(self, request: int, payload: bytes = b"", fds=(), flags: int = VERSION,
             size: int | None = None) -> None:
        """Send a message; it need not make sense."""
        header = struct.pack("<III", request, flags, len(payload) if size is None else size)
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([header + payload], control)
        except (BrokenPipeError, ConnectionResetError):
            raise Dropped from None

    def receive(self) -> tuple[int, int, bytes]:
        """A reply: (request, flags, payload)."""
        request, flags, size = struct.unpack("<III", self._exactly(12))
        return request, flags, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                piece = self.sock.recv(size - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Dropped
            data += piece
        return data

    def ask(self, request: int, payload: bytes = b"") -> bytes:
        """Send a message that has a reply; return the reply's payload."""
        self.send(request, payload)
        return self.receive()[2]

    def ask_u64(self, request: int) -> int:
        """As ask(), but the payload is one number."""
        return struct.unpack("<Q", self.ask(request))[0]

    def tell(self, request: int, payload: bytes = b"", fds=()) -> int:
        """Send a message and ask for an acknowledgement; return it (0: accepted)."""
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        return struct.unpack("<Q", self.receive()[2])[0]

    def dropped(self) -> bool:
        """Wait for the daemon to close the connection (True), or for a byte (False)."""
        try:
            self._exactly(1)
        except Dropped:
            return True
        return False

    # What QEMU does

    def handshake(self) -> None:
        """Features and owner."""
        self.features = self.ask_u64(GET_FEATURES)
        self.protocol_features = self.ask_u64(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", self.protocol_features))
        self.queue_num = self.ask_u64(GET_QUEUE_NUM)
        self.send(SET_OWNER)
        self.send(SET_FEATURES, struct.pack("<Q", F_VERSION_1 | F_PROTOCOL_FEATURES))

    def mem_table(self, regions=None) -> tuple[bytes, list[int]]:
        """Payload and descriptors of SET_MEM_TABLE."""
        regions = self.memory.regions if regions is None else regions
        payload = struct.pack("<II", len(regions), 0)
        for region in regions:
            payload += struct.pack("<QQQQ", region.gpa, region.size, region.user, region.offset)
        return payload, [region.fd for region in regions]

    def set_memory(self, regions=None) -> int:
        """SET_MEM_TABLE, acknowledged."""
        return self.tell(SET_MEM_TABLE, *self.mem_table(regions))

    def addr_payload(self, index: int, ring: Ring) -> bytes:
        """Payload of SET_VRING_ADDR."""
        user = self.memory.user
        return struct.pack("<IIQQQQ", index, 0, user(ring.desc), user(ring.used),
                           user(ring.avail), 0)

    def start_ring(self, index: int, ring: Ring, base: int = 0) -> None:
        """Set up a ring without enabling it."""
        self.send(SET_VRING_NUM, struct.pack("<II", index, ring.size))
        self.send(SET_VRING_BASE, struct.pack("<II", index, base))
        self.send(SET_VRING_ADDR, self.addr_payload(index, ring))
        self.send(SET_VRING_KICK, struct.pack("<Q", index), [ring.kick_fd])
        self.send(SET_VRING_CALL, struct.pack("<Q", index), [ring.call_fd])

    def enable_ring(self, index: int, enable: bool = True) -> int:
        """Enable or disable a ring, acknowledged."""
        return self.tell(SET_VRING_ENABLE, struct.pack("<II", index, int(enable)))

    def stop_ring(self, index: int) -> int:
        """GET_VRING_BASE: return how far the ring was served."""
        return struct.unpack("<II", self.ask(GET_VRING_BASE, struct.pack("<II", index, 0)))[1]

    def start_rings(self, bases=None) -> None:
        """Set all rings up and enable them."""
        for index, ring in enumerate(self.rings):
            self.start_ring(index, ring, bases[index] if bases else 0)
        for index in range(len(self.rings)):
            if self.enable_ring(index):
                raise RuntimeError(f"queue {index} was refused")

    def stop_rings(self) -> list[int]:
        """Stop all rings, as for a reset or a pause."""
        return [self.stop_ring(index) for index in range(len(self.rings))]

    def reset_rings(self) -> None:
        """As a driver that resets the device and sets it up again."""
        self.stop_rings()
        for ring in self.rings:
            ring.clear()
        self.start_rings()

    def setup(self, n_queues: int = 2, size: int = 128) -> "Frontend":
        """Send everything that QEMU sends to set up the device."""
        self.handshake()
        if self.set_memory():
            raise RuntimeError("the memory table was refused")
        self.rings = [Ring(self.memory, size) for _ in range(n_queues)]
        self.start_rings()
        return self

    def close(self) -> None:
        """Disconnect."""
        self.sock.close()
        for ring in self.rings:
            ring.close()
        self.rings = []
        self.memory.close()

    def __enter__(self) -> "Frontend":
        return self

    def __exit__(self, *_unused) -> None:
        self.close()
