# SPDX-License-Identifier: BSD-3-Clause
"""Endpoints that are sockets, with a guest's own cat and echo at the other end.

What happens at each end of a connection is in tests/frontend (test_ends, test_tcp, test_tls).
"""
import hashlib
import os
import socket
import ssl
import sys
import threading
import unittest

from vm import paths
from vm.base import VmTest
from vm.process import until

sys.path.insert(0, str(paths.ROOT / "tests/frontend"))
# pylint: disable=wrong-import-position
from certificates import Certificates  # noqa: E402
from socket_rig import LIMIT_S, TlsSocket, free_port  # noqa: E402

BULK = 8 << 20


class Sockets(VmTest):
    """One guest with a channel to each kind."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certs = Certificates(cls.scratch / "tls")
        cls.unix = str(cls.scratch / "server.sock")
        cls.port = {name: free_port() for name in ("listen", "connect", "tls-listen",
                                                   "tls-connect")}
        cls.host = str(cls.scratch / "host.sock")
        channels = {"unix": {"type": "unix-connect", "path": cls.unix},
                    "host": {"type": "unix-listen", "path": cls.host}}
        for name, port in cls.port.items():
            channels[name] = {"type": f"tcp-{name.removeprefix('tls-')}",
                              "address": f"127.0.0.1:{port}"}
        channels["tls-listen"]["tls"] = cls.certs.tls("left", name="right.example")
        channels["tls-connect"]["tls"] = cls.certs.tls("right", name="left.example")
        cls.one_guest(channels)
        cls.guest.check("for f in " + " ".join(channels) + "; do mkfifo /okl4/$f; done")

    def server(self, name: str) -> socket.socket:
        """A server at the place that a channel connects to."""
        if name == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self.unix)
            sock.listen()
            self.addCleanup(os.unlink, self.unix)
        else:
            sock = socket.create_server(("127.0.0.1", self.port[name]))
        sock.settimeout(LIMIT_S)
        self.addCleanup(sock.close)
        return sock

    def context(self, server: bool, name: str) -> ssl.SSLContext:
        """One side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certs.path("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certs.path(f"{name}.pem"), self.certs.path(f"{name}.key"))
        return context

    def endpoint(self, name: str) -> dict:
        """Its entry in `channel.list`."""
        return self.channel(name)["endpoint"]

    @staticmethod
    def take(sock) -> bytes:
        """Read to the end."""
        data = b""
        while piece := sock.recv(1 << 16):
            data += piece
        return data

    def in_background(self, target) -> None:
        """Run it in a thread that must end with the test."""
        thread = threading.Thread(target=target)
        thread.start()
        self.addCleanup(lambda: (thread.join(LIMIT_S), self.assertFalse(thread.is_alive())))

    def test_echo_waits_for_a_listener(self):
        for name in ("unix", "connect"):
            with self.subTest(name=name):
                self.guest.check(f"echo early > /okl4/{name}")
                until(lambda: self.endpoint(name)["error"], "an attempt", 30)
                sock, _ = self.server(name).accept()
                with sock:
                    self.assertEqual(self.take(sock), b"early\n")

    def opener(self, way: str) -> dict | None:
        """What the guest says of the program at its end of the channel `host`."""
        return self.channel("host")[way]["guest_opener"]

    def test_the_program_in_the_guest_is_shown(self):
        """As the guest's root sees it, also if it takes itself for root in a user namespace."""
        self.guest.check("chmod 666 /okl4/host; mkdir -p /etc; echo root:x:0:0::/:/bin/sh >/etc/passwd;"
                         "echo user:x:1234:56::/:/bin/sh >>/etc/passwd")
        for way, comm, user, command in (
                ("bwd", "cat", (0, 0), "cat -- /okl4/host"),
                ("fwd", "sh", (1234, 56), "sh -- -c 'exec sleep 600 >/okl4/host'"),
                ("bwd", "cat", (1234, 56), "unshare -- -U -r cat /okl4/host")):
            with self.subTest(command):
                pid = int(self.guest.check(
                    f"start-stop-daemon -S -b -m -p /tmp/pid -c {user[0]}:{user[1]} -x /bin/{command}"
                    " && cat /tmp/pid"))
                until(lambda way=way: self.opener(way), "the program", 30)
                self.assertEqual(self.opener(way), {"comm": comm, "pid": pid, "uid": user[0],
                                                    "gid": user[1]})
                self.guest.check(f"kill {pid}")
                until(lambda way=way: not self.opener(way), "its end", 30)

    def test_cat_reads_one_connection_after_the_other(self):
        server = self.server("unix")

        def serve():
            for i in range(20):
                sock, _ = server.accept()
                with sock:
                    sock.sendall(f"{i}\n".encode())
        self.in_background(serve)
        self.assertEqual(self.guest.check("for i in $(seq 20); do cat /okl4/unix; done"),
                         "".join(f"{i}\n" for i in range(20)))

    def test_a_client_in_time_sees_the_end_of_each_echo(self):
        """After it, a writer is refused until the next client is there."""
        write = "trap '' PIPE; echo {} 2>/dev/null > /okl4/{}"
        for name in ("host", "listen"):
            for i in range(10):
                with self.taken_client(name) as sock:
                    self.guest.check(write.format(i, name))
                    self.assertEqual(self.take(sock), f"{i}\n".encode())
                    self.endpoint(name)  # the worker has answered: it is done with that end
                    self.assertNotEqual(self.guest.run(write.format("lost", name))[0], 0)

    def taken_client(self, name: str) -> socket.socket:
        """A client that the daemon has accepted."""
        clients = self.endpoint(name)["clients"]
        if name == "host":
            sock = self.client(self.host, LIMIT_S)
        else:
            sock = socket.create_connection(("127.0.0.1", self.port[name]), LIMIT_S)
        until(lambda: self.endpoint(name)["clients"] != clients, "the client to be taken", LIMIT_S)
        return sock

    def test_no_echo_is_cut_between_two_connections(self):
        """A writer that opens before the daemon saw the end of the one before uses the same connection.

        So a connection carries one echo or several, whole and in order, with an end of file after them;
        how many depends on which side is faster.
        """
        server, n = self.server("unix"), 40
        lines = [f"{100 + i}\n".encode() for i in range(n)]
        taken = []

        def serve():
            while sum(map(len, taken)) < len(b"".join(lines)):
                sock, _ = server.accept()
                with sock:
                    taken.append(self.take(sock))
        self.in_background(serve)
        self.guest.check(f"for i in $(seq 100 {99 + n}); do echo $i > /okl4/unix; done")
        self.doCleanups()
        self.assertEqual(b"".join(taken), b"".join(lines))
        for data in taken:
            self.assertTrue(data.endswith(b"\n") and len(data) % 4 == 0, taken)

    def test_end_of_a_connection(self):
        """EOF and EPIPE for programs that have it open; a program that opens it later gets the next one."""
        server = self.server("connect")

        def serve():
            for _ in range(2):
                sock, _ = server.accept()
                with sock:
                    sock.sendall(b"hello\n")
                    sock.recv(1)
        self.in_background(serve)
        self.assertEqual(self.guest.check(
            "trap '' PIPE; exec 2>/dev/null; for i in 1 2; do exec 3<>/okl4/connect; "
            "head -n 1 <&3; echo >&3; cat <&3; while echo x >&3; do :; done; echo broken; "
            "exec 3>&-; done", timeout=60), "hello\nbroken\n" * 2)

    def test_question_and_answer(self):
        """Half-closes over TLS: a question is answered when it was sent to its end."""
        server = self.server("tls-connect")

        def serve():
            sock, _ = server.accept()
            with sock:
                tls = TlsSocket(sock, self.context(True, "left"), True)
                tls.send(hashlib.sha256(self.take(tls)).hexdigest().encode())
                tls.end()
        self.in_background(serve)
        asked, answer = self.guest.check(
            f"head -c {BULK} /dev/urandom > /tmp/x; sha256sum < /tmp/x; "
            "cat /tmp/x > /okl4/tls-connect; cat /okl4/tls-connect", timeout=120).split("\n")
        self.assertEqual(asked.split()[0], answer)
        self.assertEqual(self.endpoint("tls-connect")["connections_torn"], 0)

    def test_bulk_to_the_guest(self):
        data = os.urandom(BULK)
        for name in ("listen", "tls-listen"):
            with self.subTest(name=name):
                command = self.guest.spawn(f"sha256sum < /okl4/{name}")
                with socket.create_connection(("127.0.0.1", self.port[name]), LIMIT_S) as sock:
                    if name == "listen":
                        sock.sendall(data)
                        sock.shutdown(socket.SHUT_WR)
                    else:
                        tls = TlsSocket(sock, self.context(False, "right"), False, "left.example")
                        tls.send(data)
                        tls.end()
                    status, output = command.wait(120)
                self.assertEqual((status, output.split()[0]),
                                 (0, hashlib.sha256(data).hexdigest()))


if __name__ == "__main__":
    unittest.main()
