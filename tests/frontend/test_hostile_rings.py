# SPDX-License-Identifier: BSD-3-Clause
"""A driver whose rings are malformed: the device stops until the driver resets it.

tests/unit/guest/virtqueue.c has each fault and its name.
"""
import contextlib
import os
import signal

from guest_end import PING, Channel, Driver
from memory import Memory, Region
from rig import FrontendTest
from vhost_user import Dropped, Ring
from vm.daemon import Daemon

NEXT, WRITE, INDIRECT = Ring.DESC_NEXT, Ring.DESC_WRITE, Ring.DESC_INDIRECT


class HostileRings(FrontendTest):
    """Each fault is logged with the queue and the reason; the bystander does not notice."""

    def setUp(self):
        super().setUp()
        self.bystander_channel = self.bystander()
        self.channel = self.echo_channel()
        self.channel.echo(os.urandom(1000))
        self.driver_ = self.channel.driver
        self.errors = self.guest_state("vm1")["device_errors"]

    def assert_broken(self, queue: int, reason: str, pending: bytes = b"") -> None:
        """The device stops, the connection stays, and a reset heals it.

        After that, the bytes in the ring of the echo channel come back.
        """
        frontend, driver = self.driver_.frontend, self.driver_
        self.assert_logged("guest vm1", f"queue {queue}", reason, "the device stops")
        state = self.guest_state("vm1")
        self.assertEqual(state["device_errors"], self.errors + 1)
        self.assertTrue(state["connected"])
        self.assertFalse(state["ready"])
        self.assertEqual(state["queues"], 0)
        self.assertEqual(self.channel_state("vm1", "echo")["state"], "suspended")
        self.assert_undisturbed(self.bystander_channel)
        frontend.reset_rings()
        driver.post_all()
        driver.hello()
        self.channel.attach()
        self.assertEqual(self.channel.read(len(pending)), pending)
        self.channel.echo(os.urandom(100000))
        self.errors += 1
        self.log_start = len(self.daemon.log())

    def publish(self, *descriptors, head: int = 0) -> None:
        """Write descriptors of the control queue from index 0 and make a head available."""
        ring = self.driver_.frontend.rings[0]
        for index, descriptor in enumerate(descriptors):
            ring.write_desc(index, *descriptor)
        ring.publish(head)
        ring.kick()

    def good(self) -> int:
        """The address of a PING with room behind it."""
        at = self.driver_.memory.alloc(4096)
        self.driver_.memory.write(at, self.driver_.header(PING, 16))
        return at

    def test_descriptors(self):
        at = self.good()
        for reason, head, *descriptors in (
                ("a chain is a loop", 0, (at, 4, NEXT, 1), (at, 4, NEXT, 2), (at, 4, NEXT, 0)),
                ("an available entry is outside", 0xFFFF, (at, 16, 0, 0)),
                ("goes on outside the descriptor table", 0, (at, 16, NEXT, 0xFFFF)),
                ("length zero", 0, (at, 16, NEXT, 1), (at, 0, WRITE, 0)),
                ("not in guest memory", 0, (1 << 45, 1, 0, 0)),
                ("wraps around", 0, (2**64 - 8, 16, 0, 0))):
            with self.subTest(reason):
                self.publish(*descriptors, head=head)
                self.assert_broken(0, reason)

    def test_long_loop_of_a_large_ring(self):
        self.driver_.frontend.close()
        self.wait_free("vm1")
        self.driver_ = Driver(self.device(memory=Memory(size=16 << 20), size=32768))
        self.driver_.hello()
        self.channel = Channel(self.driver_, "echo").attach().open()
        self.publish((self.good(), 1, NEXT, 0))
        self.assert_broken(0, "more pieces than any request needs")

    def test_available_index(self):
        ring = self.driver_.frontend.rings[0]
        ring.set_avail_idx((ring.used_idx() + 129) & 0xFFFF)
        ring.kick()
        self.assert_broken(0, "available index is more than")

    def test_event_queue(self):
        at, ring = self.good(), self.driver_.frontend.rings[1]
        for index in range(ring.size):
            ring.write_desc(index, at, 16, INDIRECT | WRITE, 0)
        ring.kick()
        self.assert_broken(1, "indirect")

    def test_event_queue_breaks_while_bytes_move(self):
        """The ring breaks while an endpoint is about to ring."""
        channel, ring = self.channel, self.driver_.frontend.rings[1]
        self.driver_.take_events()
        for index in range(ring.size):
            ring.write_desc(index, 0, 0, 0, 0)
        channel.rx.event.value = channel.rx.cursor.value
        data = os.urandom(30000)
        channel.write_some(data)
        channel.ring()
        ring.kick()
        self.assert_broken(1, "length zero", data)

    def test_useless_event_buffers(self):
        """A buffer that is too small comes back unused; the others are used."""
        ring, at = self.driver_.frontend.rings[1], self.good()
        self.driver_.take_events()
        self.driver_.rung.clear()
        frontend = self.driver_.frontend
        frontend.reset_rings()
        self.driver_.hello()
        ring.add([(at, 8, True)])
        self.assertEqual(ring.wait()[1], 0)
        self.assert_logged("guest vm1", "queue 1", "not an event buffer")
        self.driver_.post_all()
        ring.kick()
        self.channel.attach()
        self.channel.echo(os.urandom(100000))

    def test_random_rings(self):
        """Random descriptors, random heads, on both queues: nobody else notices."""
        noise = self.seed()
        frontend, driver = self.driver_.frontend, self.driver_
        region = driver.memory.regions[0]
        for _ in range(150):
            ring = frontend.rings[noise.randrange(2)]
            for index in range(ring.size):
                gpa = noise.choice((region.gpa + noise.randrange(region.size),
                                    noise.randrange(2**64)))
                ring.write_desc(index, gpa, noise.choice((0, 1, 16, 80, 4096, 2**32 - 1)),
                                noise.randrange(8), noise.randrange(160))
            for _ in range(noise.randrange(1, 8)):
                ring.publish(noise.randrange(140))
            ring.kick()
            frontend.reset_rings()
        self.assert_undisturbed(self.bystander_channel)
        driver.post_all()
        driver.hello()
        self.channel.create()
        self.channel.instance += 1
        self.channel.create()
        self.channel.attach().open().echo(os.urandom(1000))


