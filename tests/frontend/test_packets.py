# SPDX-License-Identifier: BSD-3-Clause
"""Channels that carry messages ("packets"): each is delivered whole, once, and in order."""
import os
import random
import socket
import struct
from contextlib import suppress
from pathlib import Path

from guest_end import Channel, Session
from memory import Memory
from messages import await_end, publish, put, put_some, take, take_some, takes
from rig import RING_BYTES, FrontendTest
from socket_rig import LIMIT_S, SocketTest
from test_joined import JoinedTest, to
from vm.daemon import Daemon, DaemonError, guest_config
from vm.process import scratch_dir

LONGEST = RING_BYTES - 4
KILLS = 20


def packets(endpoint: dict, **more) -> dict:
    """A channel with messages."""
    return {"ring_bytes": RING_BYTES, "packets": True, "endpoint": endpoint, **more}


def numbered(seed: int, n: int) -> bytes:
    """Message number n of a series; its length and bytes follow from both numbers."""
    rng = random.Random(seed << 32 | n)
    length = rng.choice((0, 1, 7, 60, 900, rng.randrange(9000)))
    return struct.pack("<I", n) + rng.randbytes(length)


class Local(FrontendTest):
    """Endpoints of the daemon itself."""

    CHANNELS = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}},
                "messages": packets({"type": "echo"}),
                "discard": packets({"type": "discard"})}

    def test_flag(self):
        """The guest is told, and so is the operator."""
        driver = self.driver()
        self.assertEqual({name: info["flags"] & 4 for name, info in driver.channels().items()},
                         {"echo": 0, "messages": 4, "discard": 4})
        self.assertEqual({name: self.channel_state("vm1", name)["packets"]
                          for name in self.CHANNELS},
                         {"echo": False, "messages": True, "discard": True})

    def counts(self, name: str) -> list[int]:
        """Messages and bytes each way."""
        state = self.channel_state("vm1", name)
        return [state[way][what] for way in ("fwd", "bwd") for what in ("messages", "bytes")]

    def test_echo(self):
        """Lengths of all kinds, an empty one and the longest too, through chunks of one page."""
        before = self.counts("messages")
        channel = self.echo_channel(name="messages", chunk=4096)
        lengths = (*range(9), 4091, 4092, 4093, 4096, 40000, LONGEST, 0, 1)
        for length in lengths:
            data = os.urandom(length)
            put(channel, data)
            self.assertEqual(take(channel), [data])
        self.assertEqual([now - then for now, then in zip(self.counts("messages"), before)],
                         [len(lengths), sum(lengths)] * 2)

    def test_back_pressure(self):
        """Nobody reads: both rings fill with whole messages, and all of them come."""
        channel = self.echo_channel(name="messages")
        sent, stalls = [], 0
        while stalls < 50:
            data = os.urandom(random.randrange(3000))
            if put_some(channel, data):
                sent.append(data)
                stalls = 0
            else:
                stalls += 1
                channel.driver.ping()
        self.assertEqual(take(channel, len(sent)), sent)

    def test_end_of_file_after_an_empty_message(self):
        channel = self.echo_channel(name="messages")
        put(channel, b"", b"x", b"")
        channel.close_writer()
        self.assertEqual(take(channel, 3), [b"", b"x", b""])
        await_end(channel)

    def test_discard(self):
        channel = self.echo_channel(name="discard")
        put(channel, *[b"m" * 100] * 1000, b"")
        while channel.tx.peer_cursor.value != channel.tx.cursor.value:
            channel.driver.ping()
        self.assertEqual(self.channel_state("vm1", "discard")["fwd"]["messages"], 1001)

    def test_lies(self):
        """A length that does not fit fails the channel, and nothing else."""
        bystander = self.bystander()
        for name in ("messages", "discard"):
            for raw in (struct.pack("<I", 1), struct.pack("<I", 5) + bytes(4), b"\xff" * 8, b"abc",
                        struct.pack("<I", LONGEST) + bytes(100)):
                with self.subTest(name=name, raw=raw[:8]):
                    driver = self.driver()
                    channel = Channel(driver, name, instance=random.getrandbits(62) | 1)
                    channel.attach().open()
                    publish(channel, raw)
                    channel.ring()
                    self.assertEqual([status for _, status, _ in driver.wait_failures()], [54])
                    self.assert_logged(f"channel {name}: ", "PACKET_LENGTH")
                    self.frontends.pop().close()
        self.assert_undisturbed(bystander)


