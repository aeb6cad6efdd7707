# SPDX-License-Identifier: BSD-3-Clause
"""The control socket of a running daemon, and the daemon's command line.

What an answer looks like and what is refused is in tests/unit/control.
"""
import json
import os
import stat

from ctl_rig import DaemonTest, run
from vm.daemon import DaemonError, guest_config


class Control(DaemonTest):
    """A daemon with two guests; nobody connects."""

    @classmethod
    def config(cls):
        (cls.scratch / "file").write_bytes(b"x" * 1000)
        return {"control": {"path": str(cls.scratch / "control.sock"), "mode": "0600"},
                "guests": [
                    guest_config("vm1", "vm1.sock", {
                        "intervm_test": {"type": "intervm", "file": "file"},
                        "echo": {"ring_bytes": 4096, "exclusive": True,
                                 "endpoint": {"type": "echo"}}}),
                    guest_config("vm2", "vm2.sock", {
                        "sock": {"type": "unix-listen", "path": "sock"}}, socket_mode="connect")]}

    def test_status(self):
        status = self.daemon.rpc("status")
        self.assertEqual(status["name"], "okl4fsd")
        self.assertEqual(status["pid"], self.daemon.pid)
        self.assertEqual(status["guests"], {"total": 2, "connected": 0, "ready": 0, "unavailable": 0})
        self.assertEqual(status["channels"], {"detached": 3, "attached": 0, "suspended": 0,
                                              "failed": 0, "unavailable": 0})
        self.assertEqual(status["control_path"], self.daemon.control_path)
        self.assertRegex(status["instance"], r"^[0-9a-f]{16}$")
        self.assertGreaterEqual(self.daemon.rpc("status")["uptime_ms"], status["uptime_ms"])

    def test_lists(self):
        """They say what is configured."""
        guests = self.daemon.rpc("guest.list")["guests"]
        self.assertEqual([(g["name"], g["socket_mode"], g["channels"], g["connected"])
                          for g in guests],
                         [("vm1", "listen", 2, False), ("vm2", "connect", 1, False)])
        channels = self.daemon.rpc("channel.list")["channels"]
        self.assertEqual([(c["guest"], c["name"], c["endpoint"]["type"], c["state"])
                          for c in channels],
                         [("vm1", "intervm_test", "intervm", "detached"),
                          ("vm1", "echo", "echo", "detached"),
                          ("vm2", "sock", "unix-listen", "detached")])
        self.assertEqual((channels[1]["ring_bytes"], channels[1]["exclusive"]), (4096, True))
        self.assertEqual(channels[2]["endpoint"]["path"], str(self.scratch / "sock"))
        only = self.daemon.rpc("channel.list", {"guest": "vm2"})["channels"]
        self.assertEqual([c["name"] for c in only], ["sock"])

    def test_a_refused_reload_is_in_the_log(self):
        """The client that asked gets the error; the log tells everyone else."""
        since = len(self.daemon.log())
        self.addCleanup(self.daemon.config_path.write_bytes, self.daemon.config_path.read_bytes())
        self.daemon.config_path.write_text('{ "guest": [] }', encoding="utf-8")
        with self.assertRaisesRegex(DaemonError, "guest: unknown key"):
            self.daemon.rpc("config.reload")
        self.assertRegex(self.daemon.wait_log("reload: nothing was changed", since=since),
                         r"err: reload: nothing was changed: .*:1:1: \"guests\" is missing; "
                         r".*:1:3: guest: unknown key")

    def test_the_command_line(self):
        for args, sentence in ((["-l", "loud"], 'there is no log level "loud": it is err, warning'),
                               (["--config"], "'--config' requires an argument\nokl4fsd: see"),
                               (["x"], "unexpected argument: x; see okl4fsd --help"),
                               (["--frob"], "'--frob'\nokl4fsd: see okl4fsd --help")):
            with self.subTest(args=args):
                done = run("okl4fsd", *args)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(sentence, done.stderr)
                self.assertLessEqual(done.stderr.count("\n"), 2, "the error is not buried")
        done = run("okl4fsd", "--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--config", "--check", "--log-level", "--version"):
            self.assertIn(word, done.stdout)
        done = run("okl4fsd", "--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^okl4fsd \d+\.\d+\.\d+\n$")

    def test_mode_of_the_sockets(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.control_path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.scratch / "vm1.sock").st_mode), 0o660)

    def test_a_second_daemon_leaves_the_first_alone(self):
        config = self.scratch / "second.json"
        config.write_text(json.dumps({"control": self.daemon.config["control"], "guests": []}),
                          encoding="utf-8")
        done = run("okl4fsd", "--config", config)
        self.assertEqual(done.returncode, 73)
        self.assertIn("Address already in use", done.stderr)
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)
