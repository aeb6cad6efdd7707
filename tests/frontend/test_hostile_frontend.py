# SPDX-License-Identifier: BSD-3-Clause
"""A frontend that sends messages it should not loses its device; others are not affected."""
import contextlib
import fcntl
import os
import random
import socket
import struct
import unittest

import vhost_user as vu
from memory import Memory, Region
from rig import FrontendTest
from vhost_user import Dropped, Frontend, Ring
from vm.process import Deadline

MIB = 1 << 20


class HostileFrontend(FrontendTest):
    """Each refusal is logged with the guest, the message and the reason."""

    def setUp(self):
        super().setUp()
        self.bystander_channel = self.bystander()
        self.wait_free("vm1")
        self.fds = self.least_fds()

    def tearDown(self):
        for frontend in self.frontends:
            if frontend is not self.bystander_channel.driver.frontend:
                frontend.close()
        if not self._outcome.success:
            return
        self.wait_free("vm1")
        self.assert_undisturbed(self.bystander_channel)
        deadline = Deadline(5)
        while self.n_fds() > self.fds:
            deadline.check(f"descriptors leak: {self.n_fds()}, {self.fds} before")

    def least_fds(self) -> int:
        """The lowest number of descriptors for a while, without our control clients."""
        deadline, least = Deadline(0.1), self.n_fds()
        while deadline.left():
            least = min(least, self.n_fds())
        return least

    def shaken(self) -> Frontend:
        """A frontend after the handshake."""
        frontend = self.connect()
        frontend.handshake()
        return frontend

    def assert_dropped(self, frontend: Frontend, *words: str) -> None:
        """The frontend is dropped, with a log line; a well-behaved one is served after it."""
        self.assertTrue(frontend.dropped())
        self.assert_logged("guest vm1", *words)
        frontend.close()
        self.wait_free("vm1")
        self.log_start = len(self.daemon.log())
        again = self.echo_channel()
        again.echo(os.urandom(1000))
        again.driver.frontend.close()
        self.wait_free("vm1")

    def assert_memory_refused(self, why: str, *regions: Region, count: int | None = None,
                              fds: list[int] | None = None) -> None:
        """SET_MEM_TABLE with these regions ends the connection."""
        with self.subTest(why=why):
            frontend = self.shaken()
            payload, good_fds = frontend.mem_table(regions)
            if count is not None:
                payload = struct.pack("<I", count) + payload[4:]
            frontend.send(vu.SET_MEM_TABLE, payload, good_fds if fds is None else fds,
                          vu.VERSION | vu.NEED_REPLY)
            self.assert_dropped(frontend, "SET_MEM_TABLE", why)
        for region in regions:
            region.close()

    # Messages that are not ours

    def test_messages_that_are_not_offered(self):
        """Each is refused. The connection lives only if an acknowledgement was asked for."""
        allowed = set(range(1, 6)) | set(range(8, 19))
        for request in (*(set(range(60)) - allowed), 2**31, 2**32 - 1):
            with self.subTest(request=request):
                frontend = self.shaken()
                files = [os.memfd_create("x") for _ in range(8)]
                # (its number of queues, lest DPDK drops it unasked: see the next test but one)
                payload = os.urandom(16) + struct.pack("<HH", 1, 1) + bytes(4)
                frontend.send(request, payload, files, vu.VERSION | vu.NEED_REPLY)
                self.assertEqual(struct.unpack("<Q", frontend.receive()[2])[0], 1)
                self.assert_logged("guest vm1", "not offered", f"({request})")
                frontend.send(request, payload, files)
                self.assertTrue(frontend.dropped())
                for fd in files:
                    os.close(fd)
                frontend.close()
                self.wait_free("vm1")

    def test_log_and_inflight_by_name(self):
        """The messages of the CVEs of 2026."""
        for request, name, payload in (
                (vu.SET_LOG_BASE, "SET_LOG_BASE", struct.pack("<QQ", 4096, 2**63)),
                (vu.GET_INFLIGHT_FD, "GET_INFLIGHT_FD", struct.pack("<QQHH", 0, 0, 2, 65535)),
                (vu.SET_INFLIGHT_FD, "SET_INFLIGHT_FD", struct.pack("<QQHH", 64, 0, 2, 65535)),
                (vu.SET_INFLIGHT_FD, "SET_INFLIGHT_FD", struct.pack("<QQHH", 64, 0, 1, 1))):
            frontend = self.shaken()
            with _file() as file:
                frontend.send(request, payload, [file.fileno()])
            self.assert_dropped(frontend, name)

    def test_queue_number_past_dpdk(self):
        """With descriptors, which DPDK would leak."""
        for request in (vu.SET_VRING_NUM, vu.SET_VRING_BASE, vu.GET_VRING_BASE,
                        vu.SET_VRING_ENABLE, vu.SET_INFLIGHT_FD):
            frontend = self.shaken()
            with _file() as file:
                more = bytes(32 if request == vu.SET_INFLIGHT_FD else 0)
                frontend.send(request, struct.pack("<II", 256, 0) + more, [file.fileno()] * 8)
            self.assert_dropped(frontend, vhost_name(request),
                                "not offered" if request == vu.SET_INFLIGHT_FD else "descriptors come")

    # Memory tables

    def test_region_counts(self):
        self.assert_memory_refused("number of regions", count=0)
        regions = [Region(i * MIB, 4096) for i in range(9)]
        frontend = self.shaken()
        self.assertEqual(frontend.set_memory(regions[:8]), 0)
        frontend.send(vu.SET_MEM_TABLE, *frontend.mem_table(regions))
        self.assertTrue(frontend.dropped())
        for region in regions:
            region.close()
        frontend.close()
        self.wait_free("vm1")
        self.assert_memory_refused("one descriptor per region", Region(0, MIB), fds=[])
        one = Region(0, MIB)
        self.assert_memory_refused("one descriptor per region", one, Region(MIB, MIB), fds=[one.fd])

    def test_region_sizes(self):
        self.assert_memory_refused("larger than its file", Region(0, MIB, file_bytes=MIB - 4096))
        self.assert_memory_refused("larger than its file", Region(0, MIB, file_bytes=0))
        self.assert_memory_refused("larger than its file",
                                   Region(0, MIB, offset=8192, file_bytes=MIB + 4096))
        for size in (0, 1, 4095, 4097):
            self.assert_memory_refused("empty" if not size else "whole pages",
                                       _lying(size=size))

    def test_region_overflows(self):
        top = 2**64
        for why, region in (
                ("wraps around", _lying(size=top - 8192)),
                ("larger than its file", _lying(size=1 << 62)),
                ("larger than its file", _lying(offset=top - 4096)),
                ("larger than its file", _lying(offset=top - MIB)),
                ("page of its file", _lying(offset=100)),
                ("whole pages", _lying(gpa=100)),
                ("whole pages", _lying(user=0x7F0000000001)),
                ("wraps around", _lying(gpa=top - 4096)),
                ("wraps around", _lying(user=top - 4096)),
                ("wraps around", _lying(gpa=4096, size=top - 4096))):
            self.assert_memory_refused(why, region)

    def test_region_overlaps(self):
        self.assert_memory_refused("guest-physical", Region(0, MIB),
                                   Region(MIB - 4096, MIB, user=0x10000000))
        self.assert_memory_refused("guest-physical", Region(0, MIB),
                                   Region(0, MIB, user=0x10000000))
        self.assert_memory_refused("frontend addresses", Region(0, MIB, user=0x10000000),
                                   Region(4 * MIB, MIB, user=0x10000000 + MIB - 4096))

    def test_region_files(self):
        left, right = socket.socketpair()
        read_end, write_end = os.pipe()
        zero, eventfd = os.open("/dev/zero", os.O_RDWR), os.eventfd(0)
        plain = _file()
        plain.truncate(MIB)
        read_only = os.open(f"/proc/self/fd/{plain.fileno()}", os.O_RDONLY)
        for why, fd in (("not that of a file", left.fileno()), ("not that of a file", read_end),
                        ("not that of a file", zero), ("not that of a file", eventfd),
                        ("reading and writing", read_only)):
            self.assert_memory_refused(why, Region(0, MIB), fds=[fd])
        for fd in (read_end, write_end, zero, eventfd, read_only):
            os.close(fd)
        left.close()
        right.close()
        plain.close()

    def test_sealed_file(self):
        """It cannot be mapped for writing."""
        fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, MIB)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        self.assert_memory_refused("cannot be mapped", _lying(), fds=[fd])
        os.close(fd)

    # Rings

    def test_vring_addresses(self):
        """Each part outside memory, past its end, and misaligned."""
        for part in range(3):
            for address in (0, 0x7F0000000000, 2**64 - 16, -16, -8):
                with self.subTest(part=part, address=address):
                    frontend = self.shaken()
                    self.assertEqual(frontend.set_memory(), 0)
                    ring = Ring(frontend.memory)
                    frontend.rings = [ring]
                    region = frontend.memory.regions[0]
                    words = list(struct.unpack("<IIQQQQ", frontend.addr_payload(0, ring)))
                    end = 0 if address >= 0 else region.user + region.size
                    words[2 + part] = end + address
                    frontend.send(vu.SET_VRING_NUM, struct.pack("<II", 0, ring.size))
                    frontend.send(vu.SET_VRING_ADDR, struct.pack("<IIQQQQ", *words))
                    self.assertTrue(frontend.dropped())
                    self.assert_logged("guest vm1", "SET_VRING_ADDR", "not in guest memory")
                    frontend.close()
                    self.wait_free("vm1")

    def test_vring_alignment(self):
        for part, by in ((0, 8), (1, 2), (2, 1)):  # desc, used, avail as the payload has them
            with self.subTest(part=part):
                frontend = self.shaken()
                self.assertEqual(frontend.set_memory(), 0)
                ring = Ring(frontend.memory)
                frontend.rings = [ring]
                words = list(struct.unpack("<IIQQQQ", frontend.addr_payload(0, ring)))
                words[2 + part] += by
                frontend.start_ring(0, ring)
                with contextlib.suppress(Dropped):
                    frontend.send(vu.SET_VRING_ADDR, struct.pack("<IIQQQQ", *words))
                    frontend.send(vu.SET_VRING_ENABLE, struct.pack("<II", 0, 1))
                self.assert_dropped(frontend, "queue 0", "misaligned")

    def test_vring_size_grows_under_a_running_ring(self):
        """DPDK takes the new size at once; the parts no longer fit."""
        frontend = self.device(memory=Memory(size=MIB // 4), size=8)
        ring = frontend.rings[1]
        frontend.send(vu.SET_VRING_NUM, struct.pack("<II", 1, 32768))
        self.assert_dropped(frontend, "queue 1", "not in guest memory")
        self.assertIsNotNone(ring)

    def test_vring_numbers(self):
        for num in (0, 3, 100, 32769, 65536, 2**32 - 1):
            frontend = self.shaken()
            frontend.send(vu.SET_VRING_NUM, struct.pack("<II", 0, num))
            self.assert_dropped(frontend, "SET_VRING_NUM", "power of two")
        frontend = self.shaken()
        frontend.send(vu.SET_VRING_BASE, struct.pack("<II", 0, 65536))
        self.assert_dropped(frontend, "SET_VRING_BASE", "16 bits")
        for request in (vu.SET_VRING_NUM, vu.SET_VRING_ENABLE, vu.GET_VRING_BASE):
            frontend = self.shaken()
            frontend.send(request, struct.pack("<II", 17, 16))
            self.assert_dropped(frontend, "no such queue")

    def test_vring_descriptors(self):
        read_end, write_end = os.pipe()
        left, right = socket.socketpair()
        eventfd = os.eventfd(0)
        for request in (vu.SET_VRING_KICK, vu.SET_VRING_CALL, vu.SET_VRING_ERR):
            for why, word, fds in (("not an eventfd", 0, [write_end]),
                                   ("not an eventfd", 0, [left.fileno()]),
                                   ("number of descriptors", 0, []),
                                   ("number of descriptors", 0, [eventfd] * 8),
                                   ("number of descriptors", 0x100, [eventfd]),
                                   ("unknown bits", 0x200, [eventfd]),
                                   ("no such queue", 0x11, [eventfd])):
                with self.subTest(request=request, why=why):
                    frontend = self.shaken()
                    frontend.send(request, struct.pack("<Q", word), fds)
                    self.assert_dropped(frontend, why)
        frontend = self.shaken()
        frontend.send(vu.SET_VRING_KICK, struct.pack("<Q", 0x100))
        self.assert_dropped(frontend, "SET_VRING_KICK", "polling")
        frontend = self.shaken()
        frontend.send(vu.SET_VRING_ERR, struct.pack("<Q", 0), [eventfd])
        self.assertEqual(frontend.ask_u64(vu.GET_FEATURES), frontend.features)
        for fd in (read_end, write_end, eventfd):
            os.close(fd)
        left.close()
        right.close()

    def test_logging_of_a_ring(self):
        frontend = self.shaken()
        self.assertEqual(frontend.set_memory(), 0)
        ring = Ring(frontend.memory)
        frontend.rings = [ring]
        payload = frontend.addr_payload(0, ring)
        frontend.send(vu.SET_VRING_NUM, struct.pack("<II", 0, 128))
        frontend.send(vu.SET_VRING_ADDR, payload[:4] + struct.pack("<I", 1) + payload[8:])
        self.assert_dropped(frontend, "SET_VRING_ADDR", "logging")

    def test_call_descriptor_that_is_full(self):
        """A call that would block forever does not."""
        channel = self.echo_channel()
        frontend = channel.driver.frontend
        call = os.dup(frontend.rings[1].call_fd)
        os.set_blocking(call, True)
        self.addCleanup(os.close, call)
        os.eventfd_write(call, 1)
        os.eventfd_read(call)
        os.eventfd_write(call, 2**64 - 2)
        os.set_blocking(call, False)
        channel.write_some(os.urandom(1000))
        channel.rx.event.value = channel.rx.cursor.value
        channel.ring()
        channel.driver.ping()
        self.assert_undisturbed(self.bystander_channel)
        frontend.close()

    # The stream of messages

    def test_lengths(self):
        for request, size in ((vu.SET_FEATURES, 4), (vu.SET_FEATURES, 16), (vu.GET_FEATURES, 8),
                              (vu.SET_OWNER, 1), (vu.SET_VRING_NUM, 4), (vu.SET_VRING_ADDR, 8),
                              (vu.SET_MEM_TABLE, 4), (vu.SET_MEM_TABLE, 8), (vu.SET_VRING_KICK, 0),
                              (vu.SET_VRING_ENABLE, 40), (vu.RESET_OWNER, 8)):
            with self.subTest(request=request, size=size):
                frontend = self.shaken()
                frontend.send(request, b"\1" + bytes(size - 1) if size else b"")
                self.assert_dropped(frontend, "refused")

    def test_stalled_message(self):
        """A header is given two seconds for its payload."""
        frontend = self.shaken()
        frontend.send(vu.SET_FEATURES, b"", size=8)
        self.assert_dropped(frontend, "SET_FEATURES", "could not be read")

    def test_cut_messages(self):
        for data in (b"\1", bytes(11), struct.pack("<III", 5, 1, 2**31),
                     struct.pack("<III", 5, 1, 633), struct.pack("<III", 2, 1, 8) + b"\0"):
            frontend = self.shaken()
            frontend.sock.sendall(data)
            frontend.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(frontend.dropped())
            frontend.close()
            self.wait_free("vm1")

    def test_rings_before_memory(self):
        frontend = self.shaken()
        ring = Ring(frontend.memory)
        frontend.rings = [ring]
        with contextlib.suppress(Dropped):
            frontend.start_ring(0, ring)
        self.assert_dropped(frontend, "SET_VRING_ADDR", "not in guest memory")

    def test_reset_owner_while_streaming(self):
        channel = self.echo_channel()
        channel.write_some(os.urandom(60000))
        channel.ring()
        frontend = channel.driver.frontend
        self.assertEqual(frontend.tell(vu.RESET_OWNER), 0)
        self.assertEqual(self.guest_state("vm1")["queues"], 0)
        frontend.close()

    def test_connections_come_and_go(self):
        for _ in range(100):
            with Frontend(self.scratch / "vm1.sock", Memory(size=MIB)):
                pass
        self.wait_free("vm1")

    def test_random_messages(self):
        """Random messages, some good, some almost good: nobody else notices, nothing leaks."""
        noise = self.seed()
        for _ in range(60):
            with Frontend(self.scratch / "vm1.sock", Memory(size=4 * MIB)) as frontend:
                try:
                    self.converse(noise, frontend)
                except (Dropped, OSError):
                    pass
            self.wait_free("vm1")
        self.assert_undisturbed(self.bystander_channel)

    def converse(self, noise: random.Random, frontend: Frontend) -> None:
        """Send some messages, starting in the middle of a conversation."""
        frontend.sock.settimeout(0.001)
        frontend.rings = [Ring(frontend.memory, 16) for _ in range(2)]
        if noise.random() < 0.8:
            frontend.sock.settimeout(20)
            frontend.handshake()
            if noise.random() < 0.8:
                frontend.set_memory()
                frontend.start_rings()
            frontend.sock.settimeout(0.001)
        for _ in range(40):
            request = noise.choice((*range(1, 45), 5, 8, 9, 10, 11, 12, 13, 18))
            payload, fds = self.almost_good(noise, frontend, request)
            if noise.random() < 0.2:
                payload = noise.randbytes(noise.randrange(0, 64))
            if noise.random() < 0.1:
                fds = [frontend.rings[0].kick_fd] * noise.randrange(9)
            frontend.send(request, payload, fds, noise.choice((1, 1, 9, 9, 5, 0xFFFFFFFF)))
            try:
                frontend.receive()
            except TimeoutError:
                pass

    def almost_good(self, noise: random.Random, frontend: Frontend, request: int):
        """What a good message would have, more or less: (payload, descriptors)."""
        queue = noise.choice((0, 0, 1, 1, 1, 16, 17, 255, 256, 2**32 - 1))
        ring = frontend.rings[queue % 2]
        if request == vu.SET_MEM_TABLE:
            payload, fds = frontend.mem_table()
            words = list(struct.unpack("<QQQQ", payload[8:]))
            if noise.random() < 0.5:
                words[noise.randrange(4)] ^= 1 << noise.randrange(64)
            return payload[:8] + struct.pack("<QQQQ", *words), fds
        if request == vu.SET_VRING_ADDR:
            words = list(struct.unpack("<IIQQQQ", frontend.addr_payload(queue, ring)))
            if noise.random() < 0.5:
                words[noise.randrange(2, 6)] ^= 1 << noise.randrange(64)
            return struct.pack("<IIQQQQ", *words), []
        if request in (vu.SET_VRING_KICK, vu.SET_VRING_CALL, vu.SET_VRING_ERR):
            return struct.pack("<Q", queue), [ring.kick_fd]
        if request in (vu.SET_FEATURES, vu.SET_PROTOCOL_FEATURES):
            return struct.pack("<Q", noise.choice((vu.F_VERSION_1, 0, 2**64 - 1, 9))), []
        return struct.pack("<II", queue, noise.choice((0, 1, 16, 128, 32768, 7))), []


def vhost_name(request: int) -> str:
    """The name of a request."""
    return next(name for name, value in vars(vu).items()
                if value == request and name.split("_")[0] in ("GET", "SET", "RESET"))


def _file():
    """A memfd that closes itself."""
    return os.fdopen(os.memfd_create("file"), "r+b")


def _lying(gpa: int = 0, size: int = MIB, user: int = 0x7F0000000000, offset: int = 0) -> Region:
    """A region of a file of 1 MiB whose description is wrong."""
    region = Region(0, MIB)
    region.gpa, region.size, region.user, region.offset = gpa, size, user, offset
    return region


if __name__ == "__main__":
    unittest.main()