class LostMemory(FrontendTest):
    """The memory behind a region is taken away."""

    def lose(self, bystander: Channel, streaming: bool) -> None:
        """Empty the file under a guest while the bystander's bytes move."""
        memory = Memory(Region(0x100000, 8 << 20))
        channel = Channel(self.driver(memory=memory), "echo").attach().open()
        channel.echo(os.urandom(10000))
        frontend = channel.driver.frontend
        kick = os.dup(frontend.rings[1].kick_fd)
        self.addCleanup(os.close, kick)
        if streaming:
            channel.driver.memory.fetch_or(channel.driver.bell, 1)
            channel.write_some(os.urandom(60000))
        errors = self.guest_state("vm1")["device_errors"]
        memory.regions[0].truncate(0)
        os.eventfd_write(kick, 1)
        os.eventfd_write(frontend.rings[0].kick_fd, 1)
        self.assertTrue(frontend.dropped())
        self.assert_logged("guest vm1", "guest memory is gone")
        self.assertGreater(self.guest_state("vm1")["device_errors"], errors)
        self.assert_undisturbed(bystander)
        again = self.echo_channel()
        again.echo(os.urandom(1000))
        again.driver.frontend.close()

    def test_all_of_it(self):
        self.lose(self.bystander(), False)

    def test_all_of_it_while_streaming(self):
        bystander = self.bystander()
        for _ in range(10):
            self.lose(bystander, True)

    def test_its_tail(self):
        """The end of the file: the channel's rings go, those of the queues stay."""
        bystander = self.bystander()
        memory = Memory(Region(0x100000, 2 << 20), Region(0x40000000, 2 << 20))
        driver = self.driver(memory=memory)
        channel = Channel(driver, "echo", region=1).attach().open()
        channel.echo(os.urandom(10000))
        memory.regions[1].truncate(4096)
        channel.tx.cursor.value += 1000
        driver.memory.fetch_or(driver.bell, 1 << channel.id // 16)
        driver.frontend.rings[1].kick()
        self.assertTrue(driver.frontend.dropped())
        self.assert_logged("guest vm1", "guest memory is gone")
        self.assert_undisturbed(bystander)

    def test_while_dpdk_looks(self):
        """Rings are set up in memory that has just gone, so DPDK's own reads fail."""
        bystander = self.bystander()
        frontend = self.connect()
        frontend.handshake()
        self.assertEqual(frontend.set_memory(), 0)
        ring = Ring(frontend.memory)
        frontend.rings = [ring]
        frontend.memory.regions[0].truncate(0)
        with contextlib.suppress(Dropped):
            frontend.start_ring(0, ring)
        self.assertTrue(frontend.dropped())
        self.assert_logged("guest vm1", "guest memory is gone")
        self.assert_undisturbed(bystander)

    def test_a_signal_from_elsewhere_still_ends_the_daemon(self):
        """A SIGBUS that is not about guest memory ends the process as usual."""
        other = Daemon({"guests": []})
        try:
            other.signal(signal.SIGBUS)
            self.assertEqual(other.wait(), -signal.SIGBUS)
        finally:
            other.stop()
