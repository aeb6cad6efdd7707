# SPDX-License-Identifier: BSD-3-Clause
"""Sessions over TCP, with and without TLS."""
import os
import socket
import struct

import test_tls
from guest_end import Session
from rig import STATUS
from socket_rig import TlsSocket, free_port

SMALL = 4096
BACKLOG = 16
N = 5


class TcpSessions(test_tls.TlsTest):
    """The guest calls `call` and takes clients of `accept`; with TLS `safe_call` and `safe_accept`."""

    @classmethod
    def channels(cls):
        certs = cls.make()
        cls.certs.make_ca("other")
        cls.certs.make("stranger", ca="other")
        cls.ports = {name: free_port() for name in ("call", "accept", "safe_call", "safe_accept")}

        def board(kind, name, host="127.0.0.1", **more):
            return {"sessions": 40, "ring_bytes": SMALL, "endpoint": {
                "type": kind, "address": f"{host}:{cls.ports[name]}", **more}}
        return {"vm1": {
            "call": board("tcp-connect", "call", "localhost"),
            "accept": board("tcp-listen", "accept", "localhost"),
            "safe_call": board("tcp-connect", "safe_call",
                               tls=certs.tls("left", name="right.example")),
            "safe_accept": board("tcp-listen", "safe_accept", tls=certs.tls("left")),
            "loop": board("tcp-connect", "safe_accept",
                          tls=certs.tls("right", name="left.example"))}}

    def setUp(self):
        super().setUp()
        self.driver_ = self.driver()
        self.info = self.driver_.channels()

    def session(self, name: str) -> Session:
        """A session that is not open yet."""
        return Session(self.driver_, name, info=self.info[name])

    def exchange(self, session: Session, sock) -> None:
        """Bytes in both directions."""
        data = os.urandom(3000)
        session.write(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(len(data) - len(got))
        self.assertEqual(got, data)
        getattr(sock, "sendall", getattr(sock, "send", None))(data[::-1])
        self.assertEqual(session.read(len(data)), data[::-1])

    def end(self, session: Session, sock) -> None:
        """Both sides end their direction."""
        session.close_writer()
        self.assertEqual(sock.recv(1), b"")
        sock.close()
        session.read_all()
        session.close()

    def test_guest_calls(self):
        """A name is looked up once for all that call at the same time."""
        server = self.listen(self.ports["call"])
        self.addCleanup(server.close)
        sessions = [self.session("call").open() for _ in range(N)]
        socks = [server.accept()[0] for _ in sessions]
        peers = {sock.getpeername() for sock in socks}
        self.assertEqual(len(peers), N)
        for session in sessions:
            session.wait_open()
            session.write(b"%016x" % session.instance)
        by_name = {sock.recv(16): sock for sock in socks}
        for session in sessions:
            sock = by_name[b"%016x" % session.instance]
            self.exchange(session, sock)
            self.end(session, sock)

    def test_refused(self):
        with self.refused("CONNECTION_REFUSED"):
            self.session("call").open().wait_open()
        self.assertIn("Connection refused", self.endpoint("call")["error"])
        with self.refused("CONNECTION_REFUSED"):
            self.session("safe_call").open().wait_open()
        self.assertEqual(self.channel_state("vm1", "call")["sessions"]["live"], 0)

    def test_clients_call(self):
        self.until(lambda: not self.endpoint("accept")["error"], "it to listen")
        waiting = self.session("accept").open()
        socks = [self.connect_to(self.ports["accept"]) for _ in range(BACKLOG + N)]
        self.exchange(waiting.wait_open(), socks[0])
        self.end(waiting, socks[0])
        for i, sock in enumerate(socks[1:]):
            sock.sendall(b"%2d" % i)
        for i, sock in enumerate(socks[1:]):
            session = self.session("accept").open().wait_open()
            self.assertEqual(session.read(2), b"%2d" % i)
            self.end(session, sock)

    def test_reset(self):
        """RST is not an end of file."""
        sock = self.connect_to(self.ports["accept"])
        session = self.session("accept").open().wait_open()
        self.exchange(session, sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        self.assertEqual(self.driver_.wait_failures(),
                         [(session.id, STATUS["CONNECTION_RESET"], session.instance)])

    def test_tls_guest_calls(self):
        server = self.listen(self.ports["safe_call"])
        self.addCleanup(server.close)
        for _ in range(2):
            session = self.session("safe_call").open()
            sock = TlsSocket(server.accept()[0], self.certs.context(True), True)
            self.addCleanup(sock.close)
            self.assertTrue(session.is_waiting)
            sock.send(b"!")
            session.wait_open()
            self.assertEqual(session.read(1), b"!")
            self.exchange(session, sock)
            session.close_writer()
            self.assertEqual(sock.recv(1), b"")
            sock.send(b"the rest")
            sock.end()
            self.assertEqual(session.read_all(), b"the rest")
            session.close()

    def test_tls_stranger(self):
        """A handshake that fails: the guest's call is refused, and a client is nobody's."""
        server = self.listen(self.ports["safe_call"])
        self.addCleanup(server.close)
        session = self.session("safe_call").open()
        with self.assertRaises(OSError):
            TlsSocket(server.accept()[0], self.certs.context(True, "stranger"), True).recv()
        with self.refused("CONNECTION_REFUSED"):
            session.wait_open()
        failed = self.endpoint("safe_accept")["handshakes_failed"]
        waiting = self.session("safe_accept").open()
        with self.assertRaises(OSError):
            TlsSocket(self.connect_to(self.ports["safe_accept"]),
                      self.certs.context(False, "stranger"), False, "left.example").recv()
        self.until(lambda: self.endpoint("safe_accept")["handshakes_failed"] > failed, "failure")
        sock = self.client(self.ports["safe_accept"])
        self.exchange(waiting.wait_open(), sock)
        waiting.close()

    def test_tls_torn(self):
        """An end without a close_notify is not an end of file, also for one that waits."""
        for early in (False, True):
            with self.subTest(early=early):
                sock = self.client(self.ports["safe_accept"])
                if early:
                    sock.send(b"x")
                    sock.sock.close()
                session = self.session("safe_accept").open().wait_open()
                if not early:
                    self.exchange(session, sock)
                    sock.sock.close()
                self.assertEqual(self.driver_.wait_failures(),
                                 [(session.id, STATUS["CONNECTION_RESET"], session.instance)])
                self.driver_.failures.clear()

    def test_tls_both_ends(self):
        """Many sessions of one channel to sessions of another, over TLS; what a session left arrives."""
        callers = [self.session("loop").open() for _ in range(N)]
        takers = [self.session("safe_accept").open() for _ in range(N)]
        for session in callers + takers:
            session.wait_open()
        for session in callers:
            session.write(b"%016x" % session.instance)
        by_name = {session.read(16): session for session in takers}
        for session in callers:
            other = by_name[b"%016x" % session.instance]
            data = os.urandom(SMALL)
            session.write(data)
            session.close()
            self.assertEqual(other.read_all(), data)
            other.close()
        for name in ("loop", "safe_accept"):
            self.assertEqual(self.channel_state("vm1", name)["sessions"]["live"], 0)

