# SPDX-License-Identifier: BSD-3-Clause
"""What okl4fsd sends to a service manager and takes from it; this file plays the manager.

tests/service has a real one.
"""
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest

from vm import paths
from vm.daemon import Daemon, DaemonError, guest_config
from vm.process import Deadline, remove_scratch, scratch_dir
from vm.ptrace import VHOST_THREAD, StoppedThread

WATCHDOG_S = 0.4

# Listen on the paths argv[2], ... and become the command after "--", which gets them as LISTEN_FDS
ACTIVATE = """
import os, socket, sys
end = sys.argv.index("--")
for number, path in enumerate(sys.argv[2:end], 3):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    if sock.fileno() != number:
        os.dup2(sock.fileno(), number)
    os.set_inheritable(number, True)
    sock.detach()
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(end - 2), LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[end + 1], sys.argv[end + 1:])
"""


class ServiceTest(unittest.TestCase):
    """A daemon with a service manager."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.addCleanup(remove_scratch, self.scratch)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.scratch / "notify"))

    def start(self, n_guests: int = 1, prefix=(), config=None, **env) -> Daemon:
        """Start the daemon; `env` has variables of its environment."""
        guests = [guest_config(f"vm{i}", self.scratch / f"vm{i}.sock",
                               {"echo": {"type": "echo"}, "none": {"type": "discard"}})
                  for i in range(1, n_guests + 1)]
        daemon = Daemon({"guests": guests, **(config or {})}, scratch=self.scratch, prefix=prefix,
                        env={**os.environ, "NOTIFY_SOCKET": str(self.scratch / "notify"), **env})
        self.addCleanup(daemon.stop)
        return daemon

    def told(self, timeout: float = 20) -> dict[str, str]:
        """The next message."""
        self.manager.settimeout(timeout)
        message = self.manager.recv(4096).decode()
        return dict(line.split("=", 1) for line in message.splitlines())

    def wait_told(self, what: str, value: str = "", timeout: float = 20) -> dict[str, str]:
        """The next message with this variable and, if one is given, value."""
        deadline = Deadline(timeout)
        while True:
            message = self.told(max(0.001, deadline.left_s()))
            if value in (message.get(what), "") and what in message:
                return message

    def silence(self, seconds: float) -> None:
        """Nothing is told for a while."""
        with self.assertRaises(TimeoutError):
            print(self.told(seconds))


class Told(ServiceTest):
    """What the daemon reports to the manager."""

    def test_ready_status_and_end(self):
        """READY=1 with the status, then STOPPING=1; nothing in between if nothing happens."""
        daemon = self.start(2)
        self.assertEqual(self.told(), {
            "READY": "1", "STATUS": "2 guests (0 ready), 4 channels, 0 bytes moved"})
        self.silence(1.5)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(self.told(), {"STOPPING": "1"})

    def test_status_follows(self):
        """One more channel, one guest fewer: the text follows, at most once per second."""
        daemon = self.start(2)
        self.wait_told("READY")
        daemon.rpc("channel.add", {"guest": "vm1", "channel": {
            "name": "more", "endpoint": {"type": "echo"}}})
        self.wait_told("STATUS", "2 guests (0 ready), 5 channels, 0 bytes moved")
        for number in range(200):
            daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                "name": f"more{number}", "endpoint": {"type": "echo"}}})
        daemon.rpc("guest.remove", {"guest": "vm2"})
        n_messages = 1
        while self.told()["STATUS"] != "1 guest (0 ready), 203 channels, 0 bytes moved":
            n_messages += 1
        self.assertLess(n_messages, 15)
        daemon.rpc("guest.remove", {"guest": "vm1"})
        self.wait_told("STATUS", "0 guests (0 ready), 0 channels, 0 bytes moved")

    def test_reload(self):
        """A reload, by signal and by request, reports when it begins and when it ends."""
        daemon = self.start()
        self.wait_told("READY")
        for refused in (False, True):
            if refused:
                daemon.config_path.write_text("{ nonsense", encoding="utf-8")
            for how in ("signal", "request"):
                with self.subTest(how, refused=refused):
                    if how == "signal":
                        daemon.signal(1)
                    elif refused:
                        with self.assertRaises(DaemonError):
                            daemon.rpc("config.reload")
                    else:
                        daemon.rpc("config.reload")
                    self.assertRegex(self.wait_told("RELOADING")["MONOTONIC_USEC"], "^[0-9]+$")
                    self.wait_told("READY", "1")

    def test_no_manager(self):
        """Without a manager it runs as well."""
        self.manager.close()
        daemon = self.start(WATCHDOG_USEC="100000")
        self.assertTrue(daemon.rpc("version"))
        self.assertEqual(daemon.stop(), 0)


class Watchdog(ServiceTest):
    """The watchdog is fed while every thread makes progress."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start(2, WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)))
        self.wait_told("READY")
        for _ in range(4):
            self.wait_told("WATCHDOG", "1", 10)

    def drain(self) -> None:
        """Drop the messages that have come already."""
        self.manager.setblocking(False)
        try:
            while self.manager.recv(4096):
                pass
        except BlockingIOError:
            pass

    def starves(self, thread: str) -> None:
        """While a thread is stopped, the watchdog is not fed; then it is again."""
        with StoppedThread(self.daemon.pid, thread):
            self.drain()
            self.silence(4 * WATCHDOG_S)
        self.wait_told("WATCHDOG", "1", 10)
        self.wait_told("WATCHDOG", "1", 10)

    def test_worker(self):
        """A stopped worker is named in the log."""
        self.starves("worker-0")
        self.assertRegex(self.daemon.wait_log("watchdog: the thread worker-0"),
                         r"watchdog: the thread worker-0 has made no progress for \d+ ms")

    def test_vhost(self):
        """DPDK's stopped vhost thread is named in the log as soon as it owes an answer."""
        with StoppedThread(self.daemon.pid, *VHOST_THREAD):
            self.drain()
            self.wait_told("WATCHDOG", "1", 10)
            frontend = socket.socket(socket.AF_UNIX)
            self.addCleanup(frontend.close)
            frontend.connect(str(self.scratch / "vm1.sock"))
            self.assertRegex(self.daemon.wait_log("watchdog: the thread dpdk-vhost"),
                             r"watchdog: the thread dpdk-vhost has made no progress for \d+ ms")
            self.drain()
            self.silence(4 * WATCHDOG_S)
        self.wait_told("WATCHDOG", "1", 10)

    def test_main(self):
        """The main thread is stopped."""
        self.starves("okl4fsd")

    def test_other_process(self):
        """A watchdog that is meant for another process is not fed."""
        self.daemon.stop()
        self.scratch.mkdir(exist_ok=True)
        self.drain()
        self.manager.close()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.scratch / "notify"))
        self.start(1, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        self.wait_told("READY")
        self.silence(0.5)


class Activation(ServiceTest):
    """The control socket is the service manager's."""

    def prefix(self, names: str, *paths: str) -> list[str]:
        """The command that starts the daemon with sockets."""
        return [sys.executable, "-c", ACTIVATE, names, *paths, "--"]

    def test_control_socket(self):
        """It is used instead of the configured one, and its file is left alone."""
        path = str(self.scratch / "other.sock")
        config = {"control": {"path": str(self.scratch / "configured.sock")}}
        prefix = self.prefix("control", path)
        daemon = Daemon({"guests": [], **config}, scratch=self.scratch, prefix=prefix, start=False)
        self.addCleanup(daemon.stop)
        daemon.control_path = path
        daemon.start()
        self.assertFalse((self.scratch / "configured.sock").exists())
        daemon.wait_log(f"control: using {path}, where the service manager listens, instead of "
                        f"{self.scratch}/configured.sock")
        daemon.wait_log(f"control socket {path}\n")
        daemon.signal(15)
        self.assertEqual(daemon.wait(), 0)
        self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))

    def activated(self, prefix=()) -> Daemon:
        """A daemon whose control socket is the manager's; `prefix` is a command between the two."""
        path = str(self.scratch / "given.sock")
        return self.start(prefix=[*self.prefix("control", path), *prefix],
                          config={"control": {"path": path}})

    def test_the_file_is_removed(self):
        """The manager does not notice, so the daemon listens there itself."""
        daemon = self.activated()
        os.unlink(daemon.control_path)
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("given.sock had been removed or replaced; listening there again")
        self.assertEqual(daemon.rpc("status")["pid"], daemon.pid)
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertFalse(os.path.exists(daemon.control_path))

    def test_the_file_was_removed_before(self):
        """Clients cannot reach the manager's socket; a restart helps."""
        daemon = self.activated(["/bin/sh", "-c", 'rm "$0" && exec "$@"',
                                 str(self.scratch / "given.sock")])
        daemon.wait_log("given.sock had been removed or replaced; listening there again")
        self.assertEqual(daemon.rpc("status")["pid"], daemon.pid)

    def test_a_second_daemon_by_hand(self):
        """It ends before it touches anything."""
        daemon = self.activated()
        done = subprocess.run([paths.BUILD / "okl4fsd", "--config", daemon.config_path],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 73)
        self.assertIn(b"given.sock: Address already in use", done.stderr)
        self.assertNotIn(b"guest", done.stderr)
        self.assertEqual(daemon.rpc("status")["pid"], daemon.pid)

    def test_foreign_sockets(self):
        """A socket with another name is closed, and the log says so."""
        path = str(self.scratch / "foreign.sock")
        daemon = self.start(prefix=self.prefix("foreign", path))
        daemon.wait_log('the socket "foreign" of the service manager is not used')
        with socket.socket(socket.AF_UNIX) as client:
            self.assertRaises(ConnectionRefusedError, client.connect, path)

    def test_not_a_listening_socket(self):
        """A descriptor that is not a listening socket is refused."""
        with self.assertRaisesRegex(DaemonError, 'socket "control" .* is not a listening unix'):
            self.start(prefix=["/bin/sh", "-c", 'exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 '
                               'LISTEN_FDNAMES=control exec "$@"', "sh"])

    def test_nonsense(self):
        """A number of sockets that is not a number is refused."""
        with self.assertRaisesRegex(DaemonError, "cannot take the sockets of the service manager"):
            self.start(LISTEN_FDS="one", LISTEN_FDNAMES="control",
                       prefix=["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"])


class Configuration(ServiceTest):
    """Errors of the configuration."""

    def test_log(self):
        """The errors are lines of the log, with their level."""
        with self.assertRaises(DaemonError) as caught:
            self.start(config={"nonsense": 1})
        self.assertRegex(str(caught.exception), r"status 78\b")
        self.assertRegex(str(caught.exception), r"err: \S+okl4fsd\.json:\d+:\d+: .*nonsense")
        self.assertFalse(re.search("STOPPING|READY", str(caught.exception)))
