# SPDX-License-Identifier: BSD-3-Clause
"""Sessions: each open in the guest is a connection of its own. Those that need nobody on the host."""
import hashlib
import os
import struct
import time
import unittest

from guest_end import ATTACH, OPEN, RESUME, Channel, Driver, Refused, Session
from rig import STATUS, FrontendTest
from socket_rig import unix_server
from test_handover import HandoverTest
from test_joined import Guest
from vm.daemon import Daemon, DaemonError, guest_config
from vm.paths import BUILD
from vm.process import scratch_dir

SMALL = 4096
LIVE = 200
FLOOD_S = float(os.environ.get("OKL4FS_FLOOD_S", "2"))


def board(kind: str, n: int, **more) -> dict:
    """A channel with sessions."""
    return {"sessions": n, "ring_bytes": SMALL, "endpoint": {"type": kind}, **more}


class LocalSessions(FrontendTest):
    """Guests with an echo and a discard that have sessions, and a plain echo."""

    CHANNELS = {"many": board("echo", 1023), "few": board("echo", 3), "drop": board("discard", 4),
                "echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}}
    def setUp(self):
        super().setUp()
        self.undisturbed = self.bystander()
        self.driver_ = self.driver()
        self.addCleanup(self.assert_undisturbed, self.undisturbed)

    def session(self, name: str = "few") -> Session:
        """A session that is not open yet."""
        return Session(self.driver_, name)

    def test_channel_info(self):
        channels = self.driver_.channels()
        self.assertEqual({name: (info["flags"], info["max_sessions"], info["ring_bytes"])
                          for name, info in channels.items()},
                         {"many": (2, 1023, SMALL), "few": (2, 3, SMALL), "drop": (2, 4, SMALL),
                          "echo": (0, 0, 65536)})
        self.session().open()
        self.assertEqual(self.driver_.channels(), channels)  # sessions are not listed

    def test_each_has_its_own_stream(self):
        sessions = [self.session().open() for _ in range(3)]
        self.assertEqual(len({session.id for session in sessions}), 3)
        for session in sessions:
            self.assertFalse(session.is_waiting)
            session.echo(os.urandom(5 * SMALL + 17))
        sessions[1].write(b"the last")
        sessions[1].close_writer()
        self.assertEqual(sessions[1].read_all(), b"the last")
        sessions[1].close()
        for session in sessions[::2]:
            session.echo(os.urandom(100), *2 * [0])

    def test_all_are_in_use(self):
        sessions = [self.session().open() for _ in range(3)]
        other = self.session()
        with self.refused("SESSIONS_FULL"):
            other.open()
        sessions[0].close()
        other.open().echo(b"now")
        state = self.channel_state("vm1", "few")
        self.assertEqual(state["sessions"], {**state["sessions"], "max": 3, "live": 3})

    def test_500_at_once(self):
        info = self.driver_.channels()["many"]
        sessions = [Session(self.driver_, "many", info=info).open() for _ in range(500)]
        data = [os.urandom(3 * SMALL // 4) for _ in sessions]
        hashes = [hashlib.sha256(piece).digest() for piece in data]
        for session, piece in zip(sessions, data):
            session.write(piece)
        for session in sessions:
            session.close_writer()
        for session, digest in zip(sessions, hashes):
            self.assertEqual(hashlib.sha256(session.read_all()).digest(), digest)
        self.assertEqual(self.guest_state("vm1")["channels"], 4)
        for session in sessions:
            session.close()
        self.assertEqual(self.channel_state("vm1", "many")["sessions"]["live"], 0)

    # Requests that are refused leave nothing

    def test_refusals(self):
        session = self.session()
        good = session.body()
        plain = self.driver_.channels()["echo"]

        def changed(at: int, form: str, value: int) -> bytes:
            return good[:at] + struct.pack(form, value) + good[at + struct.calcsize(form):]
        for status, kind, body in (
                ("REQ_SESSION", ATTACH, good),
                ("REQ_SESSION", OPEN, struct.pack("<II", plain["id"], plain["generation"]) + good[8:]),
                ("NO_CHANNEL", OPEN, changed(0, "<I", 900)),
                ("NO_CHANNEL", OPEN, changed(4, "<I", 77)),
                ("REQ_RESERVED", OPEN, changed(16, "<I", 4)),
                ("REQ_RESERVED", OPEN, changed(20, "<I", 1)),
                ("CTL_INSTANCE", OPEN, changed(8, "<Q", 0)),
                ("CTL_INSTANCE", OPEN, changed(8, "<Q", session.instance + 1)),
                ("SEC_BYTES", OPEN, Session(self.driver_, "few", info={
                    **self.driver_.channels()["few"], "ring_bytes": 2 * SMALL}).body()),
                ("CHUNK_UNMAPPED", OPEN, changed(len(good) - 8, "<Q", 1 << 40)),
                ("CHUNK_OVERLAP", OPEN, changed(len(good) - 8, "<Q", session.gpas[1][0])),
                ("CHUNK_OVERLAP", OPEN, changed(len(good) - 8, "<Q", self.driver_.bell))):
            with self.subTest(status=status), self.refused(status):
                self.driver_.ask(kind, body)
        sessions = self.channel_state("vm1", "few")["sessions"]
        self.assertEqual((sessions["live"], sessions["waiting"]), (0, 0))
        session.open().echo(os.urandom(100))

    def test_overlap_between_sessions(self):
        one, other = self.session().open(), self.session()
        mine = other.gpas[2]
        other.gpas[2] = one.gpas[1]
        with self.refused("CHUNK_OVERLAP"):
            other.open()
        other.gpas[2] = mine
        other.open().echo(os.urandom(100))
        one.echo(os.urandom(100))

    def test_close_of_something_else(self):
        one = self.session().open()
        plain = self.driver_.channels()["echo"]
        for ident, generation in ((one.id, one.generation + 1), (900, 0), (1 << 31, 0), one.board,
                                  (plain["id"], plain["generation"])):
            with self.subTest(ident=ident), self.refused("NO_CHANNEL"):
                self.driver_.close(ident, generation)
        one.echo(os.urandom(100))
        one.close()
        with self.refused("NO_CHANNEL"):
            one.close()

    def test_the_same_open_again(self):
        """A driver that does not know whether its OPEN was served sends it again."""
        one = self.session().open()
        before = one.id, one.generation
        one.ask_open()
        self.assertEqual((one.id, one.generation), before)
        one.echo(os.urandom(100))
        self.assertEqual(self.channel_state("vm1", "few")["sessions"]["live"], 1)

    def test_rule_broken(self):
        """Only that session fails; its id is free when the driver knows."""
        one, other = self.session().open(), self.session().open()
        one.tx.cursor.value = SMALL + 1
        one.ring()
        self.assertEqual(self.driver_.wait_failures(),
                         [(one.id, STATUS["HEAD_PAST_RING"], one.instance)])
        other.echo(os.urandom(3 * SMALL))
        state = self.channel_state("vm1", "few")
        self.assertEqual(state["sessions"]["live"], 1)
        self.assertGreaterEqual(state["errors"]["HEAD_PAST_RING"], 1)
        third = self.session().open()
        self.assertEqual((third.id, third.generation), (one.id, one.generation + 1))
        third.echo(os.urandom(100))

    def test_no_news_no_id(self):
        """While no buffer is posted, an id that has failed is not given to the next session."""
        driver = Driver.__new__(Driver)
        driver.N_EVENT_BUFFERS = 0
        frontend = self.device("vm1") if not self.close_driver() else None
        self.assertIsNotNone(frontend)
        driver.__init__(frontend)
        driver.hello()
        one, other = (Session(driver, "few") for _ in range(2))
        one.open()
        one.tx.cursor.value = SMALL + 1
        driver.ping()
        other.open()
        self.assertNotEqual(other.id, one.id)
        for i in range(4):
            frontend.rings[1].add([(driver._events + 16 * i, 16, True)], kick=True)
        self.assertEqual(driver.wait_failures(),
                         [(one.id, STATUS["HEAD_PAST_RING"], one.instance)])
        third = Session(driver, "few").open()
        self.assertEqual(third.id, one.id)

    def close_driver(self) -> bool:
        """The driver of setUp() leaves."""
        self.driver_.frontend.close()
        return False

    # The host's side of it

    def test_channel_goes(self):
        """Each session is told, and its id is free."""
        sessions = [self.session().open() for _ in range(3)]
        few = board("echo", 3)
        self.addCleanup(self.daemon.rpc, "channel.add",
                        {"guest": "vm1", "channel": {"name": "few", **few}})
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "few"})
        while len(self.driver_.failures) < 3:
            self.driver_.rung.clear()
            self.driver_.wait_event()
        self.assertEqual(set(self.driver_.failures), {
            (session.id, STATUS["NO_CHANNEL"], session.instance) for session in sessions})

    def test_channel_reset(self):
        one = self.session().open()
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "few"})
        self.assertEqual(self.driver_.wait_failures(),
                         [(one.id, STATUS["CHANNEL_RESET"], one.instance)])
        one.renew().open().echo(b"another")

    def test_counters_are_sums(self):
        before = self.channel_state("vm1", "few")
        sessions = [self.session().open() for _ in range(2)]
        for session in sessions:
            session.echo(os.urandom(2 * SMALL))
        sessions[0].close()
        state = self.channel_state("vm1", "few")
        for way in ("fwd", "bwd"):
            self.assertEqual(state[way]["bytes"] - before[way]["bytes"], 4 * SMALL)
        self.assertEqual(state["state"], "attached")
        self.assertEqual(state["sessions"]["opened"] - before["sessions"]["opened"], 2)
        text = self.daemon.rpc("metrics.get")["text"]
        self.assertIn('okl4fs_channel_sessions{guest="vm1",channel="few"} 1\n', text)
        self.assertNotIn('okl4fs_channel_sessions{guest="vm1",channel="echo"}', text)

    # A guest that does what it likes

    def test_opens_and_never_closes(self):
        """It gets all ids that are left, and nobody else is disturbed."""
        info = self.driver_.channels()["many"]
        sessions = []
        with self.refused("SESSIONS_FULL"):
            while True:
                sessions.append(Session(self.driver_, "many", chunk=SMALL, info=info).open())
        self.assertEqual(len(sessions), 1024 - 4)
        with self.assertRaisesRegex(DaemonError, "1024 channels"):
            self.daemon.rpc("channel.add", {"guest": "vm1",
                                            "channel": {"name": "x", **board("echo", 1)}})
        Channel(self.driver_, "echo").attach().open().echo(os.urandom(100000))
        sessions[0].echo(os.urandom(100))
        self.assert_undisturbed(self.undisturbed)
        sessions.pop().close()
        self.daemon.rpc("channel.add", {"guest": "vm1",
                                        "channel": {"name": "x", **board("echo", 1)}})
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "x"})

    def test_flood(self):
        """As many opens and closes as there can be: nothing is left of them."""
        session = self.session()
        session.open().close()
        self.daemon.rpc("guest.list")
        fds, rss, n = len(self.used_fds()), self.rss_kib(), 0
        end = time.monotonic() + FLOOD_S
        while time.monotonic() < end:
            session.renew().open()
            session.write(b"x" * 100)
            session.close()
            n += 1
        print(f"{n / FLOOD_S:.0f} sessions per second", flush=True)
        self.assertEqual(len(self.used_fds()), fds)
        if b"__asan_init" not in (BUILD / "okl4fsd").read_bytes():  # it keeps what is freed
            self.assertLess(self.rss_kib() - rss, 1024)

    def rss_kib(self) -> int:
        """The daemon's private memory."""
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith("RssAnon:")).split()[1])

    # HELLO, RESUME, SETTLE

    def test_hello_keeps_what_is_resumed(self):
        sessions = [self.session().open() for _ in range(3)]
        for session in sessions:
            session.echo(os.urandom(100))
        self.driver_.hello()
        for session in sessions[:2]:
            before = session.id
            session.ask_open(RESUME)
            self.assertEqual(session.id, before)
        self.driver_.settle()
        for session in sessions[:2]:
            session.echo(os.urandom(3 * SMALL))
        self.assertEqual(self.channel_state("vm1", "few")["sessions"]["live"], 2)
        with self.refused("NO_CHANNEL"):
            sessions[2].close()

    def test_hello_of_another_driver(self):
        sessions = [self.session().open() for _ in range(3)]
        self.driver_.hello(instance=0x9999)
        self.assertEqual(self.channel_state("vm1", "few")["sessions"]["live"], 0)
        sessions[0].renew().open().echo(b"another")


