# SPDX-License-Identifier: BSD-3-Clause
"""Uninvited descriptors whose close(2) sleeps: no thread that serves anyone waits for that."""
import array
import contextlib
import os
import signal
import socket
import struct

import vhost_user as vu
from guest_end import Channel
from rig import FrontendTest
from socket_rig import unix_client
from vhost_user import Dropped
from vm import paths
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir

LINGER_S = 3600


class Sleepers:
    """TCP sockets with unsent bytes that linger: the last close(2) of one sleeps for an hour."""

    def __init__(self):
        self._peers = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def make(self) -> socket.socket:
        """Make one more; its peer never reads."""
        sock = socket.create_connection(self._server.getsockname())
        self._peers.append(self._server.accept()[0])
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(bytes(1 << 20))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
        return sock

    def close(self) -> None:
        """Reset them all, which wakes the threads that sleep."""
        for peer in self._peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        self._server.close()


class StrangersTest(FrontendTest):
    """vm1 has a socket and an echo channel on one worker; vm2 has an echo channel."""

    ENVIRONMENT: dict[str, str] = {}
    KERNEL_REFUSES = False

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.client_path = cls.scratch / "client.sock"
        cls.metrics_path = cls.scratch / "metrics.sock"
        cls.daemon = Daemon(cls.config(), args=cls.DAEMON_ARGS, scratch=cls.scratch,
                            env={**os.environ, **cls.ENVIRONMENT})

    @classmethod
    def config(cls) -> dict:
        """What is served."""
        client = {"client": {"ring_bytes": 65536, "endpoint": {
            "type": "unix-listen", "path": str(cls.client_path)}}}
        return {"guests": [guest_config("vm1", cls.scratch / "vm1.sock",
                                        {**cls.CHANNELS, **client}),
                           guest_config("vm2", cls.scratch / "vm2.sock", cls.CHANNELS)],
                "metrics": {"listen": f"unix:{cls.metrics_path}"}}

    def setUp(self):
        super().setUp()
        self.sleepers = Sleepers()
        self.addCleanup(self.sleepers.close)
        self.bystander_channel = self.bystander()

    def connect_unix(self, path) -> socket.socket:
        """A client."""
        sock = unix_client(path)
        self.addCleanup(sock.close)
        return sock

    def send(self, sock: socket.socket, data: bytes, n: int = 1) -> None:
        """Send bytes and `n` descriptors; only the message holds them then."""
        socks = [self.sleepers.make() for _ in range(n)]
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                    array.array("i", [one.fileno() for one in socks]))]
        sent = False
        # The daemon stands still until only the message holds them.
        self.daemon.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.daemon.pid, os.WSTOPPED)
        try:
            sock.sendmsg([data], control)
            sent = True
        except (BrokenPipeError, ConnectionResetError):
            pass
        except PermissionError:
            if not self.KERNEL_REFUSES:
                raise
        for one in socks:
            if not sent:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
        self.daemon.signal(signal.SIGCONT)

    def assert_served(self) -> None:
        """Everything else is served: the control socket, the metrics, and both guests' streams."""
        self.assertTrue(self.daemon.rpc("version")["version"])
        with self.connect_unix(self.metrics_path) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 ", sock.recv(100))
        self.assert_undisturbed(self.bystander_channel)


