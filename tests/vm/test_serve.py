# SPDX-License-Identifier: BSD-3-Clause
"""okl4fs-serve in a real guest: a command for each session, and connections to servers both ways."""
import hashlib
import random
import signal
import socket
import threading
import unittest

from vm import until
from vm.base import VmTest, listens

LIMIT_S = 60


def sessions(endpoint: dict, n: int = 64) -> dict:
    """A channel."""
    return {"sessions": n, "endpoint": endpoint}


def read_all(client: socket.socket) -> bytes:
    """Up to the end of the stream."""
    pieces = []
    while piece := client.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


class Serve(VmTest):
    """A guest with channels that the host calls (in, other), that the guest calls (out), and a plain one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({
            "in": sessions(listens(cls.scratch / "in.sock")),
            "other": sessions(listens(cls.scratch / "other.sock")),
            "out": sessions({"type": "unix-connect", "path": str(cls.scratch / "server.sock")}),
            "plain": listens(cls.scratch / "plain.sock")})
        cls.guest.check("mkfifo /okl4/in /okl4/other /okl4/out /okl4/plain; ip link set lo up")
        cls.random = random.Random(12)

    def serve(self, arguments: str, name: str = "in"):
        """Start it; it is ended with the test."""
        command = self.guest.spawn(f"exec okl4fs-serve {name} -v {arguments}")
        self.addCleanup(self.kill, command, name)
        return command

    def kill(self, command, name: str) -> None:
        """End it, and wait until the host has heard that it no longer takes clients."""
        if not command.done():
            command.signal(9)
        command.wait(LIMIT_S)
        if any(one["name"] == name for one in self.daemon.rpc("channel.list")["channels"]):
            self.waits(0, name)

    def waits(self, n: int = 1, name: str = "in") -> None:
        """So many opens wait for a client."""
        until(lambda: self.channel(name)["sessions"]["waiting"] == n,
              lambda: self.channel(name)["sessions"], LIMIT_S)

    def all_closed(self, name: str = "in", waiting: int = 0) -> None:
        """No session is left, besides those that wait."""
        until(lambda: self.channel(name)["sessions"]["live"] == waiting,
              lambda: self.channel(name)["sessions"], LIMIT_S)

    def call(self, text: bytes = b"", name: str = "in") -> socket.socket:
        """A client of the channel."""
        client = self.client(self.scratch / f"{name}.sock")
        client.sendall(text)
        return client

    def answer(self, client: socket.socket) -> str:
        """What it gets after its own end."""
        client.shutdown(socket.SHUT_WR)
        return read_all(client).decode()


class Commands(Serve):
    """A command for each session."""

    def test_each_its_own(self):
        """Clients at the same time have a process each, with its own end of file."""
        self.serve("-- cat")
        clients = [self.call() for _ in range(8)]
        for number, client in enumerate(clients):
            client.sendall(b"%d\n" % number)
        self.assertEqual([client.recv(2) for client in clients],
                         [b"%d\n" % number for number in range(8)])
        data = self.random.randbytes(3 << 20)
        threading.Thread(target=lambda: (clients[5].sendall(data),
                                         clients[5].shutdown(socket.SHUT_WR))).start()
        self.assertEqual(hashlib.sha256(read_all(clients[5])).digest(), hashlib.sha256(data).digest())
        self.assertEqual([self.answer(client) for client in clients[:5]], [""] * 5)
        for client in clients:
            client.close()
        self.all_closed(waiting=1)

    def test_environment_and_status(self):
        """The command knows its channel and session; a bad end is told, with stderr as it is."""
        command = self.serve("-- sh -c 'echo $OKL4FS_CHANNEL $OKL4FS_SESSION; echo oh >&2; read x; exit $x'")
        for number in (1, 2):
            self.assertEqual(self.answer(self.call(b"%d\n" % (number * 3))), f"in {number}\n")
        command.wait_output("oh\nokl4fs-serve: session 2: sh has ended with status 6\n", LIMIT_S)
        self.assertIn("session 1: sh has ended with status 3\n", command.output.decode())

    def test_signals(self):
        """SIGPIPE and SIGTERM do to the command what they do at a login: a writer without a reader ends."""
        self.serve("-- sh -c 'grep ^Sig[IB] /proc/self/status; yes'")
        client = self.call()
        mask = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGTERM - 1 | 1 << signal.SIGCHLD - 1
        said = client.makefile().readlines(40)
        self.assertEqual([int(line.split()[1], 16) & mask for line in said[:2]], [0, 0])
        client.close()
        self.all_closed(waiting=1)

    def test_no_command(self):
        """A client of a command that does not exist gets an end of file, and the log says why."""
        command = self.serve("-- /none")
        self.assertEqual(self.answer(self.call()), "")
        command.wait_output("session 1: closed, because /none: No such file", LIMIT_S)

    def test_max(self):
        """The third client waits until one of two has left."""
        self.serve("--max 2 -- sh -c 'echo hello; cat'")
        first, second, third = (self.call() for _ in range(3))
        for client in (first, second):
            self.assertEqual(client.recv(6), b"hello\n")
        self.assertEqual(self.channel("in")["sessions"]["live"], 2)
        first.close()
        self.assertEqual(third.recv(6), b"hello\n")

    def test_end(self):
        """SIGTERM: nothing more is taken, a session goes on, and its end is the service's."""
        command = self.serve("-- cat")
        client = self.call(b"a")
        self.assertEqual(client.recv(1), b"a")
        command.signal(15)
        command.wait_output("told to end; 1 sessions have 10 seconds", LIMIT_S)
        self.waits(0)
        client.sendall(b"b")
        self.assertEqual(client.recv(1), b"b")
        self.assertEqual(self.answer(client), "")
        self.assertEqual(command.wait(LIMIT_S)[0], 0)

    def test_end_by_force(self):
        """A second SIGTERM, or the end of the time: what remains gets SIGTERM."""
        for linger in ("--linger 600", "--linger 0"):
            with self.subTest(linger):
                command = self.serve(f"{linger} -- sh -c 'echo a; sleep 1000; echo b'")
                client = self.call()
                self.assertEqual(client.recv(2), b"a\n")
                command.signal(15)
                if linger == "--linger 600":
                    command.wait_output("told to end", LIMIT_S)
                    command.signal(15)
                self.assertEqual(read_all(client), b"")
                self.assertEqual(command.wait(LIMIT_S)[0], 0)

    def test_end_while_nobody_calls(self):
        command = self.serve("-- cat")
        self.waits()
        command.signal(15)
        self.assertEqual(command.wait(LIMIT_S)[0], 0)
        self.waits(0)

    def test_refusals(self):
        """What cannot be served is said with the way out, and has a status of its own."""
        for arguments, status, said in (
                ("plain -- cat", 1, "/okl4/plain: cannot serve it: it is not a channel with sessions. "
                 'In the host\'s configuration, give the channel "sessions": 64'),
                ("/tmp/none -- cat", 4, "/tmp/none: No such file or directory: the host does not offer"),
                ("in", 2, "one of -- COMMAND, --connect and --listen"),
                ("in --max 0 -- cat", 2, "--max 0: a number from 1 to 1023"),
                ("in --connect unix:", 2, "--connect unix:: has no path"),
                ("in --connect nowhere", 2, "--connect nowhere: must have a port"),
                ("out --listen systemd", 2, "needs one socket from the service manager")):
            with self.subTest(arguments):
                found, output = self.guest.run(f"okl4fs-serve {arguments}")
                self.assertEqual(found, status, output)
                self.assertIn(said, output)

    def test_channel_goes(self):
        """With the channel, its sessions and the service end."""
        self.daemon.rpc("channel.add", {"guest": "vm", "channel": {
            "name": "short", **sessions(listens(self.scratch / "short.sock"))}})
        self.guest.check("until mkfifo /okl4/short 2>/dev/null || test -p /okl4/short; do :; done; "
                         "rm /okl4/short; mkfifo /okl4/short")
        command = self.serve("-- cat", "short")
        client = self.call(b"a", "short")
        self.assertEqual(client.recv(1), b"a")
        self.daemon.rpc("channel.remove", {"guest": "vm", "channel": "short"})
        status, said = command.wait(LIMIT_S)
        self.assertEqual(status, 1, said)
        self.assertIn("/okl4/short: No such device or address: the host does not offer", said)


