# SPDX-License-Identifier: BSD-3-Clause
"""Guests that are joined to each other: endpoint `channel`."""
import hashlib
import os
import random
import select
import signal
import socket
import stat
import unittest
from pathlib import Path

from guest_end import Channel, Driver, Refused, statuses
from memory import Memory, fence
from rig import RING_BYTES
from vhost_user import Frontend
from vm.daemon import Daemon, DaemonError, guest_config
from vm.paths import ROOT
from vm.process import Deadline, scratch_dir

STATUS = statuses(ROOT / "libfs" / "include" / "libfs" / "status.h")
KILLS = 25


def to(guest: str, channel: str) -> dict:
    """A channel that is joined to another."""
    return {"ring_bytes": RING_BYTES, "endpoint": {"type": "channel", "guest": guest,
                                                   "channel": channel}}


ECHO = {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}


class Guest:
    """A guest whose memory outlives its frontends, as QEMU's does when the daemon dies."""

    def __init__(self, path, channels=("link",)):
        self.path, self.memory = path, Memory(size=4 << 20)
        self.frontend = Frontend(path, self.memory).setup()
        self.driver = Driver(self.frontend)
        self.driver.hello()
        self.channels = {name: Channel(self.driver, name, instance=random.getrandbits(63) | 1)
                         .attach() for name in channels}

    @property
    def link(self) -> Channel:
        """Its channel to the other guest."""
        return self.channels["link"]

    def connect(self) -> None:
        """Connect to a new daemon, as after a reset of the device."""
        old = self.frontend
        self.frontend = Frontend(self.path, self.memory)
        self.frontend.handshake()
        assert self.frontend.set_memory() == 0
        self.frontend.rings, old.rings = old.rings, []
        old.sock.close()
        for ring in self.frontend.rings:
            ring.clear()
        self.frontend.start_rings()
        self.driver.frontend = self.frontend
        self.driver.post_all()
        self.driver.hello()
        for channel in self.channels.values():
            channel.attach()

    def close(self) -> None:
        """The guest is gone."""
        self.frontend.close()


