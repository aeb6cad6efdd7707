# SPDX-License-Identifier: BSD-3-Clause
"""events.subscribe: the events while guests come, work, break the rules and go."""
import os
import signal
import socket
import struct

from guest_end import Channel, Driver
from rig import RING_BYTES, FrontendTest
from socket_rig import unix_client
from vm.control import Connection, RpcError
from vm.daemon import guest_config

WHEN = ("seq", "realtime_us", "monotonic_us")


class Events(FrontendTest):
    """The guest `vm1` is watched; `vm2` must not notice anything."""

    CHANNELS = {**FrontendTest.CHANNELS,
                "host": {"ring_bytes": RING_BYTES,
                         "endpoint": {"type": "unix-listen", "path": "NAME.host.sock"}}}
    GUESTS = ()

    def setUp(self):
        super().setUp()
        self.daemon.config["guests"] = [self.guest("vm1"), self.guest("vm2")]
        self.daemon.write_config()
        self.daemon.rpc("config.reload")
        self.watch = self.subscribe(guest="vm1")
        self.last = dict.fromkeys(WHEN, 0)

    def guest(self, name: str) -> dict:
        """Configuration of a guest."""
        channels = {channel: {**config, "endpoint": {
            key: str(self.scratch / value.replace("NAME", name)) if key == "path" else value
            for key, value in config["endpoint"].items()}}
                    for channel, config in self.CHANNELS.items()}
        return guest_config(name, self.scratch / f"{name}.sock", channels)

    def subscribe(self, **params) -> Connection:
        """A connection that has subscribed to events."""
        connection = Connection(self.daemon.control_path)
        self.addCleanup(connection.close)
        self.assertGreaterEqual(connection.call("events.subscribe", params)["seq"], 0)
        return connection

    def told(self, kind: str, channel: str | None = None, guest: str | None = "vm1",
             **members) -> dict:
        """Check that the next event is this one; return it."""
        event = self.watch.event()
        for when in WHEN:
            self.assertGreaterEqual(event[when], self.last[when])
            self.last[when] = event[when]
        want = {"kind": kind, **members}
        if guest is not None:
            want["guest"] = guest
        if channel is not None:
            want["channel"] = channel
        self.assertEqual({key: event.get(key) for key in want}, want, event)
        return event

    def told_driver(self) -> Driver:
        """A driver, which is told of."""
        driver = self.driver()
        self.told("guest.connected")
        self.told("guest.ready", driver_instance=f"{0x1234:016x}")
        return driver

    def told_channel(self, driver: Driver, name: str, instance: int) -> Channel:
        """A channel that is attached, which is told of."""
        channel = Channel(driver, name, instance=instance).attach()
        self.told("channel.attached", name, instance=f"{instance:016x}", again=False)
        return channel

    def test_the_life_of_a_guest(self):
        undisturbed = self.bystander()
        driver = self.told_driver()
        channel = self.told_channel(driver, "echo", 0xABCD).open()
        self.told("channel.opened", "echo", end="both", guest_opener=None)
        channel.echo(os.urandom(1000))

        # A change of the memory table suspends the channels and loses no event
        driver.frontend.set_memory()
        self.told("channel.suspended", "echo")
        self.told("channel.attached", "echo", instance=f"{0xabcd:016x}", again=True)
        channel.echo(os.urandom(1000))

        # The guest breaks a rule and starts again
        channel.tx.cursor.value += channel.size + 1
        channel.ring()
        self.told("channel.failed", "echo", status="HEAD_PAST_RING")
        channel = self.told_channel(driver, "echo", 0xABCE)
        driver.detach(channel.id, channel.generation)
        self.told("channel.detached", "echo")

        self.told_channel(driver, "echo2", 7)
        driver.frontend.close()
        self.told("channel.suspended", "echo2")
        self.told("channel.detached", "echo2")
        self.told("guest.gone")
        self.assert_undisturbed(undisturbed)

    def test_a_guest_that_resets_its_device(self):
        driver = self.told_driver()
        self.told_channel(driver, "echo", 7)
        driver.frontend.reset_rings()
        self.told("channel.suspended", "echo")
        self.told("guest.reset")

    def test_a_guest_that_breaks_a_ring(self):
        driver = self.told_driver()
        ring = driver.frontend.rings[0]
        driver.memory.write(ring.avail + 2, struct.pack("<H", 60000))
        ring.kick()
        self.assertTrue(self.told("guest.broken")["reason"])

    def test_who_is_at_the_host_end(self):
        path = self.scratch / "vm1.host.sock"
        with unix_client(path):
            self.told("endpoint.connected", "host", type="unix-listen")
        self.told("endpoint.disconnected", "host", type="unix-listen", reason="it has hung up")
        driver = self.told_driver()
        channel = self.told_channel(driver, "host", 7).open()
        self.told("channel.opened", "host")
        with unix_client(path):
            self.told("endpoint.connected", "host", type="unix-listen")
            driver.detach(channel.id, channel.generation)
            self.told("channel.detached", "host")
            self.assertIn("stream has ended", self.told("endpoint.disconnected", "host")["reason"])

    def test_what_a_guest_takes(self):
        """It is told once per client: when the guest has taken all, or no longer can."""
        path = self.scratch / "vm1.host.sock"
        self.watch = self.subscribe(guest="vm1", kinds=["guest", "endpoint", "channel.attached",
                                                        "channel.detached"])
        guest = self.told_channel(self.told_driver(), "host", 7).open()
        with unix_client(path) as client:
            self.told("endpoint.connected", "host")
            client.sendall(b"12345")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(guest.read(4), b"1234")
            guest.close_reader()  # without the last byte
            guest.rx.phase.value += 1
            self.assertEqual(guest.read(1), b"5")
            guest.close_reader()
            self.told("endpoint.taken", "host", all=True, guest_writes=True)
        self.told("endpoint.disconnected", "host", torn=False)
        guest.rx.phase.value += 1
        guest.close_writer()
        with unix_client(path) as client:
            self.told("endpoint.connected", "host")
            client.sendall(b"678")
        self.told("endpoint.disconnected", "host")
        with unix_client(path) as client:  # whose bytes follow before the guest has looked
            self.told("endpoint.taken", "host", all=False, guest_writes=False)
            self.told("endpoint.connected", "host")
            client.shutdown(socket.SHUT_WR)
            guest.driver.detach(guest.id, guest.generation)
            self.told("channel.detached", "host")
            self.told("endpoint.taken", "host", all=False, guest_writes=False)

    def test_what_operators_do(self):
        self.watch = self.subscribe()
        of = {"guest": "vm1", "channel": "new"}
        for method, params, kind, members in (
                ("channel.add", {**of, "channel": {"name": "new", "endpoint": {"type": "echo"}}},
                 "channel.added", {**of, "id": 3}),
                ("channel.reset", of, "channel.reset", {**of, "id": 3}),
                ("channel.remove", of, "channel.removed", {**of, "id": 3}),
                ("guest.add", {"guest": self.guest("vm3")}, "guest.added", {"guest": "vm3"}),
                ("guest.remove", {"guest": "vm3"}, "guest.removed", {"guest": "vm3"}),
                ("log.set", {"level": "notice"}, "log.changed", {"level": "notice"}),
                ("log.set", {"level": "debug"}, "log.changed", {"level": "debug"})):
            with self.subTest(kind):
                self.watch.call(method, params)
                self.told(kind, **{"guest": None, **members})

    def test_reload(self):
        self.watch = self.subscribe()
        self.daemon.config["guests"][0]["channels"].pop(0)
        self.daemon.config["guests"].append(self.guest("vm3"))
        self.daemon.write_config()
        self.daemon.signal(signal.SIGHUP)
        self.told("channel.removed", "echo")
        self.told("guest.added", guest="vm3")
        self.told("config.reloaded", guest=None, guests=3)
        self.daemon.config_path.write_text('{ "guests": 1, "x": 2 }', encoding="utf-8")
        with self.assertRaises(RpcError) as refused:
            self.watch.call("config.reload")
        self.assertEqual(refused.exception.code, -32001)
        self.assertIn("guests: must be an array", refused.exception.message)
        self.assertIn("x: unknown key", refused.exception.message)
        self.assertIn("guests: must be an array",
                      self.told("config.refused", guest=None)["reason"])