class Sockets(SocketTest):
    """SOCK_SEQPACKET sockets: the host's programs connect, or are connected to."""

    @classmethod
    def channels(cls):
        cls.listens, cls.connects = cls.scratch / "listen.sock", cls.scratch / "connect.sock"
        return {"vm1": {
            "listen": packets({"type": "unix-listen", "path": str(cls.listens)}),
            "large": packets({"type": "unix-listen", "path": str(cls.scratch / "large.sock")},
                             ring_bytes=16 << 20),
            "connect": packets({"type": "unix-connect", "path": str(cls.connects)})}}

    def client(self, path=None, kind=socket.SOCK_SEQPACKET) -> socket.socket:
        """A client of a socket of the daemon."""
        sock = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(sock.close)
        sock.settimeout(LIMIT_S)
        sock.connect(str(path or self.listens))
        return sock

    def setUp(self):
        super().setUp()
        self.vm1 = self.driver(memory=Memory(size=48 << 20))

    def guest(self, channel: str, **options) -> Channel:
        """A channel, attached anew."""
        return Channel(self.vm1, channel, instance=random.getrandbits(62) | 1, **options).attach()

    def pair(self, name: str, **options) -> tuple[Channel, socket.socket]:
        """An open channel and the host's program at its other end."""
        channel = self.guest(name, **options)
        if name != "connect":
            sock = self.client(self.scratch / f"{name}.sock")
            channel.open()
        else:
            self.connects.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
                server.settimeout(LIMIT_S)
                server.bind(str(self.connects))
                server.listen()
                channel.open()
                sock, _ = server.accept()
            self.addCleanup(sock.close)
            sock.settimeout(LIMIT_S)
        self.until(lambda: self.endpoint(name)["connected"], "the connection")
        return channel, sock

    def test_both_ways(self):
        """Whole messages, in order, empty ones too; and at the end an end of file."""
        for name in ("listen", "connect"):
            with self.subTest(name):
                channel, sock = self.pair(name)
                series = [os.urandom(length) for length in
                          (1, 0, 5, 4092, 0, 0, 30000, LONGEST, 3)]
                for data in series:
                    put(channel, data)
                    self.assertEqual(sock.recv(1 << 20), data)
                for data in series:
                    sock.send(data)
                    self.assertEqual(take(channel), [data])
                sock.send(b"")
                sock.send(b"last")
                sock.send(b"")
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(take(channel, 3), [b"", b"last", b""])
                await_end(channel)
                put(channel, b"", b"mine", b"")
                channel.close_writer()
                self.assertEqual([sock.recv(100) for _ in range(4)], [b"", b"mine", b"", b""])
                self.until(lambda: not self.endpoint(name)["connected"], "the end")

    def test_what_a_client_left(self):
        """A client sends and hangs up, before there is a guest and with bytes for it unread."""
        sock = self.client()
        for data in (b"", b"before", b""):
            sock.send(data)
        sock.close()
        channel = self.guest("listen").open()
        self.assertEqual(take(channel, 3), [b"", b"before", b""])
        await_end(channel)

        channel, sock = self.pair("listen")
        for _ in range(100):  # it may hang up between any two looks of the daemon
            put(channel, b"unread")
            self.assertEqual(sock.recv(10, socket.MSG_PEEK), b"unread")
            for data in (b"", b"left", b""):
                sock.send(data)
            sock.close()
            self.assertEqual(take(channel, 3), [b"", b"left", b""])
            await_end(channel)
            channel.close_writer()
            channel.close_reader()
            self.until(lambda: not self.endpoint("listen")["connected"], "the client to be gone")
            channel.open()  # first: a client that comes before may see the end of what was
            sock = self.client(self.listens)

    def test_back_pressure(self):
        """A side that does not read holds up the other one, which loses nothing."""
        channel, sock = self.pair("listen")
        sock.settimeout(0.3)
        n = 0
        with suppress(TimeoutError):
            while n < 10000:
                sock.send(n.to_bytes(4, "little") * (n % 500 + 1))
                n += 1
        self.assertLess(n, 10000)
        for i in range(n):
            self.assertEqual(take(channel), [i.to_bytes(4, "little") * (i % 500 + 1)])
        sent, stalls = 0, 0
        while stalls < 50:
            done = put_some(channel, sent.to_bytes(4, "little") * (sent % 500 + 1))
            sent += done
            stalls = 0 if done else stalls + 1
            if not done:
                channel.driver.ping()
        self.assertLess(sent, 10000)
        for i in range(sent):
            self.assertEqual(sock.recv(4096), i.to_bytes(4, "little") * (i % 500 + 1))

    def test_message_that_the_ring_cannot_take(self):
        """The client that sent it gets ECONNRESET; what it had sent before is there."""
        channel, sock = self.pair("listen")
        sock.send(b"before")
        sock.send(bytes(LONGEST + 1))
        self.assert_logged("channel listen: ", f"a message of {LONGEST + 1} bytes", "ring_bytes")
        with self.assertRaises(ConnectionResetError):
            sock.recv(1)
        self.assertEqual(take(channel), [b"before"])
        await_end(channel)
        self.assertFalse(self.endpoint("listen")["connected"])

    def test_message_that_the_socket_cannot_take(self):
        """It is counted as lost, and the client does not get an orderly end."""
        if int(Path("/proc/sys/net/core/wmem_max").read_text()) > 7 << 20:
            self.skipTest("here a socket takes any message")
        channel, sock = self.pair("large")
        put(channel, b"before")
        self.assertEqual(sock.recv(10), b"before")
        put(channel, bytes(15 << 20), b"next")
        self.assert_logged("channel large: ", f"{15 << 20} bytes", "lost", "wmem_max")
        self.assertFalse(self.endpoint("large")["connected"])
        self.assertEqual(self.channel_state("vm1", "large")["lost_bytes"], 15 << 20)
        sock.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            sock.recv(1)
        self.assertEqual(self.client(self.scratch / "large.sock").recv(10), b"next")

    def test_client_of_another_kind(self):
        with self.assertRaises(OSError) as error:
            self.client(kind=socket.SOCK_STREAM)
        self.assertIn("wrong type", str(error.exception))
        self.connects.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.connects))
            server.listen()
            self.guest("connect").open()
            self.await_error("connect", "it is not a SOCK_SEQPACKET socket")


