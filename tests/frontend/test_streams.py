# SPDX-License-Identifier: BSD-3-Clause
"""What ends a channel's stream and what only suspends it, as docs/ABI.md has it.

A client on the host is the witness: it is hung up on when the stream ends, and notices nothing else.
"""
import os
import socket
import struct

from guest_end import ATTACH, Channel
from rig import RING_BYTES
from socket_rig import SocketTest, unix_client

DRIVER, OTHER_DRIVER = 0x1234, 0x5678


class Streams(SocketTest):
    """A guest with an open channel, and a client at its other end."""

    @classmethod
    def channels(cls):
        cls.path = str(cls.scratch / "host.sock")
        return {"vm1": {"host": {"ring_bytes": RING_BYTES, "endpoint": {
            "type": "unix-listen", "path": cls.path}}}}

    def setUp(self):
        super().setUp()
        self.channel = self.guest("host").open()
        self.driver_ = self.channel.driver
        self.client = unix_client(self.path)
        self.addCleanup(self.client.close)
        self.until(lambda: self.endpoint("host")["connected"], "the client to be taken")
        self.assert_goes_on()

    def assert_goes_on(self) -> None:
        """Bytes go both ways between the guest and the same client."""
        data = os.urandom(1000)
        self.channel.write(data)
        self.assertEqual(self.client.recv(len(data), socket.MSG_WAITALL), data)
        self.client.sendall(data)
        self.assertEqual(self.channel.read(len(data)), data)

    def assert_ended(self) -> None:
        """The client was hung up on."""
        self.assertEqual(self.client.recv(1), b"")
        self.assertFalse(self.endpoint("host")["connected"])

    def state(self) -> str:
        """What the host thinks of the channel."""
        return self.channel_state("vm1", "host")["state"]

    def attach_refused(self, status: str, body: bytes) -> None:
        """An ATTACH that is refused."""
        with self.refused(status):
            self.driver_.ask(ATTACH, body)

    def release_refused(self) -> None:
        """A RELEASE that is refused, because the channel is in use."""
        with self.refused("CHANNEL_IN_USE"):
            self.driver_.release(self.channel.id, self.channel.generation)

    def test_hello_of_the_same_driver_suspends(self):
        self.driver_.hello(instance=DRIVER)
        self.assertEqual(self.state(), "suspended")
        waiting = os.urandom(500)
        self.channel.write(waiting)
        self.driver_.ping()
        self.channel.attach()
        self.assertEqual(self.client.recv(500, socket.MSG_WAITALL), waiting)
        self.assert_goes_on()

    def test_hello_after_a_reset_suspends(self):
        self.driver_.frontend.reset_rings()
        self.driver_.post_all()
        self.driver_.hello(instance=DRIVER)
        self.assertEqual(self.state(), "suspended")
        self.channel.attach()
        self.assert_goes_on()

    def test_hello_of_another_driver_ends(self):
        self.driver_.hello(instance=OTHER_DRIVER)
        self.assert_ended()
        self.assertEqual(self.state(), "detached")

    def test_hello_that_is_refused_changes_nothing(self):
        for status, wrong in (("REQ_VERSION", {"version": 0}), ("BELL_ADDRESS", {"bell": 1}),
                              ("REQ_QUEUES", {"n_event_queues": 17})):
            with self.refused(status):
                self.driver_.hello(instance=OTHER_DRIVER, **wrong)
        self.assert_goes_on()

    def test_another_driver_may_use_what_failed(self):
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "host"})
        self.assert_ended()
        self.attach_refused("CHANNEL_FAILED", self.channel.body())
        self.driver_.hello(instance=DRIVER)
        self.attach_refused("CHANNEL_FAILED", self.channel.body())
        self.driver_.hello(instance=OTHER_DRIVER)
        self.channel.attach()
        self.assertEqual(self.state(), "attached")

    def test_attach_again_goes_on(self):
        self.channel.attach()
        self.assert_goes_on()

    def test_attach_of_another_instance_ends(self):
        other = Channel(self.driver_, "host", instance=self.channel.instance + 1).attach()
        self.assert_ended()
        self.assertEqual(other.tx.peer_cursor.value, 0)

    def test_attach_after_detach_ends(self):
        """The words of the host's ends are taken from the memory all the same."""
        self.driver_.detach(self.channel.id, self.channel.generation)
        self.assert_ended()
        taken = self.channel.tx.peer_cursor.value
        self.channel.attach()
        self.assertEqual(self.channel.tx.peer_cursor.value, taken)
        self.assertEqual(taken, self.channel.tx.cursor.value)

    def test_release_is_refused_to_a_client(self):
        """Whether it has sent or received anything or not: nothing changes."""
        for _ in range(2):
            self.release_refused()
            self.assert_goes_on()

    def test_release_waits_for_the_last_byte(self):
        """What a client has left for the guest keeps the memory; then it goes."""
        self.client.sendall(b"left")
        self.client.close()
        self.until(lambda: not self.endpoint("host")["connected"], "the client to have gone")
        self.release_refused()
        self.assertEqual(self.channel.read(4), b"left")
        self.driver_.release(self.channel.id, self.channel.generation)
        self.assertEqual(self.state(), "detached")

    def test_attach_that_is_refused_early_changes_nothing(self):
        body = bytearray(self.channel.body())
        struct.pack_into("<Q", body, 72, 1)  # the first chunk, misaligned
        self.attach_refused("CHUNK_ALIGN", bytes(body))
        self.assert_goes_on()

    def test_attach_with_a_wrong_control_memsection_ends(self):
        """And has failed."""
        self.channel.memory.write(self.channel.gpas[0][0], bytes(4))
        self.attach_refused("CTL_MAGIC", self.channel.body())
        self.assert_ended()
        self.assertEqual(self.state(), "failed")
        self.attach_refused("CHANNEL_FAILED", self.channel.body())
