# SPDX-License-Identifier: BSD-3-Clause
"""A frontend and a driver that do as they should."""
import os
import struct

from guest_end import NOT_GIVEN, Channel, Driver
from memory import Memory, Region
from rig import RING_BYTES, STATUS, FrontendTest
from vhost_user import (F_PROTOCOL_FEATURES, F_VERSION_1, PROTOCOL_MQ, PROTOCOL_REPLY_ACK,
                        SET_VRING_CALL, SET_VRING_KICK, Frontend)


class Faithful(FrontendTest):
    """Setting up, moving bytes, pausing, resetting."""

    def test_offers_what_it_needs_and_no_more(self):
        frontend = self.connect()
        frontend.handshake()
        self.assertEqual(frontend.features, F_VERSION_1 | F_PROTOCOL_FEATURES)
        self.assertEqual(frontend.protocol_features, PROTOCOL_MQ | PROTOCOL_REPLY_ACK)
        self.assertEqual(frontend.queue_num, 17)

    def test_requests(self):
        driver = Driver(self.device())
        version, n_channels, instance = driver.hello(version=7)
        self.assertEqual((version, n_channels), (1, 2))
        self.assertNotEqual(instance, 0)
        self.assertEqual(driver.info(0), {"id": 0, "generation": 0, "flags": 0,
                                          "ring_bytes": RING_BYTES,
                                          "name": "echo", "access": [NOT_GIVEN] * 3,
                                          "max_sessions": 0})
        self.assertEqual(list(driver.channels()), ["echo", "echo2"])
        driver.ping()
        driver.detach(1)
        channel = Channel(driver, "echo").attach()
        channel.attach()
        driver.detach(channel.id)
        driver.detach(channel.id)

    def test_echo(self):
        channel = self.echo_channel()
        for size in (1, 4095, 4096, 4097, RING_BYTES, 40 * RING_BYTES + 3):
            with self.subTest(size=size):
                channel.echo(os.urandom(size))
        stats = self.channel_state("vm1", "echo")
        self.assertEqual(stats["fwd"]["bytes"], stats["bwd"]["bytes"])
        self.assertEqual(channel.driver.failures, [])

    def test_page_chunks_and_request_in_pieces(self):
        channel = Channel(self.driver(), "echo", chunk=4096).attach(pieces=7).open()
        channel.echo(os.urandom(5 * RING_BYTES + 1))

    def test_sizes_of_queues(self):
        """With a frontend for each, which goes and comes again."""
        for size in (4, 8, 256, 1024):
            with self.subTest(size=size):
                driver = Driver(self.device(size=size))
                driver.hello()
                Channel(driver, "echo").attach().open().echo(os.urandom(100000))
                driver.frontend.close()

    def test_several_regions_and_offsets(self):
        memory = Memory(Region(0, 2 << 20, offset=8192), Region(4 << 20, 2 << 20, offset=4096),
                        Region(1 << 32, 2 << 20))
        driver = self.driver(memory=memory)
        Channel(driver, "echo", region=1).attach().open().echo(os.urandom(100000))
        Channel(driver, "echo2", region=2, instance=2).attach().open().echo(os.urandom(100000))

    def test_pause_and_go_on(self):
        """As QMP stop and cont: the driver knows nothing of it."""
        channel = self.echo_channel()
        channel.echo(os.urandom(1000))
        frontend = channel.driver.frontend
        bases = frontend.stop_rings()
        self.assertEqual(bases, [ring.used_idx() for ring in frontend.rings])
        self.assertGreater(bases[0], 0)
        self.assertEqual(self.channel_state("vm1", "echo")["state"], "suspended")
        channel.write_some(b"while you slept")
        channel.ring()
        frontend.start_rings(bases)
        self.assertEqual(self.channel_state("vm1", "echo")["state"], "attached")
        self.assertEqual(channel.read(15), b"while you slept")
        channel.echo(os.urandom(200000))

    def attaches(self) -> int:
        """How often the channel's memory was taken up."""
        return self.channel_state("vm1", "echo")["attaches"]

    def test_descriptors_are_replaced(self):
        """As QEMU does when a guest masks an interrupt: the channel is not taken up again."""
        for request, name in ((SET_VRING_CALL, "call_fd"), (SET_VRING_KICK, "kick_fd")):
            with self.subTest(name):
                channel = self.echo_channel()
                frontend, attaches = channel.driver.frontend, self.attaches()
                for index, ring in enumerate(frontend.rings):
                    os.close(getattr(ring, name))
                    setattr(ring, name, os.eventfd(0, os.EFD_NONBLOCK))
                    frontend.send(request, struct.pack("<Q", index), [getattr(ring, name)])
                channel.echo(os.urandom(200000))
                channel.driver.ping()
                self.assertEqual(self.attaches(), attaches)
                frontend.close()

    def test_other_queues_leave_the_channels_alone(self):
        """Only memory and the control ring are the channels' concern."""
        channel = self.echo_channel()
        frontend = channel.driver.frontend
        attaches = self.attaches()
        ring = frontend.rings[1]
        for _ in range(3):
            base = frontend.stop_ring(1)
            self.assertEqual(self.channel_state("vm1", "echo")["state"], "attached")
            channel.write_some(b"meanwhile")
            channel.ring()
            frontend.start_ring(1, ring, base)
            frontend.enable_ring(1)
            self.assertEqual(channel.read(9), b"meanwhile")
            for index in (0, 1):
                frontend.enable_ring(index)
        self.assertEqual(self.attaches(), attaches)
        self.assertEqual(frontend.set_memory(), 0)
        self.assertEqual(self.attaches(), attaches + 1)
        channel.echo(os.urandom(200000))

    def test_reset_forgets_the_driver(self):
        """After a reset the memory is the guest's: it is not touched until HELLO and ATTACH."""
        channel = self.echo_channel()
        channel.echo(os.urandom(1000))
        driver, frontend = channel.driver, channel.driver.frontend
        frontend.reset_rings()
        driver.post_all()
        with self.refused("REQ_NO_HELLO"):
            driver.ping()
        before = channel.tx.peer_cursor.value
        channel.write_some(b"nobody reads this yet")
        channel.ring()
        with self.refused("REQ_NO_HELLO"):
            driver.ping()
        self.assertEqual(channel.tx.peer_cursor.value, before)
        driver.hello()
        channel.attach()
        self.assertEqual(channel.read(21), b"nobody reads this yet")

    def test_remap_while_streaming(self):
        """Memory hotplug: the table changes under a running stream, and nothing is lost."""
        memory = Memory(Region(0x100000, 16 << 20), Region(1 << 32, 4096))
        channel = Channel(self.driver(memory=memory), "echo").attach().open()
        frontend = channel.driver.frontend
        data, sent, received = os.urandom(30 * RING_BYTES), 0, b""
        for step in range(12):
            sent += channel.write_some(data[sent:])
            regions = memory.regions[:1] if step % 2 == 0 else memory.regions
            self.assertEqual(frontend.set_memory(regions), 0)
            received += channel.read_some()
        self.assertEqual(received, data[:len(received)])
        channel.echo(data, sent, len(received))
        self.assertEqual(channel.driver.failures, [])

    def test_memory_goes_away_under_a_channel(self):
        """The region of one channel is unplugged: it fails, and the other goes on."""
        memory = Memory(Region(0x100000, 8 << 20), Region(1 << 32, 2 << 20))
        driver = self.driver(memory=memory)
        here = Channel(driver, "echo").attach().open()
        gone = Channel(driver, "echo2", region=1, instance=0xBEEF).attach().open()
        here.echo(b"both")
        gone.echo(b"work")
        self.assertEqual(driver.frontend.set_memory(memory.regions[:1]), 0)
        self.assertEqual(driver.wait_failures(), [(gone.id, STATUS["MEMORY_LOST"], 0xBEEF)])
        self.assert_logged("guest vm1", "channel echo2", "MEMORY_LOST")
        here.echo(os.urandom(100000))

    def test_wakes_wait_for_a_buffer(self):
        """With no event buffer posted nothing is lost: a kick later it comes."""
        channel = self.echo_channel()
        driver = channel.driver
        ring = driver.frontend.rings[1]
        driver.take_events()
        driver.rung.clear()
        driver.frontend.reset_rings()
        driver.hello()
        channel.attach()
        channel.write_some(b"x")
        channel.rx.event.value = channel.rx.cursor.value
        channel.ring()
        driver.ping()
        self.assertIsNone(ring.poll())
        driver.post_all()
        ring.kick()
        driver.wait_event()
        self.assertIn(channel.id, driver.rung)
        self.assertEqual(channel.read(1), b"x")

    def test_second_frontend_is_turned_away(self):
        channel = self.echo_channel()
        with Frontend(self.scratch / "vm1.sock", Memory(size=1 << 20)) as second:
            self.assertTrue(second.dropped())
        self.assert_logged("guest vm1", "second frontend")
        channel.echo(os.urandom(1000))


class ManyEventQueues(FrontendTest):
    """M event queues: a channel's wakes come over its own."""

    CHANNELS = {f"c{i}": {"ring_bytes": 4096, "endpoint": {"type": "echo"}} for i in range(40)}

    def test_all_channels_over_three_event_queues(self):
        driver = Driver(self.connect(memory=Memory(size=8 << 20)).setup(4))
        driver.hello()
        channels = [Channel(driver, name, chunk=4096, instance=i + 1).attach().open()
                    for i, name in enumerate(self.CHANNELS)]
        for channel in channels:
            channel.write_some(b"hello")
            channel.ring()
        for channel in channels:
            self.assertEqual(channel.read(5), b"hello")
        self.assertTrue(all(ring.used_idx() for ring in driver.frontend.rings))
        for channel in channels[::7]:
            channel.echo(os.urandom(20000))