class Bridges(Serve):
    """A client of `in` reaches the host's server through two bridges in the guest and the channel `out`."""
    way = "unix:/tmp/s"
    tells_all = True
    most_bytes = 2 << 20  # in the sockets' buffers and the rings

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.enterClassContext(socket.socket(socket.AF_UNIX))
        cls.server.bind(str(cls.scratch / "server.sock"))
        cls.server.listen(128)
        cls.server.settimeout(LIMIT_S)

    def setUp(self):
        super().setUp()
        self.listener = self.serve(f"--verbose --listen {self.way}", "out")
        self.listener.wait_output("clients are taken at", LIMIT_S)
        self.connector = self.serve(f"--connect {self.way}")
        self.waits()

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A client, and the server's connection to it."""
        client = self.call()
        server = self.server.accept()[0]
        server.settimeout(LIMIT_S)
        self.addCleanup(server.close)
        return client, server

    def nothing_left(self) -> None:
        """All sessions of both channels have ended."""
        self.all_closed(waiting=1)
        self.all_closed("out")

    def test_many_at_once(self):
        """Twenty connections, each with its own bytes both ways."""
        pairs = [self.pair() for _ in range(20)]
        data = [self.random.randbytes(self.random.randrange(1 << 19)) for _ in pairs]

        def reply(server: socket.socket) -> None:
            server.sendall(hashlib.sha256(got := read_all(server)).digest() + got)
            server.shutdown(socket.SHUT_WR)

        def send(client: socket.socket, text: bytes) -> None:
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
        threads = [threading.Thread(target=reply, args=[server]) for _, server in pairs]
        threads += [threading.Thread(target=send, args=[client, text])
                    for (client, _), text in zip(pairs, data)]
        for thread in threads:
            thread.start()
        for (client, _), text in zip(pairs, data):
            self.assertEqual(read_all(client), hashlib.sha256(text).digest() + text)
        for thread in threads:
            thread.join()
        self.nothing_left()

    def test_half_close(self):
        """Each side may end its own direction first, and goes on reading."""
        for first in (0, 1):
            with self.subTest(first=first):
                pair = self.pair()
                one, other = pair[first], pair[1 - first]
                one.sendall(b"question")
                one.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(other), b"question")
                other.sendall(b"answer")
                self.assertEqual(one.recv(6), b"answer")
                other.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(one), b"")
                self.nothing_left()

    def test_gone(self):
        """A side that has gone without a word is missed by the other, which was idle, and writes."""
        for first in (0, 1):
            with self.subTest(first=first):
                pair = self.pair()
                pair[first].close()
                other = pair[1 - first]
                self.assertEqual(read_all(other), b"")
                if self.tells_all:
                    self.nothing_left()
                    with self.assertRaises(BrokenPipeError):
                        other.sendall(b"x")
                other.close()
                self.nothing_left()

    def test_gone_while_sending(self):
        """The receiver has gone in the middle: the sender gets EPIPE, and nothing stays behind."""
        for first in (0, 1):
            with self.subTest(first=first):
                pair = self.pair()
                thread = threading.Thread(target=lambda: (pair[first].recv(100000), pair[first].close()))
                thread.start()
                with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                    while True:
                        pair[1 - first].sendall(bytes(1 << 20))
                thread.join()
                pair[1 - first].close()
                self.nothing_left()

    def test_back_pressure(self):
        """A server that does not read stops its client, others go on, and nothing is lost."""
        client, server = self.pair()
        client.settimeout(2)
        data, sent = self.random.randbytes(2 * self.most_bytes), 0
        with self.assertRaises(TimeoutError):
            while True:
                sent += client.send(data[sent:])
        self.assertLess(sent, self.most_bytes)
        other = self.pair()
        other[0].sendall(b"hello")
        self.assertEqual(other[1].recv(5), b"hello")
        client.settimeout(LIMIT_S)
        thread = threading.Thread(target=lambda: (client.sendall(data[sent:]),
                                                  client.shutdown(socket.SHUT_WR)))
        thread.start()
        self.assertEqual(hashlib.sha256(read_all(server)).digest(), hashlib.sha256(data).digest())
        thread.join()