class JoinedTest(unittest.TestCase):
    """A daemon with guests that come and go."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"{self.id()}: OKL4FS_SEED={self.seed}", flush=True)
        self.random = random.Random(self.seed)

    def config(self, name: str, **channels) -> dict:
        """Configuration of a guest."""
        return guest_config(name, self.scratch / f"{name}.sock", channels)

    def start(self, *guests: dict, one_worker: bool = False) -> None:
        """A daemon; on one CPU it has one worker."""
        prefix = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if one_worker else []
        self.daemon = Daemon({"guests": list(guests)}, scratch=self.scratch, prefix=prefix)
        self.addCleanup(self.daemon.stop)

    def end(self) -> None:
        """The daemon ends; its files stay."""
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(), 0)

    def start_pair(self) -> None:
        """A daemon with vm1 and vm2, joined."""
        self.start(self.config("vm1", link=to("vm2", "link")),
                   self.config("vm2", link=to("vm1", "link")))

    def guest(self, name: str, **more) -> Guest:
        """A guest that has attached its channels."""
        deadline = Deadline(20)
        while any(guest["connected"] for guest in self.daemon.rpc("guest.list")["guests"]
                  if guest["name"] == name):
            deadline.check(f"the former frontend of {name} to be gone")
        guest = Guest(self.scratch / f"{name}.sock", **more)
        self.addCleanup(guest.close)
        return guest

    def files(self) -> list[str]:
        """The daemon's state."""
        place = Path(self.daemon.control_path).parent / "joined"
        return sorted(path.name for path in place.iterdir()) if place.exists() else []

    def state(self, guest: str, channel: str = "link") -> dict:
        """What `channel.list` says."""
        listed = self.daemon.rpc("channel.list", {"guest": guest})["channels"]
        return next(entry for entry in listed if entry["name"] == channel)

    def wait_phase(self, channel: Channel, pipe, phase) -> None:
        """Wait until the host's phase of a pipe is so."""
        deadline = Deadline(20)
        while not phase(pipe.peer_phase.value):
            deadline.check(f"another phase than {pipe.peer_phase.value}")
            channel.driver.rung.clear()
            channel.driver.wait_event()

    def wait_moved(self, source: Channel, target: Channel) -> None:
        """Wait until there is room in the one or bytes are in the other."""
        head, tail = source.tx.cursor.value, target.rx.cursor.value
        source.tx.event.value = (head - source.size) % (1 << 64)
        target.rx.event.value = tail
        fence()
        poller = select.poll()
        for end in (source, target):
            for ring in end.driver.frontend.rings[1:]:
                poller.register(ring.call_fd, select.POLLIN)
        while target.rx.peer_cursor.value == tail and \
                head - source.tx.peer_cursor.value == source.size:
            ready = poller.poll(20000)
            if not ready:
                raise TimeoutError(f"{source.state()}; {target.state()}")
            for call_fd, _ in ready:
                os.eventfd_read(call_fd)
            for end in (source, target):
                end.driver.take_events()
                end.driver.rung.clear()

    def pump(self, source: Channel, target: Channel, data: bytes) -> None:
        """All bytes go over."""
        sent, received = 0, b""
        while len(received) < len(data):
            sent += source.write_some(data[sent:])
            piece = target.read_some()
            received += piece
            if not piece and sent < len(data):
                self.wait_moved(source, target)
            elif not piece and len(received) < len(data):
                target.sleep_read()
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(data).digest())

    def both_ways(self, one: Channel, other: Channel, size: int = 3 * RING_BYTES + 17) -> None:
        """Bytes go over from each to the other."""
        self.pump(one, other, self.random.randbytes(size))
        self.pump(other, one, self.random.randbytes(size))


class Streams(JoinedTest):
    """What goes over."""

    def test_bytes_ends_and_epipe(self):
        self.start_pair()
        vm1, vm2 = self.guest("vm1"), self.guest("vm2")
        one, other = vm1.link.open(), vm2.link.open()
        self.both_ways(one, other)
        self.assertTrue(self.state("vm1")["endpoint"]["connected"] and self.state("vm2")["endpoint"]["connected"])
        # Half a close: an end-of-file one way, and bytes the other way
        one.write(b"the last words")
        one.close_writer()
        self.wait_phase(other, other.rx, lambda phase: phase == 2)
        self.assertEqual(other.read(14), b"the last words")
        self.pump(other, one, self.random.randbytes(100000))
        # A reader that goes: EPIPE; and comes again
        one.close_reader()
        self.wait_phase(other, other.tx, lambda phase: phase == 2)
        one.open()
        self.wait_phase(other, other.tx, lambda phase: phase == 3)
        self.both_ways(one, other)

    def test_a_guest_that_dies(self):
        self.start_pair()
        vm1, vm2 = self.guest("vm1"), self.guest("vm2")
        one, other = vm1.link.open(), vm2.link.open()
        self.both_ways(one, other)
        vm1.close()
        self.wait_phase(other, other.rx, lambda phase: phase == 2)
        self.wait_phase(other, other.tx, lambda phase: phase == 2)
        self.assertFalse(self.state("vm2")["endpoint"]["connected"])
        one = self.guest("vm1").link.open()
        self.wait_phase(other, other.tx, lambda phase: phase == 3)
        self.both_ways(one, other)

    def test_one_guest_joined_to_itself(self):
        self.start(self.config("vm1", link=to("vm1", "back"), back=to("vm1", "link")))
        vm1 = self.guest("vm1", channels=("link", "back"))
        self.both_ways(vm1.link.open(), vm1.channels["back"].open())

    def test_a_guest_that_lies_about_the_hosts_words(self):
        """It can fail its own channel, and the other guest sees that as its end; nothing else."""
        self.start_pair()
        vm1, vm2 = self.guest("vm1"), self.guest("vm2")
        other = vm2.link.open()
        for _ in range(10):
            one = vm1.link.open()
            self.pump(one, other, self.random.randbytes(5000))
            self.daemon.kill()
            for pipe in (one.tx, one.rx):
                pipe.peer_cursor.value = self.random.choice(
                    (0, self.random.getrandbits(64), pipe.peer_cursor.value - 1000,
                     pipe.peer_cursor.value + 1000)) % (1 << 64)
                pipe.peer_phase.value = self.random.choice((0, 1, 2, self.random.getrandbits(64)))
            self.daemon.restart()
            try:
                vm1.connect()
            except Refused as refusal:
                self.assertEqual(refusal.status, STATUS["RESUME_CURSORS"])
            vm2.connect()
            self.assertEqual(other.read_some(), b"")
            # Its next memory is another stream, and the first one's end.
            vm1.close()
            vm1 = self.guest("vm1")
            self.wait_phase(other, other.rx, lambda phase: not phase & 1)
            self.assertEqual(other.read_some(), b"")
        self.both_ways(vm1.link.open(), other)


