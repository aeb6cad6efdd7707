# SPDX-License-Identifier: BSD-3-Clause
"""What of a configuration cannot be served: a start and a reload serve the rest, and say what is missing."""
import os
import signal
import socket
import subprocess

from ctl_rig import DaemonPerTest, run
from guest_end import CHANNEL_ADDED, Channel
from vm import paths
from vm.daemon import Daemon, guest_config
from vm.process import remove_scratch, scratch_dir


class Problems(DaemonPerTest):
    """A guest without a folder for its socket, channels whose endpoints cannot start, and no metrics."""

    def setUp(self):
        type(self).scratch = scratch_dir()
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.taken.close)
        self.port = self.taken.getsockname()[1]
        self.folder = self.scratch / "none"
        self.daemon = Daemon({
            "metrics": {"listen": f"127.0.0.1:{self.port}"},
            "guests": [
                guest_config("vm1", self.scratch / "vm1.sock", {
                    "echo": {"ring_bytes": 4096, "endpoint": {"type": "echo"}},
                    "file": {"ring_bytes": 4096, "endpoint": {
                        "type": "intervm", "file": str(self.scratch / "file")}},
                    "sock": {"type": "unix-listen", "path": str(self.folder / "sock")}}),
                guest_config("vm2", self.folder / "vm2.sock", {"echo": {"type": "echo"}})]},
            scratch=self.scratch)
        self.addCleanup(self.daemon.stop)
        self.daemon.wait_log("okl4fsctl status lists them")
        self.sentences = [
            f"metrics: 127.0.0.1:{self.port}: Address already in use",
            f"guest vm1: channel file: intervm: {self.scratch}/file: No such file or directory",
            f"guest vm1: channel sock: unix-listen: cannot listen on {self.folder}/sock: "
            "No such file or directory (make its folder first, or choose another path)",
            f"guest vm2: socket {self.folder}/vm2.sock: No such file or directory "
            "(make its folder first, or choose another path)"]

    def metric(self, name: str) -> str:
        """A sample, with its labels as they are written."""
        text = self.daemon.rpc("metrics.get")["text"]
        return next(line.rpartition(" ")[2] for line in text.splitlines()
                    if line.startswith(name + " "))

    def mend(self) -> None:
        """Make what is missing."""
        self.folder.mkdir()
        (self.scratch / "file").write_bytes(b"x" * 10)
        self.taken.close()

    def test_a_start_serves_the_rest(self):
        log = self.daemon.log()
        self.assertIn("notice: okl4fsd ", log)
        self.assertIn("warning: 4 problems with the configuration; okl4fsctl status lists them", log)
        for sentence in self.sentences:
            self.assertIn(f"err: {sentence}\n", log)
        status = self.daemon.rpc("status")
        self.assertEqual((status["n_problems"], status["problems"]), (4, self.sentences))
        self.assertEqual((status["guests"]["unavailable"], status["channels"]["unavailable"]), (1, 2))
        driver = self.driver()
        self.assertEqual(list(driver.channels()), ["echo"])
        Channel(driver, "echo").attach().open().echo(os.urandom(100000))

    def test_what_is_shown(self):
        shown = self.good("status")
        self.assertIn("problems  4; okl4fsctl reload tries again\n", shown)
        for sentence in self.sentences:
            self.assertIn(f"  {sentence}\n", shown)
        self.assertRegex(self.good("guests"),
                         r"(?s)vm2 +unavailable .*vm2 is unavailable: socket .*/vm2.sock: No such file")
        self.assertRegex(self.good("channels"), r"vm1 +sock +unavailable ")
        channels = {c["name"]: c for c in self.daemon.rpc("channel.list")["channels"]}
        self.assertEqual(channels["file"]["state"], "unavailable")
        self.assertIn("No such file", channels["file"]["endpoint"]["error"])
        self.assertEqual(self.metric("okl4fs_config_problems"), "4")
        self.assertEqual(self.metric('okl4fs_guest_served{guest="vm2"}'), "0")
        self.assertEqual(self.metric('okl4fs_guest_served{guest="vm1"}'), "1")
        self.assertEqual(self.metric(
            'okl4fs_channel_state{guest="vm1",channel="sock",state="unavailable"}'), "1")

    def test_a_reload_has_the_same_rule(self):
        """It says what it cannot serve, applies the rest, and tries what could not be served again."""
        driver = self.driver()
        echo = Channel(driver, "echo").attach().open()
        self.daemon.config["guests"].append(guest_config("vm3", self.scratch / "vm3.sock", {}))
        self.daemon.write_config()
        said = self.bad(1, "okl4fsctl: the configuration was applied, except for 4 problems\n", "reload")
        for sentence in self.sentences:
            self.assertIn(f"okl4fsctl: {sentence}\n", said)
        self.assertTrue((self.scratch / "vm3.sock").exists())
        driver.take_events()
        driver.changes.clear()
        self.mend()
        self.good("reload")
        self.assertEqual(self.daemon.rpc("status")["n_problems"], 0)
        self.assertTrue((self.folder / "vm2.sock").exists())
        self.assertIn("# EOF", self.scrape())
        driver.take_events()
        self.assertEqual([kind for kind, _ in driver.changes].count(CHANNEL_ADDED), 2)
        self.assertEqual(list(driver.channels()), ["echo", "file", "sock"])
        echo.echo(os.urandom(100000))
        self.assertEqual(Channel(driver, "file").attach().open().read(10), b"x" * 10)

    def scrape(self) -> str:
        """What the metrics' HTTP server answers."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def test_sighup(self):
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        log = self.daemon.wait_log("warning: reloaded, 2 guests; 4 problems", since=since)
        for sentence in self.sentences:
            self.assertEqual(log.count(f"err: {sentence}\n"), 1, log)

    def test_what_is_unavailable_can_be_removed_and_added(self):
        self.bad(1, 'guest vm1 has a channel "sock" already', "channel-add", "vm1",
                 '{"name": "sock", "endpoint": {"type": "echo"}}')
        self.good("channel-remove", "vm1/sock")
        self.good("channel-add", "vm1", '{"name": "sock", "endpoint": {"type": "echo"}}')
        self.good("guest-remove", "vm2")
        said = self.bad(1, self.sentences[3].replace(": ", ": cannot be served: ", 1), "guest-add",
                        f'{{"name": "vm2", "socket": "{self.folder}/vm2.sock", "channels": []}}')
        self.assertEqual(said.count("\n"), 1)
        self.assertEqual([g["name"] for g in self.daemon.rpc("guest.list")["guests"]], ["vm1"])

    def test_what_a_reload_cannot_apply(self):
        self.mend()
        self.daemon.config["control"]["mode"] = "0600"
        self.daemon.write_config()
        self.bad(1, "control.group has changed; restart the daemon to apply that\n", "reload")
        self.good("reload")


class Stops(DaemonPerTest):
    """What does stop a start, each with its own exit status."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.addCleanup(remove_scratch, self.scratch)

    def start_fails(self, text: str) -> subprocess.CompletedProcess:
        """Start okl4fsd with a configuration."""
        path = self.scratch / "okl4fsd.json"
        path.write_text(text, encoding="utf-8")
        return run("okl4fsd", "--config", path)

    def test_a_configuration_with_errors(self):
        for text, sentence in (("{ nonsense", "1:3: expected a key"),
                               ('{"guests": [], "colour": 1}', "colour: unknown key")):
            done = self.start_fails(text)
            self.assertEqual(done.returncode, 78)
            self.assertIn(sentence, done.stderr)
        done = run("okl4fsd", "--config", self.scratch / "none")
        self.assertEqual(done.returncode, 78)

    def test_no_control_socket(self):
        done = self.start_fails(f'{{"control": {{"path": "{self.scratch}/none/c"}}, "guests": []}}')
        self.assertEqual(done.returncode, 73)
        self.assertIn("control: cannot listen on", done.stderr)

    def test_the_units_do_not_restart_it(self):
        for unit in ("okl4fsd.service", "okl4fsd@.service"):
            self.assertIn("\nRestartPreventExitStatus=2 73 78\n",
                          (paths.ROOT / "systemd" / unit).read_text(encoding="utf-8"))
