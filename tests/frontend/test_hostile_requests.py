# SPDX-License-Identifier: BSD-3-Clause
"""A driver that sends nonsense on the control queue, or scribbles over shared memory.

tests/unit has every field of a request (guest/wire.c), of a control memsection (libfs/socketpair.c)
and of a ring (channel/channel.c). Here a guest's lies are refused, told, counted and logged.
"""
import os
import struct

from guest_end import ATTACH, CHANNEL_INFO, DETACH, HELLO, MAGIC, PING, RELEASE, SETTLE, Channel
from rig import RING_BYTES, STATUS, FrontendTest
from vhost_user import Ring


class HostileRequests(FrontendTest):
    """Every refusal has its own status and affects nobody else."""

    def setUp(self):
        super().setUp()
        self.bystander_channel = self.bystander()
        self.driver_ = self.driver()
        self.refusals = self.guest_state("vm1")["requests_refused"]

    def tearDown(self):
        self.assertTrue(self.daemon.running(), self.daemon.log()[-4000:])
        if self._outcome.success:
            self.assert_undisturbed(self.bystander_channel)
            self.driver_.ping()

    def assert_status(self, reply: bytes, name: str) -> None:
        """The reply is a header with that status; it was counted and logged."""
        self.assertEqual(len(reply), 16)
        magic, _, status, size, _ = struct.unpack("<IHHII", reply)
        self.assertEqual((magic, size), (MAGIC, 16))
        self.assertEqual(status, STATUS[name], f"expected {name}")
        self.assert_logged("guest vm1", name)
        self.refusals += 1
        self.assertEqual(self.guest_state("vm1")["requests_refused"], self.refusals)

    def assert_refused(self, name: str, kind: int, body: bytes = b"") -> None:
        """A well-formed request is refused."""
        self.assert_status(self.driver_.raw(self.driver_.header(kind, 16 + len(body)) + body), name)

    def test_requests(self):
        header = self.driver_.header
        too_long = 88 + 8 * (2 * 16384 + 256) + 8
        for name, request in (
                ("REQ_CHAIN", b""), ("REQ_LENGTH", os.urandom(3)),
                ("REQ_MAGIC", header(PING, 16, magic=0x12345678)),
                ("REQ_TYPE", header(SETTLE + 1, 16)),
                ("REQ_RESERVED", header(PING, 16, reserved=1)),
                ("REQ_RESERVED", header(CHANNEL_INFO, 24) + struct.pack("<II", 0, 1)),
                ("REQ_LENGTH", header(PING, 17)), ("REQ_LENGTH", header(PING, 17) + b"\0"),
                ("REQ_LENGTH", header(HELLO, 39) + bytes(23)),
                ("REQ_LENGTH", header(ATTACH, too_long) + bytes(too_long - 16))):
            with self.subTest(name=name, request=request[:24].hex()):
                self.assert_status(self.driver_.raw(request), name)

    def test_reply_space(self):
        driver = self.driver_
        request = driver.header(CHANNEL_INFO, 24) + bytes(8)
        self.assert_status(driver.raw(request, room=103), "REQ_REPLY_SPACE")
        self.assert_status(driver.raw(request, room=16), "REQ_REPLY_SPACE")
        for room in (0, 1, 15):
            self.assertEqual(driver.raw(driver.header(PING, 16), room=room), b"")
            self.refusals += 1
            self.assertEqual(self.guest_state("vm1")["requests_refused"], self.refusals)

    def test_hello(self):
        def body(version=1, queues=1, bell=self.driver_.bell):
            return struct.pack("<IIQQ", version, queues, bell, 1)
        self.assert_refused("REQ_VERSION", HELLO, body(version=0))
        for queues in (0, 17, 0xFFFFFFFF):
            self.assert_refused("REQ_QUEUES", HELLO, body(queues=queues))
        for bell in (self.driver_.bell + 8, 0, 1 << 40, 2**64 - 4096, 2**64 - 1):
            self.assert_refused("BELL_ADDRESS", HELLO, body(bell=bell))

    def test_before_hello(self):
        frontend = self.driver_.frontend
        frontend.reset_rings()
        self.driver_.post_all()
        ring = (RING_BYTES, RING_BYTES, 1)
        attach = self.geometry([(4096, 4096, 1), ring, ring], (4096, 8192, 12288))
        for kind, body in ((PING, b""), (CHANNEL_INFO, bytes(8)), (DETACH, bytes(8)),
                           (RELEASE, bytes(8)), (ATTACH, attach)):
            self.assert_refused("REQ_NO_HELLO", kind, body)
        self.driver_.hello()

    def test_no_channel(self):
        for ident in (2, 1024, 0xFFFFFFFF):
            self.assert_refused("NO_CHANNEL", DETACH, struct.pack("<II", ident, 0))
        for generation in (1, 1 << 31):
            self.assert_refused("NO_CHANNEL", DETACH, struct.pack("<II", 0, generation))
        channel = Channel(self.driver_, "echo")
        channel.id = 2
        self.assert_refused("NO_CHANNEL", ATTACH, channel.body())
        channel.id, channel.generation = 0, 1
        self.assert_refused("NO_CHANNEL", ATTACH, channel.body())

    def geometry(self, sections, chunks=(), instance=1, ident=0) -> bytes:
        """Body of an ATTACH of any shape: sections are (bytes, chunk bytes, number)."""
        body = struct.pack("<IIQII", ident, 0, instance, 0, 0)
        for section in sections:
            body += struct.pack("<QII", *section)
        return body + b"".join(struct.pack("<Q", gpa) for gpa in chunks)

    def test_geometry(self):
        ctl, ring = (4096, 4096, 1), (RING_BYTES, RING_BYTES, 1)
        gpas = [self.driver_.memory.alloc(RING_BYTES) for _ in range(3)]
        for status, sections in (
                ("SEC_BYTES", [ctl, (2**64 - 1, 4096, 1), ring]),
                ("MEMSEC_CHUNK_BYTES", [ctl, (RING_BYTES, 12288, 5), ring]),
                ("MEMSEC_CHUNK_COUNT", [ctl, ring, (RING_BYTES, 4096, 0xFFFFFFFF)]),
                ("REQ_LENGTH", [ctl, ring, (RING_BYTES, RING_BYTES // 2, 2)]),
                ("SEC_BYTES", [ctl, ring, (RING_BYTES // 2, RING_BYTES // 2, 1)]),
                ("SEC_BYTES", [(2 << 20, 2 << 20, 1), ring, ring])):
            with self.subTest(sections=sections):
                self.assert_refused(status, ATTACH, self.geometry(sections, gpas))
        self.assert_refused("CTL_INSTANCE", ATTACH, self.geometry([ctl, ring, ring], gpas, 0))

    def test_chunks(self):
        memory = self.driver_.memory
        channel = Channel(self.driver_, "echo", chunk=4096)
        other = Channel(self.driver_, "echo2", instance=7).attach()
        good = channel.gpas[1][3]
        end = memory.regions[0].gpa + memory.regions[0].size
        ring = self.driver_.frontend.rings[0]
        for status, gpa in (
                ("CHUNK_ALIGN", good + 1), ("CHUNK_ALIGN", good + 2048), ("CHUNK_ALIGN", 2**64 - 1),
                ("CHUNK_UNMAPPED", 0), ("CHUNK_UNMAPPED", end), ("CHUNK_UNMAPPED", 2**64 - 4096),
                ("CHUNK_OVERLAP", channel.gpas[1][4]), ("CHUNK_OVERLAP", channel.gpas[0][0]),
                ("CHUNK_OVERLAP", channel.gpas[2][15]), ("CHUNK_OVERLAP", self.driver_.bell),
                ("CHUNK_OVERLAP", other.gpas[1][0]), ("CHUNK_OVERLAP", other.gpas[2][0] + 61440),
                ("CHUNK_OVERLAP", ring.desc), ("CHUNK_OVERLAP", ring.used)):
            with self.subTest(status=status, gpa=hex(gpa)):
                channel.gpas[1][3] = gpa
                self.assert_refused(status, ATTACH, channel.body())
        channel.gpas[1][3] = good
        channel.attach().open().echo(os.urandom(100000))

    def test_chunk_over_the_end_of_a_region(self):
        memory = self.driver_.memory
        channel = Channel(self.driver_, "echo", chunk=RING_BYTES)
        channel.gpas[1][0] = memory.regions[0].gpa + memory.regions[0].size - 4096
        self.assert_refused("CHUNK_UNMAPPED", ATTACH, channel.body())

    def test_control_memsection(self):
        """Its header is wrong, or is not that of the instance that is attached."""
        channel = Channel(self.driver_, "echo")
        for number, (status, offset, value) in enumerate((("CTL_MAGIC", 0, 0),
                                                          ("CTL_PIPE_OVERLAP", 44, 384))):
            with self.subTest(status=status):
                channel.instance = 0x100 + number
                channel.create()
                channel.memory.write(channel.gpas[0][0] + offset, struct.pack("<I", value))
                with self.refused(status):
                    channel.attach()
                self.assert_logged("guest vm1", "channel echo", status)
        channel.instance = 0x200
        channel.create()
        with self.refused("CTL_INSTANCE"):
            channel.driver.ask(ATTACH, channel.body(instance=0x201))
        channel.instance = 0x300
        channel.create()
        channel.attach().open().echo(os.urandom(1000))

    def test_scribbled_cursors(self):
        """A lie with a cursor fails that channel, which the log names; the other one goes on."""
        other = Channel(self.driver_, "echo2", instance=9).attach().open()
        channel = Channel(self.driver_, "echo")
        for number, (status, pipe, value) in enumerate((("HEAD_BACK", "tx", 5),
                                                        ("TAIL_PAST_HEAD", "rx", 1 << 40))):
            with self.subTest(status=status):
                channel.instance = 0x500 + number
                channel.create()
                channel.attach().open()
                # more than the ring, so that the host has seen both cursors far from 0
                channel.echo(os.urandom(3 * RING_BYTES))
                self.driver_.failures.clear()
                getattr(channel, pipe).cursor.value = value
                channel.ring()
                self.assertEqual(self.driver_.wait_failures(),
                                 [(channel.id, STATUS[status], channel.instance)])
                self.assert_logged("guest vm1", "channel echo", status)
                self.assertEqual(self.channel_state("vm1", "echo")["state"], "failed")
                with self.refused("CHANNEL_FAILED"):
                    channel.attach()
                other.echo(os.urandom(1000))

    def test_scribbled_pages(self):
        """All of ctl overwritten, again and again, while bytes move."""
        noise = self.seed()
        channel = Channel(self.driver_, "echo")
        for number in range(100):
            channel.instance = 0x900 + number
            channel.create()
            channel.attach().open()
            channel.write_some(noise.randbytes(noise.randrange(1, RING_BYTES)))
            where = channel.gpas[0][0] + 128 + 8 * noise.randrange(512 // 8 + 24)
            channel.memory.write(where, noise.randbytes(noise.randrange(8, 200)))
            channel.ring()
            self.driver_.ping()
            self.driver_.take_events()

    def test_bells_of_channels_that_are_not(self):
        memory = self.driver_.memory
        for word in range(16):
            memory.fetch_or(self.driver_.bell + 8 * word, 2**64 - 1)
        self.driver_.frontend.rings[1].kick()
        channel = Channel(self.driver_, "echo").attach().open()
        channel.echo(os.urandom(1000))
        self.assertTrue(all(memory.word(self.driver_.bell + 8 * word).value == 0
                            for word in range(1, 16)))


class Flood(FrontendTest):
    """At the default log level, a guest cannot fill the log."""

    DAEMON_ARGS = ()

    def test_refused_requests(self):
        driver = self.driver()
        before = self.guest_state("vm1")["requests_refused"]
        for _ in range(3000):
            driver.raw(driver.header(77, 16))
        self.assertLess(self.daemon.log().count("REQ_TYPE"), 200)
        self.assertEqual(self.guest_state("vm1")["requests_refused"], before + 3000)


class Fuse(FrontendTest):
    """Firmware and stray virtiofs mounts speak FUSE; they get the answer ENOTCONN."""

    INIT = struct.pack("<IIQQIIII", 104, 26, 0x1122334455667788, 1, 0, 0, 0, 0) + bytes(64)

    def ask(self, frontend, queue: int, request: bytes, room: int) -> bytes:
        """Send a FUSE request; return the answer."""
        memory = frontend.memory
        at = memory.alloc(4096)
        memory.write(at, request)
        chain = [(at, 40, False), (at + 40, len(request) - 40, False)] if len(request) > 40 else \
            [(at, len(request), False)]
        frontend.rings[queue].add(chain + ([(at + 2048, room, True)] if room else []))
        _, length = frontend.rings[queue].wait()
        return memory.read(at + 2048, length)

    REFUSAL = struct.pack("<IiQ", 16, -107, 0x1122334455667788)

    def test_firmware_sets_up_queue_1_alone(self):
        """As OVMF does: queue 0 is never set up, so the device is never complete."""
        frontend = self.connect()
        frontend.handshake()
        self.assertEqual(frontend.set_memory(), 0)
        frontend.rings = [Ring(frontend.memory), Ring(frontend.memory)]
        frontend.start_ring(1, frontend.rings[1])
        self.assertEqual(frontend.enable_ring(1), 0)
        for _ in range(300):
            self.assertEqual(self.ask(frontend, 1, self.INIT, 80), self.REFUSAL)
        self.assertEqual(self.guest_state("vm1")["fuse_requests_declined"] % 300, 0)

    def test_stray_mount_beside_our_driver(self):
        channel = self.echo_channel()
        frontend = channel.driver.frontend
        self.assertEqual(self.ask(frontend, 0, self.INIT, 80), self.REFUSAL)
        forget = struct.pack("<IIQQIIII", 48, 2, 5, 1, 0, 0, 0, 0) + bytes(8)
        self.assertEqual(self.ask(frontend, 0, forget, 0), b"")
        channel.echo(os.urandom(1000))