class Killed(JoinedTest):
    """A daemon that is killed in the middle of it."""

    def test_in_mid_stream_again_and_again(self):
        """Both ways at once, in pieces of any size: whole, in order, and then the end."""
        self.start_pair()
        guests = self.guest("vm1"), self.guest("vm2")
        ends = [guest.link.open() for guest in guests]
        data = [self.random.randbytes(KILLS * 4 * RING_BYTES) for _ in ends]
        sent, received = [0, 0], [bytearray(), bytearray()]

        def step() -> bool:
            moved = False
            for w in (0, 1):
                n = ends[w].write_some(data[w][sent[w]:sent[w] + self.random.randrange(1, 70000)])
                sent[w] += n
                piece = ends[not w].read_some(self.random.randrange(1, 70000))
                received[w] += piece
                moved |= bool(n or piece)
                ends[w].ring()
            return moved

        for _ in range(KILLS):
            goal = sum(map(len, received)) + self.random.randrange(1, 4 * RING_BYTES)
            while sum(map(len, received)) < goal:
                step()
            self.daemon.kill()
            while self.random.random() < 0.5:
                step()
            self.daemon.restart()
            for guest in self.random.sample(guests, 2):
                guest.connect()
        for w in (0, 1):
            while len(received[w]) < len(data[w]):
                sent[w] += ends[w].write_some(data[w][sent[w]:])
                piece = ends[not w].read_some()
                received[w] += piece
                if not piece and sent[w] < len(data[w]):
                    self.wait_moved(ends[w], ends[not w])
                elif not piece and len(received[w]) < len(data[w]):
                    ends[not w].sleep_read()
            self.assertEqual(hashlib.sha256(received[w]).digest(),
                             hashlib.sha256(data[w]).digest())
            ends[w].close_writer()
            self.wait_phase(ends[not w], ends[not w].rx, lambda phase: phase == 2)
            self.assertEqual(ends[not w].read_some(), b"")

    def test_ended_cleanly(self):
        """When the daemon ends, the streams of joined guests do not end."""
        self.start_pair()
        guests = self.guest("vm1"), self.guest("vm2")
        one, other = (guest.link.open() for guest in guests)
        self.both_ways(one, other)
        self.end()
        self.assertEqual([pipe.peer_phase.value for end in (one, other)
                          for pipe in (end.tx, end.rx)], [1] * 4)
        one.write(b"over the gap")
        self.daemon.start()
        for guest in guests:
            guest.connect()
        self.assertEqual(other.read(12), b"over the gap")
        self.both_ways(one, other)

    def test_a_guest_that_rebooted_meanwhile(self):
        self.start_pair()
        vm1, vm2 = self.guest("vm1"), self.guest("vm2")
        one, other = vm1.link.open(), vm2.link.open()
        self.both_ways(one, other)
        self.daemon.kill()
        vm1.close()
        self.daemon.restart()
        vm2.connect()
        self.assertEqual(other.rx.peer_phase.value, 1)  # it may come back
        one = self.guest("vm1").link
        self.wait_phase(other, other.rx, lambda phase: phase == 2)
        self.wait_phase(other, other.tx, lambda phase: phase == 2)
        one.open()
        self.wait_phase(other, other.tx, lambda phase: phase == 3)
        self.both_ways(one, other)


