# SPDX-License-Identifier: BSD-3-Clause
"""The control socket of a running daemon."""
import json
import os
import re
import socket
import stat
import subprocess
import time
import unittest
from pathlib import Path

from vm import paths
from vm.daemon import Daemon, DaemonError, guest_config
from vm.process import scratch_dir


class Control(unittest.TestCase):
    """A daemon with two guests; nobody connects."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        (cls.scratch / "file").write_bytes(b"x" * 1000)
        cls.config = {
            "control": {"path": str(cls.scratch / "control.sock"), "mode": "0600"},
            "guests": [
                guest_config("vm1", cls.scratch / "vm1.sock",
                             {"intervm_test": {"type": "intervm", "file": str(cls.scratch / "file")},
                              "echo": {"ring_bytes": 4096, "exclusive": True,
                                       "endpoint": {"type": "echo"}}}),
                guest_config("vm2", cls.scratch / "vm2.sock",
                             {"sock": {"type": "unix-listen", "path": str(cls.scratch / "sock")}},
                             socket_mode="connect")]}
        cls.daemon = Daemon(cls.config, scratch=cls.scratch)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, status

    def test_version(self):
        version = self.daemon.rpc("version")
        self.assertEqual(version["name"], "okl4fsd")
        self.assertEqual(version["abi_version"], 1)
        self.assertRegex(version["version"], r"^\d+\.\d+\.\d+$")

    def test_status(self):
        status = self.daemon.rpc("status")
        self.assertEqual(status["pid"], self.daemon.pid)
        self.assertEqual(status["guests"], {"total": 2, "connected": 0, "ready": 0})
        self.assertEqual(status["channels"], {"detached": 3, "attached": 0, "suspended": 0,
                                              "failed": 0})
        self.assertEqual(status["control_path"], self.daemon.control_path)
        self.assertRegex(status["instance"], r"^[0-9a-f]{16}$")
        self.assertGreaterEqual(self.daemon.rpc("status")["uptime_ms"], status["uptime_ms"])

    def test_guest_list(self):
        guests = self.daemon.rpc("guest.list")["guests"]
        self.assertEqual([guest["name"] for guest in guests], ["vm1", "vm2"])
        self.assertEqual([guest["socket_mode"] for guest in guests], ["listen", "connect"])
        self.assertEqual([guest["channels"] for guest in guests], [2, 1])
        self.assertFalse(guests[0]["connected"])

    def test_channel_list(self):
        channels = self.daemon.rpc("channel.list")["channels"]
        self.assertEqual([(c["guest"], c["name"]) for c in channels],
                         [("vm1", "intervm_test"), ("vm1", "echo"), ("vm2", "sock")])
        self.assertEqual([c["endpoint"]["type"] for c in channels],
                         ["intervm", "echo", "unix-listen"])
        self.assertEqual(channels[1]["ring_bytes"], 4096)
        self.assertTrue(channels[1]["exclusive"])
        self.assertEqual(channels[2]["endpoint"]["path"], str(self.scratch / "sock"))
        self.assertEqual({c["state"] for c in channels}, {"detached"})
        for channel in channels:
            for way in ("fwd", "bwd"):
                self.assertEqual(set(channel[way]), {
                    "bytes", "messages", "fill_bytes", "wakes_sent", "wakes_received",
                    "full_stalls", "empty_stalls", "opens", "host_phase", "guest_phase"})
        only = self.daemon.rpc("channel.list", {"guest": "vm2"})["channels"]
        self.assertEqual([c["name"] for c in only], ["sock"])

    def test_refusals_are_sentences(self):
        for method, params, sentence in (
                ("channel.lits", None, 'there is no method "channel.lits"'),
                ("channel.list", {"guest": "vm3"}, 'there is no guest "vm3"'),
                ("channel.list", {"gest": "vm1"}, 'channel.list has no parameter "gest"')):
            with self.subTest(method=method, params=params):
                with self.assertRaisesRegex(DaemonError, re.escape(sentence)):
                    self.daemon.rpc(method, params)

    def test_a_refused_reload_is_in_the_log(self):
        """The client that asked gets the error; the log tells everyone else."""
        since = len(self.daemon.log())
        kept = self.daemon.config_path.read_bytes()
        self.addCleanup(self.daemon.config_path.write_bytes, kept)
        self.daemon.config_path.write_text('{ "guest": [] }', encoding="utf-8")
        with self.assertRaisesRegex(DaemonError, "guest: unknown key"):
            self.daemon.rpc("config.reload")
        self.assertRegex(self.daemon.wait_log("reload: nothing was changed", since=since),
                         r"err: reload: nothing was changed: .*:1:1: \"guests\" is missing; "
                         r".*:1:3: guest: unknown key")

    def test_the_command_line(self):
        for args, sentence in ((["-l", "loud"], 'there is no log level "loud": it is err, warning'),
                               (["x"], "unexpected argument: x; see okl4fsd --help"),
                               (["--frob"], "'--frob'\nokl4fsd: see okl4fsd --help")):
            with self.subTest(args=args):
                done = subprocess.run([paths.BUILD / "okl4fsd", *args], text=True, timeout=60,
                                      stdin=subprocess.DEVNULL, capture_output=True, check=False)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(sentence, done.stderr)
                self.assertLessEqual(done.stderr.count("\n"), 2, "the error is not buried")

    def test_mode_of_the_sockets(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.control_path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.scratch / "vm1.sock").st_mode), 0o660)

    def test_a_second_daemon_leaves_the_first_alone(self):
        config = self.scratch / "second.json"
        config.write_text(json.dumps({"control": self.config["control"], "guests": []}),
                          encoding="utf-8")
        done = subprocess.run([paths.BUILD / "okl4fsd", "--config", config], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Address already in use", done.stderr)
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)

    def test_clients_do_not_grow_the_daemon(self):
        """For a client that asks and does not read, one reply is held, not thousands."""
        before = self.rss()
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "channel.list"}).encode() + b"\n"
        clients = []
        for _ in range(16):
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.daemon.control_path)
            client.setblocking(False)
            clients.append(client)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for client in clients:
                try:
                    client.send(request * 20)
                except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                    pass
        for client in clients:
            client.close()
        self.assertLess(self.rss() - before, 16 << 20)
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)

    def rss(self) -> int:
        """Resident bytes of the daemon."""
        text = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


if __name__ == "__main__":
    unittest.main()
