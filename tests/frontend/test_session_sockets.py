# SPDX-License-Identifier: BSD-3-Clause
"""Sessions whose host end is a socket: which connection a session gets, and that its ends are its own."""
import hashlib
import os
import select
import socket
from contextlib import suppress

from guest_end import NOWAIT, Session
from rig import STATUS
from socket_rig import LIMIT_S, SocketTest, unix_client, unix_server

SMALL = 4096
BACKLOG = 16


class UnixSessions(SocketTest):
    """Guests with a socket that they call, and one where the host's clients call."""

    @classmethod
    def channels(cls):
        return {"vm1": {"call": cls.board("unix-connect", "server", 64),
                        "accept": cls.board("unix-listen", "listen", 40)},
                "vm2": {"echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}}}

    @classmethod
    def board(cls, kind: str, name: str, n: int) -> dict:
        """A channel with sessions at a unix socket."""
        return {"sessions": n, "ring_bytes": SMALL,
                "endpoint": {"type": kind, "path": str(cls.scratch / name)}}

    def setUp(self):
        super().setUp()
        self.undisturbed = self.bystander()
        self.driver_ = self.driver()
        self.info = self.driver_.channels()
        self.addCleanup(self.assert_undisturbed, self.undisturbed)

    def session(self, name: str) -> Session:
        """A session that is not open yet."""
        return Session(self.driver_, name, info=self.info[name])

    def client(self, name: str = "listen") -> socket.socket:
        """A client of the host's."""
        sock = unix_client(self.scratch / name)
        self.addCleanup(sock.close)
        return sock

    def server(self) -> socket.socket:
        """A server that the guest calls."""
        sock = unix_server(self.scratch / "server")
        self.addCleanup(sock.close)
        return sock

    def sessions_of(self, name: str) -> dict:
        """What channel.list says of a channel's sessions."""
        return self.channel_state("vm1", name)["sessions"]

    def pair(self) -> tuple[Session, socket.socket]:
        """A session with its client."""
        sock = self.client()
        session = self.session("accept").open()
        self.assertFalse(session.is_waiting)
        return session, sock

    # The guest calls

    def test_guest_calls(self):
        server = self.server()
        pairs = []
        for i in range(5):
            session = self.session("call").open().wait_open()
            sock, _ = server.accept()
            self.addCleanup(sock.close)
            sock.settimeout(LIMIT_S)
            pairs.append((session, sock, b"%d" % i * 2000))
        for session, sock, data in pairs:
            session.write(data)
            sock.sendall(data[::-1])
        for session, sock, data in reversed(pairs):
            session.close_writer()
            self.assertEqual(sock.makefile("rb").read(), data)
            sock.close()
            self.assertEqual(session.read_all(), data[::-1])
            session.close()
        self.assertEqual(self.sessions_of("call")["live"], 0)

    def test_nobody_listens(self):
        (self.scratch / "server").unlink(missing_ok=True)
        session = self.session("call")
        refused = self.sessions_of("call")["refused"]
        with self.refused("CONNECTION_REFUSED"):
            session.open()
        self.server().close()
        with self.refused("CONNECTION_REFUSED"):
            session.open()
        self.assertIn("nobody listens", self.endpoint("call")["error"])
        self.assertEqual(self.sessions_of("call")["refused"], refused + 2)
        server = self.server()
        session.open().wait_open()
        server.accept()[0].close()
        self.assertEqual(session.read_all(), b"")
        self.assertIsNone(self.endpoint("call")["error"])
        session.close()

    def test_servers_queue_is_full(self):
        """A session waits for a place there, as connect(2) does."""
        server = self.server()
        server.listen(0)
        first = self.session("call").open()
        self.assertFalse(first.is_waiting)
        second = self.session("call").open(NOWAIT)
        self.assertTrue(second.is_waiting)
        third = self.session("call").open()
        self.assertEqual(self.sessions_of("call")["waiting"], 2)
        third.close()
        server.accept()[0].close()
        second.wait_open()
        server.accept()[0].close()
        for session in (first, second):
            session.close()
        self.assertEqual(self.sessions_of("call")["live"], 0)

    # The host's clients call

    def test_order_of_accept(self):
        """Clients and sessions are joined in the order in which they come."""
        clients = [self.client() for _ in range(3)]
        for i, sock in enumerate(clients):
            sock.sendall(b"%d" % i)
        sessions = [self.session("accept").open() for _ in range(5)]
        self.assertEqual([session.is_waiting for session in sessions], [False] * 3 + [True] * 2)
        self.assertEqual([session.read(1) for session in sessions[:3]], [b"0", b"1", b"2"])
        for i, session in enumerate(sessions[3:], 3):
            sock = self.client()
            sock.sendall(b"%d" % i)
            session.wait_open()
            self.assertEqual(session.read(1), b"%d" % i)
        for session in sessions:
            session.close()

    def test_nowait(self):
        session = self.session("accept")
        with self.refused("NO_CLIENT"):
            session.open(NOWAIT)
        self.client().sendall(b"x")
        self.until(lambda: self.takes_client(session), "a client to be there")
        self.assertEqual(session.read(1), b"x")
        session.close()

    def takes_client(self, session: Session) -> bool:
        """Whether there is one for it."""
        with suppress(Exception):
            return not session.open(NOWAIT).is_waiting
        return False

    def test_backlog(self):
        """Many clients call at once: none is turned away, all are served in their order."""
        clients = [self.client() for _ in range(3 * BACKLOG)]
        for i, sock in enumerate(clients):
            sock.sendall(b"%3d" % i)
        for i, sock in enumerate(clients):
            session = self.session("accept").open().wait_open()
            self.assertEqual(session.read(3), b"%3d" % i)
            session.close()
            self.assertEqual(sock.recv(1), b"")

    def test_client_leaves_the_backlog(self):
        clients = [self.client() for _ in range(BACKLOG + 2)]
        for sock in clients[:BACKLOG + 1]:
            sock.close()
        clients[-1].sendall(b"the last")
        session = self.session("accept").open().wait_open()
        self.assertEqual(session.read(8), b"the last")
        session.close()
        # One that has written something is still served
        sock = self.client()
        sock.sendall(b"question")
        sock.close()
        session = self.session("accept").open().wait_open()
        self.assertEqual(session.read_all(), b"question")
        session.close()

    def test_waiting_session_is_closed(self):
        """The client that comes next is for the next session."""
        first, second = (self.session("accept").open() for _ in range(2))
        first.close()
        self.client().sendall(b"x")
        second.wait_open()
        self.assertEqual(second.read(1), b"x")
        second.close()
        self.assertNotIn(first.instance, self.driver_.answers)

    def test_channel_goes_while_one_waits(self):
        """Its open is answered, and one that is open fails."""
        config = {"name": "accept", **self.channels()["vm1"]["accept"]}
        (session, sock), waiting = self.pair(), self.session("accept").open()
        self.addCleanup(self.daemon.rpc, "channel.add", {"guest": "vm1", "channel": config})
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "accept"})
        with self.refused("NO_CHANNEL"):
            waiting.wait_open()
        self.assertEqual(self.driver_.wait_failures(),
                         [(session.id, STATUS["NO_CHANNEL"], session.instance)])
        self.assertEqual(sock.recv(1), b"")

    # Ends are a session's own

    def test_half_close_of_the_client(self):
        session, sock = self.pair()
        other, other_sock = self.pair()
        sock.sendall(b"question")
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(session.read_all(), b"question")
        session.write(b"answer")
        session.close_writer()
        self.assertEqual(sock.makefile("rb").read(), b"answer")
        other.write(b"still here")
        self.assertEqual(other_sock.recv(100), b"still here")
        session.close()
        other.close()
        self.assertEqual(other_sock.recv(1), b"")

    def test_reader_closes(self):
        """The client gets EPIPE, and what the guest writes still comes."""
        session, sock = self.pair()
        sock.setblocking(False)
        for _ in range(5):  # the ring and the socket are full
            with suppress(BlockingIOError):
                while True:
                    sock.send(bytes(SMALL))
            self.driver_.ping()
        session.close_reader()
        sock.settimeout(LIMIT_S)
        with self.assertRaises(BrokenPipeError):
            self.until(lambda: sock.sendall(b"x"), "EPIPE")
        session.write(b"out")
        session.close_writer()
        self.assertEqual(sock.recv(3, socket.MSG_WAITALL), b"out")
        with suppress(ConnectionResetError):  # some of what it sent was taken by nobody
            self.assertEqual(sock.recv(1), b"")
        session.close()

    def test_opened_for_one_direction(self):
        sock = self.client()
        session = self.session("accept").open(writer=False).wait_open()
        self.assertEqual(sock.recv(1), b"")
        sock.sendall(b"for the reader")
        sock.close()
        self.assertEqual(session.read_all(), b"for the reader")
        session.close()
        sock = self.client()
        session = self.session("accept").open(reader=False).wait_open()
        session.write(b"from the writer")
        session.close_writer()
        self.assertEqual(sock.makefile("rb").read(), b"from the writer")
        session.close()

    def test_client_has_gone(self):
        session, sock = self.pair()
        sock.close()
        self.assertEqual(session.read_all(), b"")
        while session.rx.peer_phase.value % 2 or session.tx.peer_phase.value % 2:
            self.driver_.rung.clear()
            self.driver_.wait_event()
        session.close()  # the session stayed until then

    def test_reset(self):
        """A client that goes without having read all resets the connection: not an end of file."""
        session, sock = self.pair()
        session.write(b"unread")
        sock.sendall(b"read")
        self.assertEqual(session.read(4), b"read")
        select.select([sock], [], [], LIMIT_S)
        sock.close()
        self.assertEqual(self.driver_.wait_failures(),
                         [(session.id, STATUS["CONNECTION_RESET"], session.instance)])
        with self.refused("NO_CHANNEL"):
            session.close()
        self.assertEqual(self.sessions_of("accept")["live"], 0)

    def test_close_with_bytes_on_their_way(self):
        """The host has them after CLOSE, when the memory is used for the next session already."""
        session, sock = self.pair()
        sent = self.fill(session)
        session.close()
        session.renew()
        got = sock.makefile("rb").read()
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(sent).digest())

    # Slow ones, and guests that do what they like

    def test_slow_beside_fast(self):
        """One whose client reads nothing, and one whose guest does, hold up nobody."""
        stuck, _ = self.pair()
        unread, sock = self.pair()
        self.fill(stuck)
        sock.setblocking(False)
        for _ in range(5):
            with suppress(BlockingIOError):
                while True:
                    sock.send(bytes(SMALL))
            self.driver_.ping()
        fast = [self.pair() for _ in range(5)]
        for _ in range(20):
            for session, client in fast:
                data = os.urandom(SMALL)
                session.write(data)
                self.assertEqual(client.recv(SMALL, socket.MSG_WAITALL), data)
                client.sendall(data)
                self.assertEqual(session.read(SMALL), data)
        self.assertGreater(len(unread.read_some()), 0)

    def test_closes_and_never_waits(self):
        """What closed sessions have left is bounded: in bytes, and in how many there are."""
        server = unix_server(self.scratch / "server")
        server.listen(1024)
        self.addCleanup(server.close)
        session = self.session("call")
        fds, lost = self.n_fds(), self.channel_state("vm1", "call")["lost_bytes"]
        for _ in range(300):
            session.renew().open().wait_open()
            self.assertGreater(len(self.fill_socket(session)), 0)
            session.close()
        left = self.guest_state("vm1")["tail_bytes"]
        self.assertEqual(left, 256 * SMALL)
        self.assertLess(self.n_fds() - fds, 256 * 3)
        self.assertEqual(self.sessions_of("call")["live"], 0)
        lost = self.channel_state("vm1", "call")["lost_bytes"] - lost
        self.assertEqual(lost, (300 - 256) * SMALL)
        server.close()
        self.until(lambda: not self.guest_state("vm1")["tail_bytes"], "the tails to be dropped")
        self.until(lambda: self.n_fds() <= fds, "the connections to be closed")

    def fill_socket(self, session: Session) -> bytes:
        """Write until the client's socket and the ring are full."""
        data, stalls = b"", 0
        while stalls < 2:
            n = session.write_some(bytes(SMALL))
            data += bytes(n)
            stalls = 0 if n else stalls + 1
            if not n:
                self.driver_.ping()
        return data

    def test_guest_is_gone(self):
        """Each client gets what its session had written, and then an end of file."""
        pairs = [self.pair() for _ in range(3)]
        for i, (session, _) in enumerate(pairs):
            session.write(b"%d" % i * 3000)
        self.driver_.frontend.close()
        for i, (_, sock) in enumerate(pairs):
            self.assertEqual(sock.makefile("rb").read(), b"%d" % i * 3000)
        self.until(lambda: not self.sessions_of("accept")["live"], "the sessions to be gone")