class State(JoinedTest):
    """The file."""

    def test_its_place_and_modes(self):
        self.start_pair()
        place = Path(self.daemon.control_path).parent / "joined"
        self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o700)
        names = self.files()
        self.assertEqual(len(names), 1)
        self.assertEqual(stat.S_IMODE((place / names[0]).stat().st_mode), 0o600)

    def test_damaged_files_are_told_and_replaced(self):
        self.start_pair()
        path = Path(self.daemon.control_path).parent / "joined" / self.files()[0]
        good = path.read_bytes()
        for content in (b"", b"hello\n", bytes(len(good)), good[:-1], good + b"x",
                        b"X" + good[1:], good[:8] + b"\x09" + good[9:],
                        good[:30] + b"Z" + good[31:], good[:300] + b"\xff" * 8 + good[308:]):
            self.end()
            path.write_bytes(content)
            since = len(self.daemon.log())
            self.daemon.start()
            told = f"{path}: " in self.daemon.wait_log(": ready, ", since=since)
            self.assertEqual(told, any(content), content[:40])
            guests = self.guest("vm1"), self.guest("vm2")
            self.both_ways(*(guest.link.open() for guest in guests), 1000)
            for guest in guests:
                guest.close()

    def test_a_place_that_is_not_private(self):
        place = self.scratch / "joined"
        place.mkdir(mode=0o755)
        self.start_pair()
        channel = self.daemon.rpc("channel.list", {"guest": "vm2"})["channels"][0]
        self.assertEqual(channel["state"], "unavailable")
        self.assertIn("other users can use it", channel["endpoint"]["error"])

    def test_stale_files_go(self):
        self.start_pair()
        self.assertEqual(len(self.files()), 1)
        self.end()
        self.daemon.config["guests"][0]["channels"][0]["endpoint"] = {"type": "echo"}
        self.daemon.config["guests"][1]["channels"][0]["endpoint"] = {"type": "echo"}
        self.daemon.write_config()
        self.daemon.start()
        self.assertEqual(self.files(), [])


CPUS = len(os.sched_getaffinity(0))


