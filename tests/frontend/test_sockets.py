# SPDX-License-Identifier: BSD-3-Clause
"""Sockets whose path is in use, sockets whose file is removed, and running out of descriptors."""
import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import unittest
from pathlib import Path

from guest_end import Channel
from rig import RING_BYTES, FrontendTest
from socket_rig import free_port
from vm import paths
from vm.daemon import Daemon, DaemonError, guest_config
from vm.process import Deadline, scratch_dir


class SocketsTest(FrontendTest):
    """A daemon that listens in all possible ways."""

    GUESTS = ("vm1", "vm2")
    DAEMON_ARGS = ()

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.metrics, cls.port = cls.scratch / "metrics.sock", free_port()
        endpoints = {
            "vm1": {"sock": {"type": "unix-listen", "path": str(cls.scratch / "vm1.client")},
                    "tcp": {"type": "tcp-listen", "address": f"127.0.0.1:{cls.port}"}},
            "vm2": {"sock": {"type": "unix-listen", "path": str(cls.scratch / "vm2.client")}}}
        guests = [guest_config(name, cls.scratch / f"{name}.sock", {**cls.CHANNELS, **{
            channel: {"ring_bytes": RING_BYTES, "endpoint": endpoint}
            for channel, endpoint in endpoints[name].items()}}) for name in cls.GUESTS]
        cls.daemon = Daemon({"metrics": {"listen": f"unix:{cls.metrics}"}, "guests": guests},
                            args=cls.DAEMON_ARGS, scratch=cls.scratch)

    def client(self, name: str = "vm1.client") -> socket.socket:
        """A connection to a unix socket of the daemon."""
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(20)
        sock.connect(str(self.scratch / name))
        return sock

    def assert_joined(self, channel: Channel, sock: socket.socket) -> None:
        """Bytes go both ways."""
        data = os.urandom(RING_BYTES // 2)
        channel.write(data)
        self.assertEqual(sock.recv(len(data), socket.MSG_WAITALL), data)
        sock.sendall(data)
        self.assertEqual(channel.read(len(data)), data)

    def endpoint(self, guest: str = "vm1", channel: str = "sock") -> dict:
        """What `channel.list` says of an endpoint."""
        return self.channel_state(guest, channel)["endpoint"]

    def status_of_metrics(self) -> int:
        """The status of GET /metrics."""
        connection = http.client.HTTPConnection("metrics", timeout=20)
        connection.sock = self.client("metrics.sock")
        connection.request("GET", "/metrics")
        return connection.getresponse().status


class InUse(SocketsTest):
    """Another program wants to listen where the daemon does. Running streams are not affected."""

    def counts(self) -> list:
        """The counters that a stranger's connection would change."""
        found = []
        for guest in self.GUESTS:
            state = self.channel_state(guest, "sock")
            found.append((state["endpoint"]["clients"], state["endpoint"]["clients_refused"],
                          state["fwd"]["opens"], state["bwd"]["opens"]))
        return found

    def second(self, config: dict) -> str:
        """Start a second daemon, which must find no control socket; return what it says."""
        path = self.scratch / "second.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        done = subprocess.run([paths.BUILD / "okl4fsd", "--config", path], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              cwd=self.scratch, check=False)
        self.assertEqual(done.returncode, 73, done.stderr)
        self.assertIn("Address already in use", done.stderr)
        return done.stderr

    def test_second_daemon(self):
        stream = Channel(self.driver("vm1"), "sock").attach().open()
        waits = Channel(self.driver("vm2"), "sock").attach().open()
        client = self.client()
        self.assert_joined(stream, client)
        inodes = {path: path.stat().st_ino for path in self.scratch.iterdir() if path.is_socket()}
        before = self.counts()
        everything = self.daemon.config
        with self.subTest("the same configuration"):
            self.assertNotIn("guest vm1", self.second(everything), "it never gets to a guest")
        for what, config in (
                ("guests", {"guests": everything["guests"]}),
                ("metrics", {"guests": [], "metrics": everything["metrics"]}),
                ("a channel", {"guests": [guest_config("x", self.scratch / "x.sock", {
                    "sock": everything["guests"][1]["channels"][-1]})]})):
            with self.subTest(what):
                second = Daemon(config)
                self.addCleanup(second.stop)
                problems = second.rpc("status")["problems"]
                self.assertTrue(problems)
                for problem in problems:
                    self.assertRegex(problem, "Address already in use|Is a directory")
        self.assertEqual(self.counts(), before)
        for path, inode in inodes.items():
            self.assertEqual(path.stat().st_ino, inode, path)
        self.assert_joined(stream, client)
        self.assert_joined(waits, self.client("vm2.client"))

    def test_channel_add(self):
        stream = Channel(self.driver("vm2"), "sock").attach().open()
        before = self.counts()
        link = self.scratch / "link"
        link.symlink_to(self.scratch)
        for path in (self.scratch / "vm2.client", link / "vm2.client", link / "vm2.sock",
                     link / "control.sock", link / "metrics.sock"):
            with self.subTest(path=path), self.assertRaisesRegex(DaemonError, "already in use"):
                self.daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                    "name": "more", "endpoint": {"type": "unix-listen", "path": str(path)}}})
        self.assertEqual(self.counts(), before)
        self.assert_joined(stream, self.client("vm2.client"))

    def test_a_program_that_knows_no_lock(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.scratch / "other.sock"))
            other.listen()
            with self.assertRaisesRegex(DaemonError, "already in use"):
                self.daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                    "name": "more", "endpoint": {"type": "unix-listen",
                                                 "path": str(self.scratch / "other.sock")}}})
            other.setblocking(False)
            self.assertRaises(BlockingIOError, other.accept)

    def test_killed(self):
        """The files that it left behind are not in the way; a clean end leaves none."""
        scratch = scratch_dir()
        daemon = Daemon({"metrics": {"listen": "unix:metrics.sock"}, "guests": [
            guest_config("vm1", "vm1.sock", {"sock": {"type": "unix-listen", "path": "client"}})]},
            scratch=scratch)
        self.addCleanup(daemon.stop)
        names = sorted(path.name for path in scratch.iterdir())
        for name in ("control.sock", "vm1.sock", "client", "metrics.sock"):
            self.assertIn(f"{name}.lock", names)
        daemon.kill()
        self.assertEqual(sorted(path.name for path in scratch.iterdir()), names)
        daemon.start()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual(sorted(path.name for path in scratch.iterdir()),
                         ["joined", "okl4fsd.json", "okl4fsd.log"]
                         if (scratch / "joined").exists() else ["okl4fsd.json", "okl4fsd.log"])


