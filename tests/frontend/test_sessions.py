# SPDX-License-Identifier: BSD-3-Clause
"""Sessions: each open in the guest is a connection of its own. Those that need nobody on the host."""
import hashlib
import os

from guest_end import Channel, Driver, Session
from memory import Memory
from rig import FrontendTest
from vm.daemon import guest_config

SMALL = 4096


def board(kind: str, n: int, **more) -> dict:
    """A channel with sessions."""
    return {"sessions": n, "ring_bytes": SMALL, "endpoint": {"type": kind}, **more}


class LocalSessions(FrontendTest):
    """Guests with an echo and a discard that have sessions, and a plain echo."""

    CHANNELS = {"many": board("echo", 1023), "few": board("echo", 3), "drop": board("discard", 4),
                "echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}}
    MEMORY = 32 << 20

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