class Sessions(SocketTest):
    """Each session has messages of its own."""

    @classmethod
    def channels(cls):
        cls.listens, cls.connects = cls.scratch / "listen.sock", cls.scratch / "connect.sock"
        return {"vm1": {
            "echo": packets({"type": "echo"}, sessions=3),
            "listen": packets({"type": "unix-listen", "path": str(cls.listens)}, sessions=3),
            "connect": packets({"type": "unix-connect", "path": str(cls.connects)}, sessions=3)}}

    def setUp(self):
        super().setUp()
        self.vm1 = self.driver()

    def test_echo(self):
        sessions = [Session(self.vm1, "echo").open().wait_open() for _ in range(2)]
        for i, session in enumerate(sessions):
            put(session, b"%d" % i, b"", bytes(5000))
        for i, session in enumerate(sessions):
            self.assertEqual(take(session, 3), [b"%d" % i, b"", bytes(5000)])
            session.close()

    def both_ways(self, session: Session, sock: socket.socket) -> None:
        """Messages each way, then the ends."""
        sock.settimeout(LIMIT_S)
        for data in (b"", b"one", bytes(9000), b""):
            put(session, data)
            self.assertEqual(sock.recv(1 << 16), data)
            sock.send(data)
            self.assertEqual(take(session), [data])
        sock.shutdown(socket.SHUT_WR)
        await_end(session)
        session.close_writer()
        self.assertEqual(sock.recv(1), b"")
        session.close()
        sock.close()

    def test_host_calls(self):
        for _ in range(2):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sock.connect(str(self.listens))
            self.both_ways(Session(self.vm1, "listen").open().wait_open(), sock)

    def test_client_that_left_an_empty_message(self):
        """It has said something, so it waits for an open like any other."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(self.listens))
            sock.send(b"")
        session = Session(self.vm1, "listen").open().wait_open()
        self.assertEqual(take(session), [b""])
        await_end(session)
        session.close()

    def test_guest_calls(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.settimeout(LIMIT_S)
            server.bind(str(self.connects))
            server.listen()
            for _ in range(2):
                session = Session(self.vm1, "connect").open().wait_open()
                self.both_ways(session, server.accept()[0])


class Tails(SocketTest):
    """What a guest has written when it goes: whole messages, or their loss is told."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.path = cls.scratch / "host.sock"
        cls.daemon = Daemon({"guests": [guest_config("vm1", cls.scratch / "vm1.sock", {
            "host": packets({"type": "unix-listen", "path": str(cls.path)})},
            tail_bytes=8192)]}, args=cls.DAEMON_ARGS, scratch=cls.scratch)

    def left(self, *messages: bytes) -> list[bytes]:
        """What a client gets of what a guest wrote and left behind, until nothing comes."""
        channel = self.guest("host").open()
        put(channel, *messages)
        channel.driver.frontend.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(sock.close)
        sock.settimeout(0.3)
        self.until(lambda: not self.guest_state("vm1")["connected"], "the guest to have gone")
        sock.connect(str(self.path))
        found = []
        with suppress(TimeoutError):
            while len(found) < len(messages) or sock.recv(1):
                found.append(sock.recv(1 << 17))
        return found

    def test_whole(self):
        series = [os.urandom(length) for length in (0, 1, 4000, 17, 0, 3000)]
        self.assertEqual(self.left(*series), series)

    def test_cut_by_the_budget(self):
        """The message that does not fit is lost as a whole, and those behind it."""
        series = [os.urandom(3000) for _ in range(5)]
        self.assertEqual(self.left(*series), series[:2])
        self.assertEqual(self.channel_state("vm1", "host")["lost_bytes"], 3 * takes(series[0]))
        self.assert_logged("channel host: ", "tail_bytes")


