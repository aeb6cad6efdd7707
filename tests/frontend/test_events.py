# SPDX-License-Identifier: BSD-3-Clause
"""events.subscribe: the events while guests come, work, break the rules and go."""
import os
import signal
import socket
import struct
import unittest

from guest_end import Channel
from rig import RING_BYTES, FrontendTest
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

    def test_the_life_of_a_guest(self):
        undisturbed = self.bystander()
        driver = self.driver()
        self.told("guest.connected")
        self.told("guest.ready", driver_instance=f"{0x1234:016x}")
        channel = Channel(driver, "echo", instance=0xABCD).attach().open()
        self.told("channel.attached", "echo", instance=f"{0xabcd:016x}", again=False)
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
        channel = Channel(driver, "echo", instance=0xABCE).attach()
        self.told("channel.attached", "echo", instance=f"{0xabce:016x}", again=False)
        driver.detach(channel.id, channel.generation)
        self.told("channel.detached", "echo")

        Channel(driver, "echo2", instance=7).attach()
        self.told("channel.attached", "echo2")
        driver.frontend.close()
        self.told("channel.suspended", "echo2")
        self.told("channel.detached", "echo2")
        self.told("guest.gone")
        self.assert_undisturbed(undisturbed)

    def test_a_guest_that_resets_its_device(self):
        driver = self.driver()
        self.told("guest.connected")
        self.told("guest.ready")
        Channel(driver, "echo").attach()
        self.told("channel.attached", "echo")
        driver.frontend.reset_rings()
        self.told("channel.suspended", "echo")
        self.told("guest.reset")

    def test_a_guest_that_breaks_a_ring(self):
        driver = self.driver()
        self.told("guest.connected")
        self.told("guest.ready")
        ring = driver.frontend.rings[0]
        driver.memory.write(ring.avail + 2, struct.pack("<H", 60000))
        ring.kick()
        self.assertTrue(self.told("guest.broken")["reason"])

    def test_who_is_at_the_host_end(self):
        path = str(self.scratch / "vm1.host.sock")
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        self.told("endpoint.connected", "host", type="unix-listen")
        client.close()
        self.told("endpoint.disconnected", "host", type="unix-listen", reason="it has hung up")
        driver = self.driver()
        self.told("guest.connected")
        self.told("guest.ready")
        channel = Channel(driver, "host").attach().open()
        self.told("channel.attached", "host")
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(path)
        self.told("endpoint.connected", "host", type="unix-listen")
        driver.detach(channel.id, channel.generation)
        self.told("channel.detached", "host")
        self.assertIn("stream has ended", self.told("endpoint.disconnected", "host")["reason"])

    def test_what_operators_do(self):
        self.watch = self.subscribe()
        call = self.watch.call
        echo = {"name": "new", "endpoint": {"type": "echo"}}
        ident = call("channel.add", {"guest": "vm1", "channel": echo})["id"]
        self.told("channel.added", "new", id=ident)
        call("channel.reset", {"guest": "vm1", "channel": "new"})
        self.told("channel.reset", "new", id=ident)
        call("channel.remove", {"guest": "vm1", "channel": "new"})
        self.told("channel.removed", "new", id=ident)
        call("guest.add", {"guest": self.guest("vm3")})
        self.told("guest.added", guest="vm3")
        call("guest.remove", {"guest": "vm3"})
        self.told("guest.removed", guest="vm3")
        call("log.set", {"level": "notice"})
        self.told("log.changed", guest=None, level="notice")
        call("log.set", {"level": "debug"})
        self.told("log.changed", guest=None, level="debug")

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

    def test_filters(self):
        others = self.subscribe(guest="vm2")
        gone = self.subscribe(kinds=["guest.gone"])
        self.device("vm1").close()
        self.told("guest.connected")
        self.told("guest.gone")
        self.assertEqual(gone.event()["kind"], "guest.gone")
        self.device("vm2").close()
        self.assertEqual(others.event()["kind"], "guest.connected")
        self.assertEqual(gone.event()["guest"], "vm2")
        self.device("vm1").close()
        self.told("guest.connected")  # and no event of vm2 before it


if __name__ == "__main__":
    unittest.main()