class Resuming(Guest):
    """A guest whose sessions outlive the daemon."""

    def __init__(self, path, n: int):
        super().__init__(path, channels=())
        info = self.driver.channels()
        self.sessions = [Session(self.driver, "many", info=info["many"]).open() for _ in range(n)]
        self.call = Session(self.driver, "call", info=info["call"])

    def resume(self) -> None:
        """What a driver does after HELLO."""
        board_info = self.driver.channels()["many"]
        for session in self.sessions:
            session.board = board_info["id"], board_info["generation"]
            session.ask_open(RESUME)
        self.driver.settle()


class KilledDaemon(unittest.TestCase):
    """Sessions when the daemon is killed."""

    def setUp(self):
        self.scratch = scratch_dir()
        channels = {"many": board("echo", 1000), "call": {
            "sessions": 4, "ring_bytes": SMALL,
            "endpoint": {"type": "unix-connect", "path": str(self.scratch / "server")}}}
        self.config = {"guests": [guest_config("vm1", self.scratch / "vm1.sock", channels)]}

    def test_200_live_ones(self):
        """What is in the guest's memory goes on; a connection of the host's is lost, and says so."""
        daemon = Daemon(self.config, scratch=self.scratch)
        self.addCleanup(daemon.stop)
        guest = Resuming(self.scratch / "vm1.sock", LIVE)
        self.addCleanup(guest.close)
        server = unix_server(self.scratch / "server")
        self.addCleanup(server.close)
        guest.call.open().wait_open()
        data = [os.urandom(3 * SMALL // 2) for _ in guest.sessions]
        for session, piece in zip(guest.sessions, data):
            session.write_some(piece[:SMALL])
        daemon.kill()
        daemon.start()
        guest.connect()
        guest.resume()
        for session, piece in zip(guest.sessions, data):
            session.write(piece[SMALL:])
            self.assertEqual(session.read(len(piece)), piece)
        with self.assertRaises(Refused) as refusal:
            guest.call.ask_open(RESUME)
        self.assertEqual(refusal.exception.status, STATUS["CONNECTION_RESET"])


class HandedOver(HandoverTest):
    """The same with a service manager: the frontend notices nothing."""

    def setUp(self):
        super().setUp()
        self.config["guests"][0]["channels"].append({"name": "many", **board("echo", 1000)})
        self.config["guests"][0]["channels"].append({"name": "call", **board("echo", 1)})
        self.daemon.write_config()

    def test_50_live_ones(self):
        self.daemon.restart()
        guest = Resuming(self.scratch / "vm1.sock", 50)
        self.addCleanup(guest.close)

        def greet():
            while True:
                try:
                    guest.driver.hello()
                    return guest.resume()
                except Refused as refusal:
                    self.assertEqual(refusal.status, STATUS["REQ_NO_HELLO"])
        guest.driver.on_greet = greet
        data = [os.urandom(3 * SMALL // 2) for _ in guest.sessions]
        for session, piece in zip(guest.sessions, data):
            session.write_some(piece[:SMALL])
        self.daemon.kill()
        self.daemon.start()
        for session, piece in zip(guest.sessions, data):
            session.write(piece[SMALL:])
            self.assertEqual(session.read(len(piece)), piece)
