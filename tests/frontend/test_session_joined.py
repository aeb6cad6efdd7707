# SPDX-License-Identifier: BSD-3-Clause
"""Sessions between two guests: endpoint `channel`, where both call."""
import os

from guest_end import NOWAIT, RESUME, Session
from test_joined import STATUS, Guest, JoinedTest, to
from vm.daemon import DaemonError
from vm.process import Deadline

SMALL = 4096
N = 20


def board(guest: str, n: int = 64) -> dict:
    """A channel `link` that is joined to another guest's."""
    return {"sessions": n, "ring_bytes": SMALL,
            "endpoint": {"type": "channel", "guest": guest, "channel": "link"}}


class Caller(Guest):
    """A guest with sessions that outlive its frontends."""

    def __init__(self, path):
        super().__init__(path, channels=())
        self.info = self.driver.channels()["link"]
        self.sessions: list[Session] = []

    def session(self, flags: int = 0, **ends) -> Session:
        """OPEN; it may be waiting then."""
        session = Session(self.driver, "link", info=self.info).open(flags, **ends)
        self.sessions.append(session)
        return session

    def resume(self) -> list[Session]:
        """Connect to a new daemon and resume all; return those that were refused."""
        self.connect()
        self.info = self.driver.channels()["link"]
        lost = []
        for session in self.sessions:
            session.board = (self.info["id"], self.info["generation"])
            try:
                session.ask_open(RESUME)
            except Exception:  # pylint: disable=broad-exception-caught
                lost.append(session)
        self.driver.settle()
        return lost