class Lost(SocketsTest):
    """A socket's file is removed or replaced; a reload makes it again."""

    def reload(self) -> str:
        """Send SIGHUP, which needs no control socket; return what was logged."""
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        return self.daemon.wait_log(": reloaded,", since=since)

    def lose(self, name: str) -> None:
        """Remove a socket's file."""
        (self.scratch / name).unlink()

    def test_channel(self):
        stream = Channel(self.driver("vm1"), "sock").attach().open()
        client = self.client()
        self.assert_joined(stream, client)
        self.assertFalse(self.endpoint()["path_lost"])
        self.lose("vm1.client")
        self.assertTrue(self.endpoint()["path_lost"])
        self.assertFalse(self.endpoint("vm2")["path_lost"])
        self.assertRegex(self.daemon.ctl("channels")[1],
                         r"vm1 +sock .*/vm1.client \(removed or replaced\)\n")
        self.assertIn("vm1.client had been removed or replaced; listening there again",
                      self.reload())
        self.assertFalse(self.endpoint()["path_lost"])
        self.assert_joined(stream, client)
        client.close()
        deadline = Deadline(20)
        while self.endpoint()["connected"]:
            deadline.check("the client to be gone")
        self.client().close()

    def test_what_is_there_is_left_alone(self):
        names = ("control.sock", "vm1.sock", "vm1.client", "metrics.sock")
        before = [(self.scratch / name).stat().st_ino for name in names]
        self.assertNotIn("removed or replaced", self.reload())
        self.assertEqual([(self.scratch / name).stat().st_ino for name in names], before)

    def test_with_the_locks(self):
        for path in self.scratch.glob("*.lock"):
            path.unlink()
        self.lose("vm2.client")
        self.reload()
        self.client("vm2.client").close()
        self.assertTrue((self.scratch / "vm2.client.lock").exists())

    def test_replaced(self):
        self.lose("vm2.client")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.scratch / "vm2.client"))
            other.listen()
            self.assertTrue(self.endpoint("vm2")["path_lost"])
            self.assertRegex(self.reload(), "unix-listen: .*vm2.client: Address already in use")
            other.setblocking(False)
            self.assertRaises(BlockingIOError, other.accept)
        self.reload()
        self.assertFalse(self.endpoint("vm2")["path_lost"])
        self.client("vm2.client").close()

    def test_guest(self):
        self.wait_free("vm2")
        self.lose("vm2.sock")
        self.assertTrue(self.guest_state("vm2")["path_lost"])
        self.assertFalse(self.guest_state("vm1")["path_lost"])
        self.assertRegex(self.daemon.ctl("guests")[1],
                         r"vm2 .*/vm2.sock \(listen, removed or replaced\)\n")
        self.assertIn("listening there again", self.reload())
        self.assertFalse(self.guest_state("vm2")["path_lost"])
        self.bystander()

    def test_guest_with_a_frontend(self):
        """The frontend stays; when it has left, the next one can connect."""
        stream = self.echo_channel("vm1")
        self.lose("vm1.sock")
        self.assertTrue(self.guest_state("vm1")["path_lost"])
        self.assertIn("vm1.sock had been removed or replaced; listening there again", self.reload())
        self.assertFalse(self.guest_state("vm1")["path_lost"])
        stream.echo(os.urandom(3 * RING_BYTES + 17))
        stream.driver.frontend.close()
        self.echo_channel("vm1").echo(b"again")

    def test_guest_replaced(self):
        self.wait_free("vm2")
        self.lose("vm2.sock")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.scratch / "vm2.sock"))
            other.listen()
            self.assertRegex(self.reload(), "vm2: socket .*/vm2.sock: Address already in use")
            self.assertTrue((self.scratch / "vm2.sock").exists(), "it is another program's file")
            self.assertEqual(self.daemon.rpc("status")["n_problems"], 1)
        self.reload()
        self.assertEqual(self.daemon.rpc("status")["n_problems"], 0)
        self.bystander()

    def test_metrics(self):
        self.assertEqual(self.status_of_metrics(), 200)
        self.lose("metrics.sock")
        self.assertIn("metrics.sock had been removed or replaced", self.reload())
        self.assertEqual(self.status_of_metrics(), 200)

    def test_control(self):
        self.lose("control.sock")
        with self.assertRaises(FileNotFoundError):
            self.daemon.rpc("version")
        self.assertIn("control.sock had been removed or replaced", self.reload())
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)


