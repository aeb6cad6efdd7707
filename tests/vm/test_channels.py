# SPDX-License-Identifier: BSD-3-Clause
"""Channels that come and go while a guest runs, and as many of them as there can be."""
import contextlib
import json
import re
import unittest

from vm import DaemonError, guest_config, until
from vm.base import VmTest, echo, listens

RING_BYTES = 65536


class Changes(VmTest):
    """One guest: mounted at /okl4, and at /all with a node for every channel."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"first": {"ring_bytes": RING_BYTES, "endpoint": echo()}})
        cls.guest.check("mkdir /all && mount -t okl4fs -o populate,mode=640 okl4fs /all")
        cls.guest.check("mkfifo /okl4/first")

    def setUp(self):
        super().setUp()
        self.addCleanup(self.daemon.rpc, "config.reload")

    def add(self, name: str, endpoint: dict | None = None, **config) -> None:
        """channel.add."""
        self.daemon.rpc("channel.add", {"guest": "vm", "channel": {
            "name": name, "ring_bytes": RING_BYTES, "endpoint": endpoint or echo(), **config}})

    def remove(self, name: str) -> None:
        """channel.remove."""
        self.daemon.rpc("channel.remove", {"guest": "vm", "channel": name})

    @contextlib.contextmanager
    def configured(self, channel: dict):
        """The configuration file has one channel more meanwhile."""
        channels = self.daemon.config["guests"][0]["channels"]
        channels.append(channel)
        try:
            self.daemon.write_config()
            yield
        finally:
            channels.remove(channel)
            self.daemon.write_config()

    def nodes(self) -> set[str]:
        """What /all shows."""
        return set(self.guest.check("ls /all").split())

    def wait_nodes(self, *names: str) -> None:
        """Wait until /all shows just these and `first`."""
        until(lambda: self.nodes() == {"first", *names}, lambda: f"{names}, not {self.nodes()}", 30)

    def add_and_wait(self, name: str, endpoint: dict | None = None, **config) -> None:
        """The same, until its node is there."""
        self.add(name, endpoint, **config)
        self.wait_nodes(name)

    def test_a_node_comes_and_goes(self):
        self.add_and_wait("new")
        self.assertRegex(self.guest.check("ls -l /all/new"), r"^prw-r-----")
        self.guest.check("okl4test seq /all/new records=500")
        self.remove("new")
        self.wait_nodes()
        self.guest.check("okl4test seq /okl4/first records=500")

    def test_open_file(self):
        """Drains, then EIO; write EIO; poll HUP and ERR; open ENXIO; and all works when it is back."""
        self.add_and_wait("new")
        self.guest.check("mkfifo /okl4/new")
        command = self.guest.spawn("okl4test gone /okl4/new", stdin=True)
        command.wait_output("filled\n", 60)
        self.remove("new")
        self.wait_nodes()
        command.write(b"removed\n")
        command.wait_output("gone\n", 60)
        self.add_and_wait("new")
        command.write(b"added\n")
        self.assertEqual(command.wait(60), (0, "filled\ngone\nok\n"))
        self.guest.check("rm /okl4/new")

    def test_another_kind_of_ring(self):
        """It comes back with messages: an open file keeps failing, and the next open is of messages."""
        self.add_and_wait("new")
        holder = self.guest.spawn("exec 3<>/all/new; echo bytes >&3; head -n1 <&3; read line; "
                                  "echo x >&3; echo $?; read line", stdin=True)
        holder.wait_output("bytes\n", 60)
        self.remove("new")
        self.wait_nodes()
        self.add_and_wait("new", packets=True)
        holder.write(b"go on\n")
        holder.wait_output("1\n", 60)
        self.fails("echo x > /all/new", "Input/output error")
        holder.write(b"end\n")
        holder.wait(60)
        self.assertEqual(self.guest.check("exec 3<>/all/new; echo 1 >&3; echo 2 >&3; "
                                          "dd bs=100 count=1 <&3 2>/dev/null"), "1\n")

    def test_sleepers(self):
        """What is written is not taken, so reader, writer and poller sleep."""
        self.add_and_wait("stuck", listens(self.scratch / "stuck.sock"))
        self.guest.check("mkfifo /okl4/stuck")
        command = self.guest.spawn("okl4test gone_asleep /okl4/stuck")
        command.wait_output("asleep\n", 60)
        self.remove("stuck")
        self.assertEqual(command.wait(60), (0, "asleep\nok\n"))
        self.guest.check("rm /okl4/stuck")

    def test_nothing_is_left_for_who_comes_later(self):
        """Bytes that were not taken are gone with the channel, if no program has it open."""
        self.add_and_wait("new", listens(self.scratch / "new.sock"))
        self.guest.check("mkfifo /okl4/new && echo stale > /okl4/new")
        self.remove("new")
        self.wait_nodes()
        self.fails("echo x > /okl4/new", "No such device or address")
        self.add_and_wait("new")
        self.assertEqual(self.guest.check("exec 3<>/okl4/new; echo fresh >&3; head -n1 <&3"),
                         "fresh\n")
        self.guest.check("rm /okl4/new")

    def test_streams_of_others_go_on(self):
        """Through a hundred changes, a channel that stays loses nothing."""
        stream = self.start_seq("first", records=30000)
        for round_ in range(50):
            self.add(f"storm{round_ % 7}", ring_bytes=4096 << round_ % 5)
            self.remove(f"storm{round_ % 7}")
        self.add_and_wait("last")
        self.guest.check("okl4test seq /all/last records=500")
        self.ends_well(stream, 240)

    def test_replaced_under_the_same_name(self):
        """Another ring size and endpoint; a program that opens it again gets the new one."""
        self.add_and_wait("new")
        self.guest.check("okl4test seq /all/new records=100")
        for ring_bytes in (4096, 1 << 20):
            self.remove("new")
            self.add("new", ring_bytes=ring_bytes)
            self.wait_nodes("new")
            self.guest.check("okl4test seq /all/new records=100 max=4K")

    def test_reload(self):
        """SIGHUP applies the difference; what does not change is not disturbed."""
        stream = self.start_seq("first", records=20000)
        before = self.channel("first")["attaches"]
        with self.configured({"name": "reloaded", "ring_bytes": 8192, "endpoint": echo()}):
            self.daemon.signal(1)
            self.wait_nodes("reloaded")
            self.guest.check("okl4test seq /all/reloaded records=200 max=4K")
        self.daemon.signal(1)
        self.wait_nodes()
        self.ends_well(stream, 240)
        self.assertEqual(self.channel("first")["attaches"], before)

    def test_reset(self):
        """The stream ends with EIO; the next one is a new one."""
        self.add_and_wait("new")
        self.guest.check("exec 3<>/all/new; echo x >&3; head -n1 <&3")
        reader = self.guest.spawn("exec 3<>/all/new; cat <&3")
        until(lambda: self.channel("new")["bwd"]["guest_phase"] == 3, "the reader to open", 30)
        self.daemon.rpc("channel.reset", {"guest": "vm", "channel": "new"})
        self.cut_off(reader)
        self.guest.check("okl4test seq /all/new records=500")

    def wait_node(self, name: str, wanted: str) -> None:
        """Wait until a node of /all has this mode, owner and group."""
        def found():
            return self.guest.run(f"stat -c '%a %u %g' /all/{name}")[1].strip()
        until(lambda: found() == wanted, lambda: f"{name} to be {wanted}, not {found()}", 30)

    def test_the_host_says_whose_a_node_is(self):
        """Also of a channel that was removed and is added again, however fast that goes."""
        self.add("new", guest_mode="0604", guest_uid=1000, guest_gid=50)
        self.wait_node("new", "604 1000 50")
        for uid in (2, 3, 4, 5):
            self.guest.check("chown 9:9 /all/new && chmod 0 /all/new")
            self.remove("new")
            self.add("new", guest_uid=uid)
            self.wait_node("new", f"640 {uid} 0")
        self.guest.check("okl4test seq /all/new records=500")
        self.remove("new")
        self.add("new")
        self.wait_node("new", "640 0 0")

    def test_reload_gives_a_node_to_another(self):
        """The channel is replaced, and its node has another owner; a reload without a change does nothing."""
        new = {"name": "new", "ring_bytes": 8192, "endpoint": echo(), "guest_uid": 1000}
        with self.configured(new):
            self.daemon.rpc("config.reload")
            self.wait_node("new", "640 1000 0")
            self.guest.check("chmod 600 /all/new")
            self.daemon.rpc("config.reload")
            self.guest.check("okl4test seq /all/new records=200 max=4K")
            self.wait_node("new", "600 1000 0")
            new["guest_uid"] = 1001
            self.daemon.write_config()
            self.daemon.rpc("config.reload")
            self.wait_node("new", "640 1001 0")
            self.guest.check("okl4test seq /all/new records=200 max=4K")

    def test_a_node_of_somebody_else_stays(self):
        """Populating neither takes over nor removes what a user made; unlinked stays unlinked."""
        self.add_and_wait("one")
        self.guest.check("rm /all/one && mkfifo -m 600 /all/one")
        self.remove("one")
        self.add("two")
        self.wait_nodes("one", "two")
        self.guest.check("rm /all/one /all/two")
        self.add_and_wait("three")

    def test_all_mounts(self):
        """A second mount that is populated, and goes in the middle of it."""
        self.guest.check("mkdir -p /more && mount -t okl4fs -o populate okl4fs /more")
        self.add_and_wait("new")
        until(lambda: self.guest.check("ls /more").split() == ["first", "new"],
              "/more to show it, too", 30)
        self.guest.check("umount /more")
        self.remove("new")
        self.wait_nodes()


NAMES = ["a", "n" * 63, "with spaces ", "new\nline", "\u00fcml\u00e4ut \u20ac \U0001f42b",
         "\u0001\u001b[31m\u007f", "quote\"back\\slash'", "-dash", "...", "*?[", "\u00ff"]


class Many(VmTest):
    """1024 channels of one guest: names, sizes, permissions."""

    SIZES = {"s4k": 4096, "s64m": 64 << 20, "s1m": 1 << 20}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        channels = {name: {"ring_bytes": 4096, "endpoint": echo()} for name in NAMES}
        channels |= {name: {"ring_bytes": size, "endpoint": echo()}
                     for name, size in cls.SIZES.items()}
        for index in range(1024 - len(channels)):
            channels[f"c{index}"] = {"ring_bytes": 4096, "endpoint": echo()}
        cls.one_guest(channels)
        cls.channels = channels
        cls.guest.check("mkdir /all && mount -t okl4fs -o populate okl4fs /all")

    @staticmethod
    def quoted(name: str) -> str:
        """A name for the shell."""
        return "'/all/" + name.replace("'", "'\\''") + "'"

    def test_all_are_there(self):
        self.assertEqual(self.guest.check("find /all -type p -print0 | tr -cd '\\0' | wc -c")
                         .strip(), "1024")
        listed = self.daemon.rpc("channel.list")["channels"]
        self.assertEqual([c["name"] for c in listed], list(self.channels))
        self.assertEqual([c["id"] for c in listed], list(range(1024)))
        self.assertEqual(sum(self.daemon.rpc("status")["channels"].values()), 1024)

    def test_all_at_once(self):
        """Every one open, and bytes through each."""
        self.assertEqual(self.guest.check("ulimit -n 2048; okl4test many /all bytes=10000", 300),
                         "ok 1024 nodes\n")
        self.assertEqual(self.daemon.rpc("status")["channels"]["failed"], 0)
        for channel in self.daemon.rpc("channel.list")["channels"]:
            self.assertGreaterEqual(channel["fwd"]["bytes"], 10000, channel["name"])
        self.guest.check("okl4test seq /all/c7 records=500 max=4K")

    def test_names(self):
        for name in NAMES:
            with self.subTest(name=name):
                self.guest.check(f"okl4test seq {self.quoted(name)} records=50 max=4K")
                self.guest.check(f"mkfifo {self.quoted(name).replace('/all', '/okl4', 1)}")
        self.assertEqual(self.guest.check("find /okl4 -type p -print0 | tr -cd '\\0' | wc -c")
                         .strip(), str(len(NAMES)))

    def test_permissions_and_sizes(self):
        for mode, (name, size) in zip((0o600, 0o444, 0o222), self.SIZES.items()):
            self.guest.check(f"chmod {mode:o} /all/{name} && chown {mode}:{mode + 1} /all/{name}")
        for mode, (name, size) in zip((0o600, 0o444, 0o222), self.SIZES.items()):
            self.assertEqual(self.guest.check(f"stat -c '%a %u %g' /all/{name}").split(),
                             [f"{mode:o}", str(mode), str(mode + 1)])
            self.guest.check(f"okl4test seq /all/{name} records=200 max=4K")
            self.assertEqual(self.channel(name)["ring_bytes"], size)

    def test_one_more_is_refused(self):
        """At run time, and in a file by its place."""
        with self.assertRaisesRegex(DaemonError, "guest vm has 1024 channels already"):
            self.daemon.rpc("channel.add", {"guest": "vm", "channel": {
                "name": "one more", "endpoint": echo()}})
        config = json.loads(json.dumps(self.daemon.config))
        config["guests"][0]["channels"].append({"name": "one more", "endpoint": echo()})
        text = self.daemon.config_path.read_text()
        self.addCleanup(self.daemon.config_path.write_text, text)
        self.daemon.config_path.write_text(json.dumps(config, indent=1))
        line = 1 + json.dumps(config, indent=1).split('"one more"')[0].count("\n") - 1
        with self.assertRaisesRegex(DaemonError, re.escape(
                f"{self.daemon.config_path}:{line}:") + r"\d+: guests\[0\].channels\[1024\]: "
                "a guest has at most 1024 channels, not 1025"):
            self.daemon.rpc("config.reload")

    def test_idle_channels_are_small(self):
        """Not attached, a channel costs the daemon a few kilobytes."""
        def resident() -> int:
            with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as status:
                return int(re.search(r"^VmRSS:\s*(\d+) kB", status.read(), re.M)[1])
        before = resident()
        self.daemon.rpc("guest.add", {"guest": guest_config("more", self.scratch / "more.sock", {})})
        for index in range(1024):
            self.daemon.rpc("channel.add", {"guest": "more", "channel": {
                "name": f"idle{index}", "endpoint": echo()}})
        self.assertLess((resident() - before) / 1024, 8, "KiB a channel")
        self.daemon.rpc("guest.remove", {"guest": "more"})


if __name__ == "__main__":
    unittest.main()