class Joined(JoinedTest):
    """Two guests; and a daemon that is killed again and again."""

    def pair(self, first: dict, second: dict) -> None:
        """A daemon with two guests whose channels name each other."""
        self.start(self.config("vm1", link={**to("vm2", "link"), **first}),
                   self.config("vm2", link={**to("vm1", "link"), **second}))

    def test_messages(self):
        self.pair({"packets": True}, {"packets": True})
        one, two = self.guest("vm1").link.open(), self.guest("vm2").link.open()
        series = [os.urandom(length) for length in (0, 1, 4095, 20000, LONGEST, 0)]
        for a, b in ((one, two), (two, one)):
            for data in series:
                put(a, data)
                self.assertEqual(take(b), [data])
        put(one, b"", b"end", b"")
        one.close_writer()
        self.assertEqual(take(two, 3), [b"", b"end", b""])
        await_end(two)

    def test_both_or_neither(self):
        """A configuration in which they do not go together is refused, with the way out."""
        for first, second in (({"packets": True}, {}), ({}, {"packets": True}),
                              ({"packets": True}, {"packets": True, "ring_bytes": 131072})):
            with self.subTest(first=first, second=second):
                self.scratch = scratch_dir()
                with self.assertRaises(DaemonError) as error:
                    self.pair(first, second)
                self.assertRegex(str(error.exception), r'channels\[0\]\.packets: channel "link" of '
                                 r'guest "vm\d", to which this one is joined, must have')

    def test_guests_that_are_added(self):
        """A guest that is added is checked when it is joined."""
        self.start()
        self.daemon.rpc("guest.add", {"guest": self.config("vm1", link={**to("vm2", "link"),
                                                                        "packets": True})})
        self.daemon.rpc("guest.add", {"guest": self.config("vm2", link=to("vm1", "link"))})
        for channel in self.daemon.rpc("channel.list", {})["channels"]:
            self.assertRegex(channel["endpoint"]["error"],
                             '/link cannot be joined: .*"packets".*"ring_bytes"')

    def kill_and_go_on(self, guests: list) -> None:
        """SIGKILL, and another daemon."""
        self.daemon.kill()
        self.daemon.start()
        for guest in guests:
            guest.connect()

    def stream(self, guests: list, source, target, seed: int) -> None:
        """Numbered messages go from one channel to the other while the daemon is killed."""
        sent = received = kills = 0
        while kills < KILLS or received < sent:
            for _ in range(self.random.randrange(40)):
                if kills == KILLS or not put_some(source(), numbered(seed, sent)):
                    break
                sent += 1
            if kills < KILLS and self.random.random() < 0.2:
                self.kill_and_go_on(guests)
                kills += 1
            for _ in range(self.random.randrange(60)):
                data = take_some(target())
                if data is None:
                    break
                self.assertEqual(data, numbered(seed, received))
                received += 1
            else:
                continue
            if kills == KILLS and received < sent:
                target().sleep_read()
        self.assertGreater(sent, 100)
        source().driver.ping()
        self.assertIsNone(take_some(target()), "a message came twice")

    def test_killed_in_mid_stream(self):
        self.pair({"packets": True}, {"packets": True})
        guests = [self.guest("vm1"), self.guest("vm2")]
        for guest in guests:
            guest.link.open()
        self.stream(guests, lambda: guests[0].link, lambda: guests[1].link, self.seed)

    def test_killed_while_it_echoes(self):
        self.start(self.config("vm1", link=packets({"type": "echo"})))
        guest = self.guest("vm1")
        guest.link.open()
        self.stream([guest], lambda: guest.link, lambda: guest.link, self.seed)
