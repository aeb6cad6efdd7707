# SPDX-License-Identifier: BSD-3-Clause
"""Which program in the guest has opened a channel: what the guest says, and what the daemon makes of it."""
import os
import subprocess

from guest_end import Channel, Session
from rig import RING_BYTES
from socket_rig import LIMIT_S, SocketTest, free_port, receive, unix_server
from vm import paths
from vm.control import Connection

CAT = {"comm": "cat", "pid": 1234, "uid": 1000, "gid": 100}
DD = {"comm": "dd", "pid": 4294967295, "uid": 0, "gid": 5}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def name(pipe, who: dict) -> None:
    """The guest says that this program opens the end."""
    pipe.name(who["comm"].encode(), who["pid"], who["uid"], who["gid"])


class Openers(SocketTest):
    """Channels whose openers are shown."""

    @classmethod
    def channels(cls):
        cls.path, cls.port = cls.scratch / "server.sock", free_port()
        return {"vm1": {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}},
                        "unix": {"ring_bytes": RING_BYTES, "endpoint": {
                            "type": "unix-connect", "path": str(cls.path), "proxy": "v2"}},
                        "call": {"sessions": 50, "ring_bytes": 4096, "endpoint": {
                            "type": "unix-connect", "path": str(cls.path), "proxy": "v2"}},
                        "dial": {"sessions": 50, "ring_bytes": 4096, "endpoint": {
                            "type": "tcp-connect", "address": f"127.0.0.1:{cls.port}",
                            "proxy": "v2"}},
                        "sessions": {"sessions": 100, "ring_bytes": 4096,
                                     "endpoint": {"type": "echo"}},
                        "tcp": {"ring_bytes": RING_BYTES, "endpoint": {
                            "type": "tcp-connect", "address": f"127.0.0.1:{cls.port}",
                            "proxy": "v2"}}}}

    def openers(self, channel: str = "echo") -> tuple:
        """What channel.list says: of the writer, of the reader."""
        state = self.channel_state("vm1", channel)
        return state["fwd"]["guest_opener"], state["bwd"]["guest_opener"]

    def events(self) -> Connection:
        """A connection that is told of openings."""
        watch = Connection(self.daemon.control_path)
        self.addCleanup(watch.close)
        watch.call("events.subscribe", {"kinds": ["channel.opened"]})
        return watch

    def test_the_list_and_the_events(self):
        watch = self.events()
        channel = Channel(self.driver(), "echo").attach()
        self.assertEqual(self.openers(), (None, None))
        name(channel.tx, CAT)
        self.assertEqual(self.openers(), (None, None), "the end is not open yet")
        name(channel.rx, DD)
        channel.open()
        self.assertEqual(self.openers(), (CAT, DD))
        for end, who in (("writer", CAT), ("reader", DD)):
            event = watch.event()
            self.assertEqual((event["channel"], event["end"], event["guest_opener"],
                              event["unreported"]), ("echo", end, who, 0))
        name(channel.tx, DD)  # an end that is open keeps the program that has opened it
        self.assertEqual(self.openers(), (CAT, DD))
        channel.close_writer()
        self.assertEqual(self.openers(), (None, DD))
        channel.tx.phase.value += 1
        channel.ring()
        self.assertEqual(self.openers(), (DD, DD))
        self.assertEqual(watch.event()["guest_opener"], DD)

    def test_both_ends_by_one_program_are_one_event(self):
        watch = self.events()
        channel = Channel(self.driver(), "echo").attach()
        name(channel.tx, CAT)
        name(channel.rx, CAT)
        channel.open()
        event = watch.event()
        self.assertEqual((event["end"], event["guest_opener"]), ("both", CAT))

    def test_a_guest_that_does_not_tell(self):
        watch = self.events()
        Channel(self.driver(), "echo").attach().open()
        self.assertEqual(self.openers(), (None, None))
        event = watch.event()
        self.assertEqual((event["end"], event["guest_opener"]), ("both", None))

    def test_the_memory_of_another_stream_brings_its_own(self):
        channel = Channel(self.driver(), "echo").attach()
        name(channel.tx, CAT)
        channel.open()
        self.assertEqual(self.openers()[0], CAT)
        channel.driver.detach(channel.id, channel.generation)
        self.assertEqual(self.openers(), (None, None))
        channel.instance += 1
        channel.create()
        channel.attach().open()
        self.assertEqual(self.openers(), (None, None))

    def test_names_that_are_not_text(self):
        channel = Channel(self.driver(), "echo").attach()
        for said, shown in ((b"\xff\xc3\x28\xe2\x82", "\ufffd\ufffd(\ufffd\ufffd"), (b"\x1b[2J\n", "\x1b[2J\n"),
                            (b"0123456789abcdef", "0123456789abcdef"), (b"", ""),
                            ("Gr\u00fc\u00dfe".encode(), "Gr\u00fc\u00dfe"), (b'"\\', '"\\')):
            with self.subTest(said):
                channel.tx.name(said, 7)
                channel.tx.phase.value += 1
                channel.ring()
                self.assertEqual(self.openers()[0]["comm"], shown)
                said = self.okl4fsctl("channel", "vm1/echo")
                self.assertNotIn("\x1b", said)
                self.assertIn(", pid 7, uid 0, for writing (says the guest)\n", said)
                channel.close_writer()

    def okl4fsctl(self, *args: str) -> str:
        """What okl4fsctl prints."""
        return subprocess.run([paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, *args],
                              check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout

    def test_a_guest_that_opens_and_closes_all_the_time(self):
        """It costs some events; the next one says how many were left out."""
        watch = self.events()
        channel = Channel(self.driver(), "echo").attach()
        self.daemon.rpc("log.set", {"level": "info"})  # at debug there is no limit
        self.addCleanup(self.daemon.rpc, "log.set", {"level": "debug"})
        for number in range(1, 201):
            if number == 200:
                self.daemon.rpc("log.set", {"level": "debug"})
            channel.tx.name(b"sh", number)
            channel.tx.phase.value += 1
            self.assertEqual(self.openers()[0]["pid"], number)  # the daemon has looked
            channel.tx.phase.value += 1
        events = [watch.event()]
        while events[-1]["guest_opener"]["pid"] < 200:
            events.append(watch.event())
        self.assertEqual(len(events) + sum(event["unreported"] for event in events), 200)
        self.assertLess(len(events), 150)

    def test_sessions_share_the_limit_of_their_channel(self):
        watch = self.events()
        driver = self.driver()
        info = driver.channels()["sessions"]
        self.daemon.rpc("log.set", {"level": "info"})
        self.addCleanup(self.daemon.rpc, "log.set", {"level": "debug"})
        for _ in range(100):
            session = Session(driver, "sessions", info=info)
            session.tx.name(b"one", 1)
            session.open(reader=False)
        self.daemon.rpc("log.set", {"level": "debug"})
        Channel(driver, "echo").attach().open()
        kinds = []
        while (event := watch.event())["channel"] == "sessions":
            kinds.append(event)
            self.assertEqual((event["end"], event["guest_opener"]["comm"]), ("writer", "one"))
        self.assertLess(len(kinds), 60)

    # The PROXY header

    def header(self, sock) -> tuple[str, str, dict]:
        """Read a header: source, destination, fields."""
        head = receive(sock, 16)
        self.assertEqual(head[:14], SIGNATURE + b"\x21\x31")
        rest = receive(sock, int.from_bytes(head[14:], "big"))
        source, destination = (rest[at:at + 108].rstrip(b"\0").decode() for at in (0, 108))
        fields, rest = {}, rest[216:]
        while rest:
            size = int.from_bytes(rest[1:3], "big")
            self.assertNotIn(rest[0], fields)
            fields[rest[0]] = rest[3:3 + size].decode()
            rest = rest[3 + size:]
        return source, destination, fields

    def accepted(self, server):
        """The daemon's connection."""
        sock, _ = server.accept()
        sock.settimeout(LIMIT_S)
        self.addCleanup(sock.close)
        return sock

    def test_the_header_of_each_connection(self):
        driver = self.driver()
        self.addCleanup(lambda: os.path.exists(self.path) and os.unlink(self.path))
        for channel, target, server in (("unix", str(self.path), unix_server(self.path)),
                                        ("tcp", f"127.0.0.1:{self.port}", self.listen(self.port))):
            self.addCleanup(server.close)
            guest = Channel(driver, channel).attach()
            known = {0xe0: "vm1", 0xe1: channel}
            for who, fields in (
                    (CAT, {0xe2: "1000", 0xe3: "100", 0xe4: "1234", 0xe5: "cat", 0xe6: "writer"}),
                    ({**DD, "comm": "a\x1bb\n"},
                     {0xe2: "0", 0xe3: "5", 0xe4: "4294967295", 0xe5: "a?b?", 0xe6: "writer"}),
                    ({**CAT, "pid": 0}, {})):
                with self.subTest(channel, who=who):
                    name(guest.tx, who)
                    self.write_stream(guest, b"hello")
                    sock = self.accepted(server)
                    self.assertEqual(self.header(sock),
                                     (f"vm1/{channel}", target, known | fields))
                    self.assertEqual(receive(sock, 5), b"hello")
                    self.assertEqual(sock.recv(1), b"")
                    sock.close()
                    self.until(lambda: not self.endpoint(channel)["connected"], "the end")

    def test_each_session_has_its_header(self):
        servers, driver = {"call": unix_server(self.path), "dial": self.listen(self.port)}, self.driver()
        self.addCleanup(self.path.unlink)
        for server in servers.values():
            self.addCleanup(server.close)
        for number, name in enumerate(("call", "dial", "call", "dial"), 1):
            session = Session(driver, name)
            for pipe in (session.tx, session.rx):
                pipe.name(b"curl", number)
            session.open().wait_open()
            sock = self.accepted(servers[name])
            _, _, fields = self.header(sock)
            self.assertEqual((fields[0xe1], fields[0xe4], fields[0xe6]), (name, str(number), "both"))
            session.write(b"hello")
            self.assertEqual(receive(sock, 5), b"hello")
            session.close()

    def test_the_header_of_a_reader(self):
        server = unix_server(self.path)
        self.addCleanup(server.close)
        self.addCleanup(self.path.unlink)
        guest = Channel(self.driver(), "unix").attach()
        name(guest.rx, CAT)
        self.open_reader(guest)
        self.assertEqual(self.header(self.accepted(server))[2][0xe6], "reader")

    def test_what_a_guest_has_left_has_no_program(self):
        """The guest is gone: only the daemon's own words are in the header."""
        guest = Channel(self.driver(), "unix").attach()
        name(guest.tx, CAT)
        self.write_stream(guest, b"left behind")
        guest.driver.ping()
        guest.driver.frontend.close()
        self.until(lambda: self.channel_state("vm1", "unix")["tail_bytes"], "a tail")
        server = unix_server(self.path)
        self.addCleanup(server.close)
        self.addCleanup(self.path.unlink)
        sock = self.accepted(server)
        self.assertEqual(self.header(sock)[2], {0xe0: "vm1", 0xe1: "unix"})
        self.assertEqual(receive(sock, 11), b"left behind")
