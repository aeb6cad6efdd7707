# SPDX-License-Identifier: BSD-3-Clause
"""Channels and guests that come and go while a guest runs, as its driver sees it."""
import os
import signal

from guest_end import ATTACH, CHANNEL_ADDED, CHANNEL_REMOVED, NOT_GIVEN, Channel, Driver
from rig import RING_BYTES, STATUS, FrontendTest
from vhost_user import Frontend
from vm.daemon import DaemonError, guest_config

ECHO = {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}


class ComeAndGo(FrontendTest):
    """A guest `vm1` whose channels change, and `vm2` that must not notice."""

    def setUp(self):
        super().setUp()
        self.undisturbed = self.bystander()
        self.driver_ = self.driver()
        self.keep = Channel(self.driver_, "echo").attach().open()
        self.addCleanup(self.as_before)

    def as_before(self) -> None:
        """The configuration of the class again."""
        self.daemon.config["guests"] = [
            guest_config(name, self.scratch / f"{name}.sock", self.CHANNELS)
            for name in self.GUESTS]
        self.reload()

    def reload(self) -> None:
        """Apply the configuration as it is now."""
        self.daemon.write_config()
        self.daemon.rpc("config.reload")

    def open(self, name: str, instance: int = 2) -> Channel:
        """A channel with this name, open."""
        return Channel(self.driver_, name, instance=instance).attach().open()

    def add(self, name: str, guest: str = "vm1", **config) -> int:
        """channel.add; the id."""
        return self.daemon.rpc("channel.add", {"guest": guest,
                                               "channel": {"name": name, **ECHO, **config}})["id"]

    def remove(self, name: str, guest: str = "vm1") -> None:
        """channel.remove."""
        self.daemon.rpc("channel.remove", {"guest": guest, "channel": name})

    def wait_changes(self, wanted: set[tuple[int, int]]) -> None:
        """Wait until these events were told, and no others since the last wait."""
        while not wanted <= set(self.driver_.changes):
            self.driver_.rung.clear()
            self.driver_.wait_event()
        self.assertEqual(set(self.driver_.changes), wanted)
        self.driver_.changes.clear()

    def go_on(self) -> None:
        """Those who were there before move their bytes as before."""
        self.keep.echo(os.urandom(2 * RING_BYTES))
        self.assert_undisturbed(self.undisturbed)

    def test_added_channel_works(self):
        ident = self.add("new", exclusive=True, ring_bytes=8192)
        self.wait_changes({(CHANNEL_ADDED, ident)})
        info = self.driver_.channels()["new"]
        self.assertEqual((info["id"], info["flags"], info["ring_bytes"]), (ident, 1, 8192))
        channel = self.open("new")
        channel.echo(os.urandom(100000))
        self.go_on()
        self.assertEqual(self.channel_state("vm1", "new")["state"], "attached")

    def test_mode_and_owner_of_the_node(self):
        """They come in the reply, and in channel.list; what is not given is neither 0 nor -1 there."""
        for given, told in (({"guest_mode": "0640", "guest_uid": 1000, "guest_gid": 4294967294},
                             [0o640, 1000, 4294967294]),
                            ({"guest_mode": "0000", "guest_uid": 0, "guest_gid": 0}, [0, 0, 0]),
                            ({"guest_gid": 4}, [NOT_GIVEN, NOT_GIVEN, 4])):
            with self.subTest(given=given):
                ident = self.add("new", **given)
                self.wait_changes({(CHANNEL_ADDED, ident)})
                self.assertEqual(self.driver_.channels()["new"]["access"], told)
                state = self.channel_state("vm1", "new")
                self.assertEqual({key: state[key] for key in ("guest_mode", "guest_uid", "guest_gid")},
                                 {"guest_mode": None, "guest_uid": None, "guest_gid": None} | given)
                self.remove("new")
                self.wait_changes({(CHANNEL_REMOVED, ident)})
        self.go_on()

    def test_reload_with_another_owner(self):
        """The channel is replaced; what is joined to it is not."""
        config = {**ECHO, "name": "new", "guest_uid": 7}
        channels = self.daemon.config["guests"][0]["channels"]
        channels.append(config)
        self.reload()
        old = self.driver_.channels()["new"]
        config["guest_uid"] = 8
        self.reload()
        new = self.driver_.channels()["new"]
        self.assertEqual((old["access"][1], new["access"][1]), (7, 8))
        self.assertNotEqual((old["id"], old["generation"]), (new["id"], new["generation"]))
        self.go_on()

    def test_removed_channel_is_let_go(self):
        ident = self.add("new")
        self.wait_changes({(CHANNEL_ADDED, ident)})
        channel = self.open("new")
        channel.echo(b"x" * 1000)
        channel.write_some(b"the last words")
        self.remove("new")
        self.wait_changes({(CHANNEL_REMOVED, ident)})
        # What was written has been taken; the rest of the memory is the guest's again.
        self.assertEqual(channel.read_some(), b"the last words")
        words = channel.state()
        channel.write_some(b"to nobody")
        channel.ring()
        self.go_on()
        self.assertEqual(channel.tx.peer_cursor.value, 1014, words)
        self.assertNotIn("new", self.driver_.channels())
        with self.refused("NO_CHANNEL"):
            channel.attach()

    def test_an_id_is_used_again_by_another_generation(self):
        """A request that means the former channel with the same id is refused and does no harm."""
        ident = self.add("new")
        old = self.open("new")
        self.remove("new")
        self.assertEqual(self.add("other"), ident)
        new = Channel(self.driver_, "other", instance=3)
        self.assertNotEqual(new.generation, old.generation)
        new.attach().open()
        for body in (old.body(), old.body(instance=4)):
            with self.refused("NO_CHANNEL"):
                self.driver_.ask(ATTACH, body)
        with self.refused("NO_CHANNEL"):
            self.driver_.detach(ident, old.generation)
        new.echo(os.urandom(100000))

    def test_a_storm_while_no_buffer_is_posted(self):
        """However much happens, one event an id is what is left to tell, in any order."""
        driver = self.driver_
        taken = 0
        while not taken:  # take what is there without posting it again
            for index in range(40):
                self.add(f"storm{index}")
            taken = sum(1 for ring in driver.frontend.rings[1:] for _ in iter(ring.poll, None))
        self.assertEqual(taken, driver.N_EVENT_BUFFERS)
        for _ in range(5):
            for change in (self.remove, self.add):
                for index in range(40):
                    change(f"storm{index}")
        for index in range(20, 40):
            self.remove(f"storm{index}")
        listed = driver.channels()
        self.assertEqual(sum(name.startswith("storm") for name in listed), 20)
        driver.post_all()
        driver.frontend.rings[1].kick()
        wanted = {(CHANNEL_ADDED, listed[f"storm{index}"]["id"]) for index in range(20)}
        while len(driver.changes) < 40:
            driver.rung.clear()
            driver.wait_event()
        driver.ping()
        driver.take_events()
        self.assertEqual(len(driver.changes), 40)
        self.assertLessEqual(wanted, set(driver.changes))
        self.go_on()

    def test_failed_channel_that_is_removed(self):
        """A failure of a channel that is gone is not reported."""
        ident = self.add("new")
        channel = self.open("new")
        channel.echo(b"x" * 100)
        self.wait_changes({(CHANNEL_ADDED, ident)})
        channel.tx.cursor.value = 10 * RING_BYTES
        channel.ring()
        self.assert_logged("guest vm1: channel new", "HEAD_PAST_RING")
        self.remove("new")
        self.wait_changes({(CHANNEL_REMOVED, ident)})
        self.go_on()

    def test_reset(self):
        self.keep.echo(b"x" * 1000)
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "echo"})
        self.assertEqual(self.driver_.wait_failures(),
                         [(0, STATUS["CHANNEL_RESET"], self.keep.instance)])
        with self.refused("CHANNEL_FAILED"):
            self.keep.attach()
        self.keep = self.open("echo", 77)
        self.go_on()

    def test_as_many_as_there_can_be(self):
        for index in range(1022):
            self.add(f"more{index}", ring_bytes=4096)
        with self.assertRaisesRegex(DaemonError, "guest vm1 has 1024 channels already"):
            self.add("one more")
        last = self.open("more1021")
        self.assertEqual(last.id, 1023)
        last.echo(os.urandom(10000))
        self.remove("more500")
        self.add("one more", ring_bytes=4096)
        self.open("one more", 3).echo(os.urandom(10000))
        self.assertEqual(self.daemon.rpc("status")["channels"]["attached"], 4)
        self.go_on()

    def test_refusals(self):
        """Those that depend on what is there; tests/unit/control has the others."""
        for method, params, sentence in (
                ("channel.add", {"guest": "vm1", "channel": {"name": "echo", **ECHO}},
                 'guest vm1 has a channel "echo" already'),
                ("channel.add", {"guest": "vm1", "channel": {"name": "x", "endpoint": {
                    "type": "unix-listen", "path": str(self.scratch / "none" / "x")}}},
                 "guest vm1: channel x: cannot be offered: unix-listen: cannot listen on .*/none/x: No such file"),
                ("channel.remove", {"guest": "vm1", "channel": "x"},
                 'guest vm1 has no channel "x"'),
                ("guest.add", {"guest": guest_config("vm1", self.scratch / "x", {})},
                 'there is a guest "vm1" already')):
            with self.subTest(method=method, sentence=sentence):
                with self.assertRaisesRegex(DaemonError, sentence):
                    self.daemon.rpc(method, params)
        self.assertEqual(list(self.driver_.channels()), ["echo", "echo2"])

    def test_guests_come_and_go(self):
        self.daemon.rpc("guest.add", {"guest": guest_config(
            "vm3", self.scratch / "vm3.sock", {"echo": ECHO})})
        frontend = Frontend(self.scratch / "vm3.sock")
        self.addCleanup(frontend.close)
        driver = Driver(frontend.setup())
        driver.hello()
        Channel(driver, "echo").attach().open().echo(os.urandom(1000))
        self.daemon.rpc("guest.remove", {"guest": "vm3"})
        self.assertTrue(frontend.dropped())
        self.assertFalse((self.scratch / "vm3.sock").exists())
        self.go_on()

    def test_reload_applies_the_difference(self):
        """Channels that stay do not notice; a changed one is another; what the file lacks goes."""
        attaches = self.channel_state("vm1", "echo")["attaches"]
        second = self.open("echo2")
        second.echo(b"x" * 100)
        self.add("at run time")
        self.driver_.take_events()
        self.driver_.changes.clear()
        since = len(self.daemon.log())
        self.daemon.config["guests"][0]["channels"] = [
            {"name": "third", **ECHO}, {"name": "echo", **ECHO},
            {"name": "echo2", **ECHO, "ring_bytes": 2 * RING_BYTES}]
        self.daemon.write_config()
        self.daemon.signal(signal.SIGHUP)
        log = self.daemon.wait_log("notice: reloaded,", since=since)
        for line in ("channel at run time: gone or changed", "channel echo2: gone or changed",
                     "channel echo2: new or changed", "channel third: new or changed"):
            self.assertIn(line, log)
        self.assertNotIn("channel echo:", log)
        self.assertEqual(self.driver_.channels().keys(), {"echo", "echo2", "third"})
        self.assertEqual(self.channel_state("vm1", "echo")["attaches"], attaches)
        self.open("echo2", 3).echo(os.urandom(100000))
        self.open("third", 4).echo(os.urandom(100000))
        self.go_on()

    def test_a_channel_moves_from_guest_to_guest(self):
        """Its socket, too: the old one goes before the new one comes."""
        path = str(self.scratch / "moving.sock")
        moving = {"name": "moving", "endpoint": {"type": "unix-listen", "path": path}}
        one, two = self.daemon.config["guests"]
        for giver, taker in ((one, two), (two, one)):
            giver["channels"] = [entry for entry in giver["channels"]
                                 if entry["name"] != "moving"]
            taker["channels"] = [*taker["channels"], moving]
            self.reload()
            self.assertEqual(self.channel_state(taker["name"], "moving")["endpoint"]["path"], path)
        self.go_on()

    def test_change_while_there_is_no_driver(self):
        """A driver that says HELLO later sees what there is then."""
        self.keep.driver.frontend.reset_rings()
        ident = self.add("new")
        driver = self.driver_
        driver.post_all()
        driver.hello()
        self.assertEqual(driver.channels()["new"]["id"], ident)
        self.keep.attach()
        self.go_on()
        self.assertEqual(driver.changes, [])