class Strangers(StrangersTest):
    """On the kernel as it is: a new one refuses descriptors by itself, except from frontends."""

    KERNEL_REFUSES = True

    def joined(self) -> tuple[Channel, socket.socket, Channel]:
        """An open channel with its client, and another one of the same guest."""
        driver = self.driver()
        channel = Channel(driver, "client").attach().open()
        echo = Channel(driver, "echo").attach().open()
        echo.echo(os.urandom(1000))
        client = self.connect_unix(self.client_path)
        client.sendall(b"hello")
        self.assertEqual(channel.read(5), b"hello")
        return channel, client, echo

    def test_channel(self):
        """From a client that is read, and from one that is refused with its message unread."""
        _channel, client, echo = self.joined()
        for _ in range(3):
            self.send(client, b"x")
            with self.connect_unix(self.client_path) as second:
                self.send(second, b"x", 3)
            echo.echo(os.urandom(100000))
        self.assert_served()

    def test_channel_that_is_not_read(self):
        """The message is still in the socket when the channel, its listener and its client go."""
        channel, client, echo = self.joined()
        channel.close_reader()
        echo.echo(b"x" * 1000)
        self.send(client, b"x" * 1000)
        self.daemon.rpc("config.reload")
        channel.driver.frontend.close()
        client.close()
        self.wait_free("vm1")
        self.assert_served()

    def test_control(self):
        """In a line, before a line that is too long, and from a client that leaves at once."""
        for data in (b"x\n", b"x" * (1 << 17), b"x"):
            with self.connect_unix(self.daemon.control_path) as sock:
                sock.setblocking(False)
                self.send(sock, data[:1000])
                with contextlib.suppress(OSError):
                    sock.send(data[1000:])
            self.assert_served()

    def test_metrics(self):
        """In a request, and in bytes that are not a request."""
        for data in (b"GET /metrics HTTP/1.0\r\n\r\n", b"GET", b"\r\n\r\n\r\n"):
            with self.connect_unix(self.metrics_path) as sock:
                self.send(sock, data)
            self.assert_served()

    # Frontends may send descriptors, so the kernel does not refuse these.

    def assert_frontends_served(self) -> None:
        """The vhost thread goes on."""
        with contextlib.closing(self.device()):
            self.assert_served()
        self.wait_free("vm1")

    def test_frontend_with_an_uninvited_descriptor(self):
        with self.connect() as frontend:
            self.send(frontend.sock, struct.pack("<III", vu.GET_FEATURES, vu.VERSION, 0))
            with contextlib.suppress(Dropped):
                frontend.receive()
        self.assert_frontends_served()

    def test_frontend_with_more_than_fit(self):
        for n in (9, 30):
            with self.connect() as frontend:
                self.send(frontend.sock, struct.pack("<III", vu.SET_MEM_TABLE, vu.VERSION, 8) +
                          struct.pack("<II", 8, 0), n)
                self.assertTrue(frontend.dropped())
            self.assert_frontends_served()

    def test_frontend_with_a_descriptor_in_the_payload(self):
        with self.connect() as frontend:
            frontend.sock.sendall(struct.pack("<III", vu.SET_FEATURES, vu.VERSION, 8))
            self.send(frontend.sock, struct.pack("<Q", vu.F_VERSION_1))
            with contextlib.suppress(Dropped):  # the connection may have ended by now
                frontend.ask_u64(vu.GET_FEATURES)
        self.assert_frontends_served()

    def test_frontend_with_a_descriptor_that_is_refused(self):
        for request, payload in ((vu.SET_VRING_KICK, struct.pack("<Q", 0)),
                                 (vu.SET_VRING_CALL, struct.pack("<Q", 0)),
                                 (vu.SET_VRING_ERR, struct.pack("<Q", 0)),
                                 (vu.SET_INFLIGHT_FD, struct.pack("<QQHH", 64, 0, 2, 128)),
                                 (vu.SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, 4096,
                                                                4096, 0))):
            with self.subTest(request=request), self.connect() as frontend:
                self.send(frontend.sock,
                          struct.pack("<III", request, vu.VERSION, len(payload)) + payload)
                self.assertTrue(frontend.dropped())
            self.assert_frontends_served()

    def test_frontend_that_is_dropped_with_messages_unread(self):
        """The same with a second frontend, which is refused."""
        with self.connect() as frontend:
            frontend.handshake()
            for _ in range(3):
                with self.connect_unix(self.scratch / "vm1.sock") as second:
                    self.send(second, bytes(12), 3)
            frontend.send(vu.SET_OWNER, bytes(100))  # too long
            self.send(frontend.sock, bytes(12), 3)
            self.assertTrue(frontend.dropped())
        self.assert_frontends_served()


class StrangersOnAnOldKernel(Strangers):
    """One that cannot refuse descriptors."""

    KERNEL_REFUSES = False
    ENVIRONMENT = {"LD_PRELOAD": str(paths.BUILD / "tests" / "old-kernel.so")}

    def test_end(self):
        """SIGTERM ends the daemon even while its closers sleep."""
        _channel, client, _echo = self.joined()
        for _ in range(20):
            self.send(client, b"x", 5)
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(20), 0)
        self.daemon.start()