class Refused(Serve):
    """Servers that are not there."""

    def test_no_server_in_the_guest(self):
        """The client gets an end of file, and the next one is served when the server has come."""
        command = self.serve("--connect unix:/tmp/later")
        self.assertEqual(self.answer(self.call()), "")
        command.wait_output("closed, because unix:/tmp/later cannot be reached: No such file", LIMIT_S)
        self.serve("--listen unix:/tmp/later", "out")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.scratch / "server.sock"))
            server.listen()
            server.settimeout(LIMIT_S)
            self.guest.check("until test -S /tmp/later; do :; done")
            client = self.call(b"hello")
            with server.accept()[0] as accepted:
                self.assertEqual(accepted.recv(5), b"hello")
                client.close()
        (self.scratch / "server.sock").unlink()

    def test_no_server_on_the_host(self):
        """A client in the guest gets an end of file; the log says why; the service goes on."""
        command = self.serve("--listen unix:/tmp/r", "out")
        self.serve("--connect unix:/tmp/r", "other")
        self.guest.check("until test -S /tmp/r; do :; done")
        for _ in range(2):
            self.assertEqual(self.answer(self.call(b"", "other")), "")
        command.wait_output("/okl4/out: Connection refused (nothing listens at the channel's endpoint",
                            LIMIT_S, 2)
        command.signal(15)
        self.assertEqual(command.wait(LIMIT_S)[0], 0)
        self.assertNotEqual(self.guest.run("test -e /tmp/r")[0], 0)

    def test_killed(self):
        """The socket that kill -9 leaves behind does not stop the next one; one that is in use does."""
        for _ in range(2):
            command = self.serve("--listen unix:/tmp/k", "out")
            command.wait_output("clients are taken at unix:/tmp/k\n", LIMIT_S)
            command.signal(9)
            command.wait(LIMIT_S)
        command = self.serve("--listen unix:/tmp/k", "out")
        command.wait_output("clients are taken", LIMIT_S)
        second = self.guest.run("okl4fs-serve out --listen unix:/tmp/k")
        self.assertEqual(second[0], 1)
        self.assertIn("cannot listen at unix:/tmp/k: Address already in use", second[1])
        self.assertFalse(command.done())


class BridgesOfTcp(Bridges):
    """The same over TCP in the guest, which tells of an end of file, but not of a reader that has gone."""
    way = "127.0.0.1:7000"
    tells_all = False
    most_bytes = 12 << 20


if __name__ == "__main__":
    unittest.main()