class Live(JoinedTest):
    """Guests and channels that are added and removed while bytes move."""

    def add(self, guest: str, name: str, channel: dict) -> None:
        """channel.add."""
        self.daemon.rpc("channel.add", {"guest": guest, "channel": {"name": name, **channel}})

    def with_socket(self, name: str) -> dict:
        """A guest with a channel `sock` that clients of a socket can connect to."""
        return self.config(name, sock={"ring_bytes": RING_BYTES, "endpoint": {
            "type": "unix-listen", "path": str(self.scratch / f"{name}.client")}})

    def connect_client(self, name: str) -> None:
        """A client of a guest's channel `sock`."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.scratch / f"{name}.client"))
        deadline = Deadline(20)
        while not self.state(name, "sock")["endpoint"]["connected"]:
            deadline.check("the client to be there")

    def refuses(self, one: str, other: str, change) -> None:
        """A change that would join guests of two workers is refused, and changes nothing."""
        before = [self.listed(method) for method in ("guest.list", "channel.list")]
        with self.assertRaisesRegex(DaemonError, (
                f"guests {one} and {other} run on different workers, so they cannot be joined while "
                "both run; remove one of them first and add it again afterwards, or restart the "
                "daemon with a configuration that joins them")):
            change()
        self.assertEqual([self.listed(method) for method in ("guest.list", "channel.list")], before)

    def listed(self, method: str) -> list:
        """The guests, or the channels, with their endpoints."""
        answer = self.daemon.rpc(method)
        return [(entry.get("guest"), entry["name"], entry.get("connected"), entry.get("endpoint"))
                for entry in answer[method.split(".", maxsplit=1)[0] + "s"]]

    def test_channels_between_guests_that_run(self):
        """They belong to the same worker; what they had goes on."""
        self.start(self.config("vm1", echo=ECHO), self.config("vm2", echo=ECHO),
                   self.config("vm3", echo=ECHO), one_worker=True)
        guests = [self.guest(name, channels=("echo",)) for name in ("vm1", "vm2", "vm3")]
        echoes = [guest.channels["echo"].open() for guest in guests]
        links = []
        for one, other in ((0, 1), (2, 1), (0, 2)):
            names = f"to{other}", f"to{one}"
            self.add(f"vm{one + 1}", names[0], to(f"vm{other + 1}", names[1]))
            self.assertFalse(self.state(f"vm{one + 1}", names[0])["endpoint"]["connected"])
            self.add(f"vm{other + 1}", names[1], to(f"vm{one + 1}", names[0]))
            links.append([Channel(guests[at].driver, name, instance=random.getrandbits(63) | 1)
                          .attach().open() for at, name in zip((one, other), names)])
            for echo in echoes:
                echo.echo(os.urandom(100000))
            for link in links:
                self.both_ways(*link, 100000)

    def test_guests_that_are_added_and_removed(self):
        self.start(self.config("vm1", link=ECHO), self.config("vm3", echo=ECHO))
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "link"})
        self.add("vm1", "link", to("vm2", "link"))
        one = self.guest("vm1").link.open()
        one.write(b"who is there")
        for _ in range(3):
            self.daemon.rpc("guest.add", {"guest": self.config("vm2", link=to("vm1", "link"))})
            vm2 = self.guest("vm2")
            other = vm2.link.open()
            self.assertEqual(other.read(12), b"who is there")
            self.wait_phase(one, one.tx, lambda phase: phase & 1)
            self.both_ways(one, other)
            self.daemon.rpc("guest.remove", {"guest": "vm2"})
            self.wait_phase(one, one.tx, lambda phase: not phase & 1)
            one.write(b"who is there")
            vm2.close()

    def hub(self, *others: int) -> dict:
        """A guest that is joined to several."""
        return self.config("hub", **{f"to{i}": to(f"vm{i}", "link") for i in others})

    def join_hub(self, *others: int) -> None:
        """The hub and each of the others attach, and bytes go over."""
        hub = self.guest("hub", channels=[f"to{i}" for i in others])
        for i in others:
            self.both_ways(self.guest(f"vm{i}").link.open(), hub.channels[f"to{i}"].open())

    def test_a_guest_that_joins_several_is_joined_to_all(self):
        """They belong to the same worker, and a client of one of them stays connected."""
        self.start(*(self.with_socket(f"vm{i}") for i in (1, 2, 3, 4)), one_worker=True)
        self.connect_client("vm4")
        for i in (1, 2, 4):
            self.add(f"vm{i}", "link", to("hub", f"to{i}"))
        self.daemon.rpc("guest.add", {"guest": self.hub(1, 2, 4)})
        self.assertTrue(self.state("vm4", "sock")["endpoint"]["connected"])
        self.join_hub(1, 2, 4)

    def test_a_guest_that_would_join_guests_of_two_workers_is_refused(self):
        if CPUS == 1:
            return
        self.start(self.config("vm1", echo=ECHO), self.config("vm2", echo=ECHO))
        for i in (1, 2):
            self.add(f"vm{i}", "link", to("hub", f"to{i}"))
        self.refuses("vm1", "vm2", lambda: self.daemon.rpc("guest.add", {"guest": self.hub(1, 2)}))
        self.daemon.rpc("guest.remove", {"guest": "vm2"})
        self.daemon.rpc("guest.add", {"guest": self.hub(1, 2)})
        self.daemon.rpc("guest.add", {"guest": self.config("vm2", link=to("hub", "to2"))})
        self.join_hub(1, 2)

    def test_a_channel_that_would_join_guests_of_two_workers_is_refused(self):
        """The clients that each of them has stay connected; the way out works."""
        if CPUS == 1:
            return
        self.start(self.with_socket("vm1"), self.with_socket("vm2"))
        for name in ("vm1", "vm2"):
            self.connect_client(name)
        self.refuses("vm1", "vm2", lambda: self.add("vm1", "link", to("vm2", "link")))
        self.refuses("vm2", "vm1", lambda: self.add("vm2", "link", to("vm1", "link")))
        self.daemon.rpc("guest.remove", {"guest": "vm2"})
        self.add("vm1", "link", to("vm2", "link"))
        self.daemon.rpc("guest.add", {"guest": self.config("vm2", link=to("vm1", "link"))})
        self.assertTrue(self.state("vm1", "sock")["endpoint"]["connected"])
        self.both_ways(*(self.guest(name).link.open() for name in ("vm1", "vm2")))

    def test_reload_joins_guests_that_run(self):
        """They belong to the same worker."""
        plain = [self.config(name, echo=ECHO) for name in ("vm1", "vm2")]
        self.start(*plain, one_worker=True)
        guests = [self.guest(name, channels=("echo",)) for name in ("vm1", "vm2")]
        echoes = [guest.channels["echo"].open() for guest in guests]
        for _ in range(2):
            self.daemon.config["guests"] = self.joined_guests()
            self.reload()
            ends = [Channel(guest.driver, "link", instance=random.getrandbits(63) | 1)
                    .attach().open() for guest in guests]
            self.both_ways(*ends)
            for echo in echoes:
                echo.echo(os.urandom(100000))
            self.assertEqual(len(self.files()), 1)
            self.daemon.config["guests"] = plain
            self.reload()
            self.assertEqual(self.files(), [])

    def test_a_reload_that_would_join_guests_of_two_workers_is_refused(self):
        if CPUS == 1:
            return
        self.start(self.config("vm1", echo=ECHO), self.config("vm2", echo=ECHO))
        guests = [self.guest(name, channels=("echo",)) for name in ("vm1", "vm2")]
        echoes = [guest.channels["echo"].open() for guest in guests]
        self.daemon.config["guests"] = [*self.joined_guests(), self.config("vm3", echo=ECHO)]
        self.daemon.write_config()
        self.refuses("vm1", "vm2", lambda: self.daemon.rpc("config.reload"))
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        log = self.daemon.wait_log("reload: nothing was changed", since=since)
        self.assertIn("guests vm1 and vm2 run on different workers", log)
        for echo in echoes:
            echo.echo(os.urandom(100000))
        # A guest that is removed first begins anew, on the worker of the other one.
        self.daemon.rpc("guest.remove", {"guest": "vm2"})
        self.reload()
        guests[1].close()
        self.both_ways(Channel(guests[0].driver, "link", instance=random.getrandbits(63) | 1)
                       .attach().open(), self.guest("vm2").link.open())

    def joined_guests(self) -> list[dict]:
        """The guests vm1 and vm2, joined, each with an echo too."""
        return [self.config("vm1", echo=ECHO, link=to("vm2", "link")),
                self.config("vm2", echo=ECHO, link=to("vm1", "link"))]

    def reload(self) -> None:
        """SIGHUP."""
        self.daemon.write_config()
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        self.daemon.wait_log("reloaded,", since=since)