class NoDescriptors(SocketsTest):
    """Connections that cannot be accepted cost no CPU time, and one line per socket."""

    WINDOW_MS = 4000
    LINE = re.compile(r"warning: (.*): connections cannot be accepted: Too many open files")

    def ticks(self) -> dict[str, int]:
        """CPU time that each thread has used."""
        found = {}
        for task in Path(f"/proc/{self.daemon.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text(encoding="utf-8").rpartition(")")
            fields = rest.split()
            found[name] = int(fields[11]) + int(fields[12])
        return found

    def test_every_socket(self):
        stream = self.echo_channel("vm2")
        poller = select.poll()
        poller.register(self.daemon.pidfd, select.POLLIN)
        since = len(self.daemon.log())
        limit = resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        self.leave_descriptors(0)
        clients = {name: self.client(name) for name in
                   ("control.sock", "vm1.client", "vm2.client", "metrics.sock")}
        clients["vhost"] = self.client("vm1.sock")
        clients["tcp"] = socket.create_connection(("127.0.0.1", self.port), 20)
        self.addCleanup(clients["tcp"].close)
        deadline = Deadline(20)
        while len(self.LINE.findall(self.daemon.log()[since:])) < len(clients):
            deadline.check(f"a line for each: {self.daemon.log()[since:]}")
        before = self.ticks()
        self.assertEqual(poller.poll(self.WINDOW_MS), [], "the daemon has ended")
        used = {name: ticks - before[name] for name, ticks in self.ticks().items()}
        self.assertLess(max(used.values()), os.sysconf("SC_CLK_TCK") * self.WINDOW_MS // 20000,
                        f"ticks in {self.WINDOW_MS} ms: {used}")
        lines = self.LINE.findall(self.daemon.log()[since:])
        self.assertEqual(len(lines), len(clients), "once each")
        self.assertEqual(len(set(lines)), len(lines), lines)
        stream.echo(os.urandom(3 * RING_BYTES + 17))

        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, limit)
        clients["control.sock"].sendall(b'{"jsonrpc":"2.0","id":1,"method":"version"}\n')
        self.assertIn(b'"result"', clients["control.sock"].recv(4096))
        clients["metrics.sock"].sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        self.assertIn(b"200 OK", clients["metrics.sock"].recv(4096))
        deadline = Deadline(20)
        for guest, channel in (("vm1", "sock"), ("vm2", "sock"), ("vm1", "tcp")):
            while not self.endpoint(guest, channel)["connected"]:
                deadline.check(f"the client of {guest}/{channel} to be there")
        while not self.guest_state("vm1")["connected"]:
            deadline.check("the frontend of vm1 to be there")
        again = [line for line in self.daemon.log()[since:].splitlines()
                 if "connections are accepted again" in line]
        self.assertEqual(len(again), len(clients), again)


if __name__ == "__main__":
    unittest.main()
