# SPDX-License-Identifier: BSD-3-Clause
"""The endpoint mux-listen: clients say at one socket which channel of the guest they want."""
import os
import re
import select
import signal
import socket
import stat
import subprocess
from contextlib import suppress

from guest_end import NOWAIT, Session
from socket_rig import LIMIT_S, SocketTest, unix_client
from vm.daemon import DaemonError

SMALL = 4096
SILENT = 64  # clients that may be silent
BACKLOG = 16  # clients that may wait for one channel


class Hybrid:
    """A client of Firecracker's vsock, as its docs/vsock.md describes the host's side."""

    def __init__(self, path, port):
        self.sock = unix_client(path)
        self.sock.sendall(f"CONNECT {port}\n".encode())

    def wait_ok(self) -> int:
        """Read the answer byte by byte, so that nothing behind it is taken; the host's port."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self.sock.recv(1)
            assert byte, f"closed after {line}"
            line += byte
        # systemd-ssh-proxy has no more room
        assert re.fullmatch(rb"OK [1-9][0-9]{0,4}\n", line), line
        return int(line[3:])


class Mux(SocketTest):
    """Two guests with one such socket each; one of them has a channel like an ssh port."""

    @classmethod
    def channels(cls):
        mux = cls.board("mux")
        return {"vm1": {"22": mux, "docker.sock": mux, "two words": mux, "x" * 63: mux,
                        "else": cls.board("else")},
                "vm2": {"22": cls.board("mux2"), "echo": {"type": "echo"}}}

    @classmethod
    def board(cls, name: str, **more) -> dict:
        """A channel at the socket of this name."""
        return {"sessions": 120, "ring_bytes": SMALL,
                "endpoint": {"type": "mux-listen", "path": str(cls.scratch / name), **more}}

    def setUp(self):
        super().setUp()
        self.driver_ = self.driver()
        self.info = self.driver_.channels()

    def session(self, name: str, flags: int = 0) -> Session:
        """A session that was opened and may wait."""
        session = Session(self.driver_, name, info=self.info[name]).open(flags)
        self.addCleanup(self.forget, session)
        return session

    @staticmethod
    def forget(session: Session) -> None:
        """Close a session that is perhaps closed already."""
        with suppress(Exception):
            session.close()

    def client(self, name: str = "mux") -> socket.socket:
        """A client that has said nothing yet."""
        sock = unix_client(self.scratch / name)
        self.addCleanup(sock.close)
        return sock

    def hybrid(self, port, name: str = "mux") -> Hybrid:
        """A client that has said which channel it wants."""
        client = Hybrid(self.scratch / name, port)
        self.addCleanup(client.sock.close)
        return client

    def assert_silent(self, sock: socket.socket) -> None:
        """Nothing has come, and it is open."""
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        self.assertEqual(poller.poll(0), [])

    def assert_dropped(self, sock: socket.socket) -> None:
        """It was closed without an answer."""
        with suppress(ConnectionResetError):
            self.assertEqual(sock.recv(1), b"")

    def test_the_guest_is_there_first(self):
        ports = set()
        for name in ("22", "docker.sock", "two words", "x" * 63):
            session = self.session(name)
            self.assertTrue(session.is_waiting)
            client = self.hybrid(name)
            ports.add(client.wait_ok())
            session.wait_open()
            self.talk(session, client.sock, name.encode())
        self.assertEqual(len(ports), 4)

    def talk(self, session: Session, sock: socket.socket, word: bytes) -> None:
        """Bytes both ways, then an end each way."""
        session.write(b"to host " + word)
        sock.sendall(b"to guest " + word)
        self.assertEqual(session.read(9 + len(word)), b"to guest " + word)
        session.close_writer()
        self.assertEqual(sock.recv(100, socket.MSG_WAITALL), b"to host " + word)
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(session.read_all(), b"")
        session.close()

    def test_the_client_is_there_first(self):
        """It gets its answer when a program in the guest has taken it, and not before."""
        first, other = self.hybrid("22"), self.hybrid("docker.sock")
        first.sock.sendall(b"early")
        session = self.session("22")
        first.wait_ok()
        session.wait_open()
        self.assertEqual(session.read(5), b"early")
        second = self.hybrid("22")
        for client in (second, other):
            self.assert_silent(client.sock)
        self.talk(self.session("22"), second.sock if second.wait_ok() else None, b"2")
        self.talk(self.session("docker.sock"), other.sock if other.wait_ok() else None, b"3")

    def test_what_follows_the_line_is_the_sessions(self):
        """In one piece with it, in pieces, and more than the ring holds."""
        data = os.urandom(3 * SMALL)
        line = b"CONNECT 22\n" + data
        for cut in (0, 1, 8, 10, 11, 12, 100):
            with self.subTest(cut=cut):
                client = self.client()
                if cut:
                    client.sendall(line[:cut])
                    self.daemon.rpc("version")  # the daemon may have read it
                client.sendall(line[cut:])
                client.shutdown(socket.SHUT_WR)
                session = self.session("22").wait_open()
                self.assertEqual(session.read_all(), data)
                self.assertRegex(client.recv(9), rb"^OK \d+\n$")
                session.close()

    def test_lines_that_are_refused(self):
        session = self.session("22")
        for line in (b"CONNECT 23\n", b"CONNECT else\n", b"CONNECT \n", b"CONNECT\n", b"\n", b"connect 22\n",
                     b"CONNECT  22\n", b"CONNECT 22 \n", b"CONNECT 22\r\n", b"CONNECT 22\0\n",
                     b"CONNECT 2\0" + b"2\n", b"GET / HTTP/1.1\r\n", b"CONNECT " + b"x" * 64 + b"\n",
                     b"x" * 100, b"\0" * 72, b"CONNECT 2"):
            with self.subTest(line):
                sock = self.client()
                sock.sendall(line)
                if line == b"CONNECT 2":
                    sock.shutdown(socket.SHUT_WR)
                self.assert_dropped(sock)
        self.hybrid("22").wait_ok()
        session.wait_open()

    def test_other_guests_have_sockets_of_their_own(self):
        """The name counts in the guest of the socket only."""
        client = self.hybrid("22", "mux2")
        with self.refused("NO_CLIENT"):
            self.session("22", NOWAIT)
        self.assert_silent(client.sock)
        self.assert_dropped(self.hybrid("echo", "mux2").sock)

    def test_clients_that_say_nothing(self):
        """Too many: the oldest goes. For too long: each goes."""
        silent = [self.client() for _ in range(SILENT)]
        self.daemon.rpc("version")
        one_more = self.client()
        self.assert_dropped(silent[0])
        silent[1].sendall(b"CONNECT 22\n")
        session = self.session("22").wait_open()
        for sock in (*silent[2:], one_more):
            self.assert_dropped(sock)
        session.write(b"still there")
        self.assertRegex(silent[1].recv(100), rb"^OK \d+\n")

    def test_clients_that_leave(self):
        sock = self.client()
        sock.sendall(b"CONN")
        sock.close()
        self.hybrid("22").sock.close()
        with self.refused("NO_CLIENT"):
            self.session("22", NOWAIT)
        fds = self.used_fds()
        for _ in range(30):
            self.client().close()
            self.hybrid("22").sock.close()
        self.assertEqual(len(self.used_fds()), len(fds))

    def test_many_that_come_at_once(self):
        """All have said their line before the daemon has looked at one of them."""
        sessions = [self.session("22") for _ in range(100)]
        os.kill(self.daemon.pid, signal.SIGSTOP)
        try:
            clients = [self.hybrid("22") for _ in range(100)]
        finally:
            os.kill(self.daemon.pid, signal.SIGCONT)
        for number, (client, session) in enumerate(zip(clients, sessions)):
            client.wait_ok()
            client.sock.sendall(b"%3d" % number)
            self.assertEqual(session.wait_open().read(3), b"%3d" % number)

    def test_too_many_that_wait_for_one_channel(self):
        """They do not keep clients from another."""
        clients = [self.hybrid("22") for _ in range(BACKLOG)]
        self.until(lambda: not self.probe_is_kept(), "the backlog to be full")
        self.assertGreater(self.endpoint("22")["clients_refused"], 0)
        session = self.session("docker.sock")
        self.hybrid("docker.sock").wait_ok()
        session.wait_open()
        for client in clients:
            self.talk(self.session("22"), client.sock if client.wait_ok() else None, b"in turn")

    def probe_is_kept(self) -> bool:
        """Whether one more client for the channel 22 is kept; it goes in either case."""
        probe = Hybrid(self.scratch / "mux", "22")
        probe.sock.settimeout(0.2)
        try:
            return probe.sock.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            probe.sock.close()

    def test_socat_is_a_client(self):
        session = self.session("two words")
        out = subprocess.Popen(["socat", "-", f"UNIX-CONNECT:{self.scratch}/mux"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(out.stdout.close)
        out.stdin.write(b"CONNECT two words\nhello from socat\n")
        out.stdin.close()
        session.wait_open()
        self.assertEqual(session.read_all(), b"hello from socat\n")
        session.write(b"hello from the guest\n")
        session.close_writer()
        self.assertRegex(out.stdout.read(), rb"^OK \d+\nhello from the guest\n$")
        self.assertEqual(out.wait(LIMIT_S), 0)
        session.close()

    # Channels come and go

    def test_channels_come_and_go(self):
        """The socket is there as long as one of its channels is."""
        path = self.scratch / "new"
        mode = {"mode": "0600"}
        for name in ("a", "b"):
            self.daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                "name": name, **self.board("new", **mode)}})
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        info = self.driver_.channels()
        kept = self.hybrid("a", "new"), self.hybrid("b", "new")
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "a"})
        self.assert_dropped(kept[0].sock)
        self.assert_dropped(self.hybrid("a", "new").sock)
        session = Session(self.driver_, "b", info=info["b"]).open().wait_open()
        kept[1].wait_ok()
        self.talk(session, kept[1].sock, b"b")
        with self.assertRaises(DaemonError) as refused:
            self.daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                "name": "c", **self.board("new", mode="0666")}})
        self.assertIn("channel b, which has the same path, has another mode or group",
                      str(refused.exception))
        silent = self.client("new")
        self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "b"})
        self.assert_dropped(silent)
        self.assertFalse(path.exists())

    def test_a_file_that_was_removed(self):
        (self.scratch / "else").unlink()
        self.assertTrue(self.endpoint("else")["path_lost"])
        self.daemon.rpc("config.reload")
        self.assertFalse(self.endpoint("else")["path_lost"])
        client = self.hybrid("else", "else")
        self.session("else").wait_open()
        client.wait_ok()