class JoinedSessions(JoinedTest):
    """Two guests that call one another."""

    def start_pair(self) -> None:
        """A daemon with vm1 and vm2."""
        self.start(self.config("vm1", link=board("vm2")), self.config("vm2", link=board("vm1")))

    def caller(self, name: str) -> Caller:
        """A guest."""
        deadline = Deadline(20)
        while any(guest["connected"] for guest in self.daemon.rpc("guest.list")["guests"]
                  if guest["name"] == name):
            deadline.check(f"the former frontend of {name} to be gone")
        guest = Caller(self.scratch / f"{name}.sock")
        self.addCleanup(guest.close)
        return guest

    def callers(self) -> tuple[Caller, Caller]:
        """A daemon and both guests."""
        self.start_pair()
        return self.caller("vm1"), self.caller("vm2")

    def pairs(self, one: Caller, two: Caller, n: int) -> list[tuple[Session, Session]]:
        """Joined sessions."""
        made = []
        for _ in range(n):
            first = one.session()
            assert first.is_waiting
            second = two.session()
            assert not second.is_waiting
            made.append((first.wait_open(), second))
        return made

    def exchange(self, one: Session, two: Session, size: int = 100) -> None:
        """Bytes in both directions."""
        for source, target in ((one, two), (two, one)):
            data = os.urandom(size)
            source.write(data)
            self.assertEqual(target.read(size), data)

    def test_both_sides_call(self):
        """The ones that have waited longest are joined, whichever side they are on."""
        one, two = self.callers()
        waiting = [one.session() for _ in range(3)]
        joined = [two.session() for _ in range(5)]
        self.assertEqual([session.is_waiting for session in waiting + joined],
                         [True] * 3 + [False] * 3 + [True] * 2)
        for first, second in zip(waiting, joined):
            first.wait_open()
            self.exchange(first, second)
        for second in joined[3:]:
            first = one.session()
            self.assertFalse(first.is_waiting)
            self.exchange(first, second.wait_open())

    def test_nowait(self):
        one, two = self.callers()
        session = Session(one.driver, "link", info=one.info)
        with self.refused("NO_CLIENT"):
            session.open(NOWAIT)
        other = two.session()
        self.exchange(session.open(NOWAIT), other.wait_open())

    def test_ends(self):
        one, two = self.callers()
        (first, second), (third, fourth) = self.pairs(one, two, 2)
        data = os.urandom(3 * SMALL // 2)
        first.write(data[:SMALL])
        got = second.read(100)
        first.write(data[SMALL:])
        first.close_writer()
        self.assertEqual(got + second.read_all(), data)
        second.write(b"answer")
        self.assertEqual(first.read(6), b"answer")
        first.close()
        self.assertEqual(second.read_all(), b"")
        self.wait_phase(second, second.tx, lambda phase: phase and phase % 2 == 0)  # EPIPE
        self.exchange(third, fourth)
        second.close()
        third.close()
        fourth.close()
        self.assertEqual(self.files(), [])
        for guest in ("vm1", "vm2"):
            self.assertEqual(self.state(guest)["sessions"]["live"], 0)

    def test_one_direction(self):
        """A reader's writer is closed from the start, and so is a writer's reader."""
        one, two = self.callers()
        reader = one.session(writer=False)
        writer = two.session(reader=False)
        reader.wait_open()
        writer.write(b"to the reader")
        writer.close_writer()
        self.assertEqual(reader.read_all(), b"to the reader")
        reader, other = one.session(writer=False), two.session(writer=False)
        self.assertEqual((reader.wait_open().read_all(), other.read_all()), (b"", b""))
        writer, other = one.session(reader=False), two.session(reader=False)
        for session in (writer.wait_open(), other):
            self.wait_phase(session, session.tx, lambda phase: phase == 2)  # EPIPE

    def test_bytes_that_a_closed_session_left(self):
        one, two = self.callers()
        (first, second), = self.pairs(one, two, 1)
        data = os.urandom(2 * SMALL)
        first.write(data)  # both rings are full
        first.close()
        first.renew()
        self.assertEqual(second.read_all(), data)
        second.close()
        self.assertEqual(self.files(), [])

    def test_guest_is_gone(self):
        """Its sessions end, after what it had written."""
        one, two = self.callers()
        pairs = self.pairs(one, two, N)
        data = [os.urandom(SMALL) for _ in pairs]
        for (first, second), piece in zip(pairs, data):
            first.write(piece)
        one.close()
        for (first, second), piece in zip(pairs, data):
            self.assertEqual(second.read_all(), piece)
        again = self.caller("vm1")
        session = again.session()
        self.exchange(two.session(), session.wait_open())

    def test_daemon_is_killed(self):
        """Nothing is lost or doubled, whichever guest comes back first; an end that came is kept."""
        one, two = self.callers()
        pairs = self.pairs(one, two, N)
        sent = {}
        for first, second in pairs:
            sent[first], sent[second] = os.urandom(3000), os.urandom(3000)
            for session in (first, second):
                session.write(sent[session][:2000])
        pairs[0][0].close_writer()
        ended = one.sessions.pop()  # it is closed while the daemon is away
        deadline = Deadline(20)
        # The last one's memory does not come back, so its bytes must have gone over
        while pairs[0][1].rx.peer_phase.value != 2 or pairs[-1][1].rx.peer_cursor.value != 2000:
            deadline.check("the end of the first stream, and the last one's bytes")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(two.resume(), [])
        self.assertEqual(one.resume(), [])
        for first, second in pairs[1:-1]:
            for source, target in ((first, second), (second, first)):
                source.write(sent[source][2000:])
                self.assertEqual(target.read(3000), sent[source])
        self.assertEqual(pairs[0][1].read_all(), sent[pairs[0][0]][:2000])
        self.assertEqual(pairs[-1][1].read_all()[:2000], sent[ended][:2000])
        self.assertEqual(len(self.files()), N)
        for session in one.sessions + two.sessions:
            session.close()
        self.assertEqual(self.files(), [])

    def test_guest_does_not_come_back(self):
        """A guest that has booted again while the daemon was away has no sessions to resume."""
        one, two = self.callers()
        pairs = self.pairs(one, two, 3)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(two.resume(), [])
        one.sessions.clear()
        one.connect()
        one.driver.settle()
        for _, second in pairs:
            self.assertEqual(second.read_all(), b"")
            second.close()
        self.assertEqual(self.files(), [])

    def test_only_one_has_sessions(self):
        config = [self.config("vm1", link=board("vm2")),
                  self.config("vm2", link=to("vm1", "link"))]
        self.start(*({**guest, "channels": []} for guest in config), one_worker=True)
        for guest in config:
            self.daemon.rpc("channel.add", {"guest": guest["name"],
                                            "channel": guest["channels"][0]})
        one = self.caller("vm1")
        self.assertTrue(one.session().is_waiting)
        for guest, text in (("vm1", "vm2/link has no sessions"), ("vm2", "vm1/link has sessions")):
            self.assertIn(text, self.state(guest)["endpoint"]["error"])
        self.daemon.config["guests"] = config
        self.daemon.write_config()
        with self.assertRaisesRegex(DaemonError, 'channel "link" of guest "vm2" has no sessions'):
            self.daemon.rpc("config.reload")

    def refused(self, status: str):
        """What is done here is refused."""
        return self.assertRaisesRegex(Exception, f"status {STATUS[status]}$")
