# SPDX-License-Identifier: BSD-3-Clause
"""Starting, reloading and ending the daemon (its command line is in tests/integration)."""
import os
import re
import signal
import stat
import subprocess
import unittest

from guest_end import Channel, Driver
from memory import Memory
from rig import RING_BYTES
from vhost_user import Frontend
from vm import paths
from vm.daemon import Daemon, guest_config
from vm.process import remove_scratch, scratch_dir

OKL4FSD = paths.BUILD / "okl4fsd"


class Lifecycle(unittest.TestCase):
    """A running daemon."""

    CHANNELS = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}}

    def setUp(self):
        self.scratch = scratch_dir()
        self.daemon = Daemon({"guests": [self.guest("vm1"), self.guest("vm2")]},
                             scratch=self.scratch)
        self.addCleanup(self.daemon.stop)

    def guest(self, name: str, **more) -> dict:
        """Configuration of a guest."""
        return guest_config(name, self.scratch / f"{name}.sock", self.CHANNELS, **more)

    def names(self) -> list[str]:
        """The guests that are served."""
        return [guest["name"] for guest in self.daemon.rpc("guest.list")["guests"]]

    def channel(self, name: str, channel: str = "echo") -> Channel:
        """A channel that moves bytes."""
        frontend = Frontend(self.scratch / f"{name}.sock", Memory(size=4 << 20))
        self.addCleanup(frontend.close)
        driver = Driver(frontend.setup())
        driver.hello()
        found = Channel(driver, channel).attach().open()
        found.echo(os.urandom(1000))
        return found

    def reload(self, *guests, outcome: str = "notice: reloaded,") -> str:
        """Write another configuration and send SIGHUP; return what was logged."""
        self.daemon.config["guests"] = list(guests)
        self.daemon.write_config()
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        return self.daemon.wait_log(outcome, since=since)

    def test_ready_line(self):
        self.assertRegex(self.daemon.wait_log("control socket"), r"notice: okl4fsd \d+\.\d+\.\d+: ready, 2 guests, "
                         rf"control socket {self.daemon.control_path}\n")

    def test_sockets(self):
        """They are gone after a clean end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.daemon.signal(number)
            self.assertEqual(self.daemon.wait(), 0)
            left = [path.name for path in self.scratch.iterdir() if path.is_socket()]
            self.assertEqual(left, [])
            self.daemon.start()

    def test_stale_and_live_sockets(self):
        self.daemon.kill()
        self.assertTrue((self.scratch / "vm1.sock").exists())
        self.daemon.restart()
        self.channel("vm1")
        self.assertTrue(self.daemon.running())
        second = Daemon({"guests": [self.guest("vm1"), guest_config("vm3", "vm3.sock", {})]})
        self.addCleanup(second.stop)
        taken, served = second.rpc("guest.list")["guests"]
        self.assertIn("vm1.sock: Address already in use", taken["error"])
        self.assertIsNone(served["error"])
        self.channel("vm2")

    def test_a_file_in_the_way_stays(self):
        self.daemon.stop()
        self.scratch.mkdir()
        self.addCleanup(remove_scratch, self.scratch)
        (self.scratch / "vm1.sock").write_text("mine")
        daemon = Daemon({"guests": [self.guest("vm1")]})
        self.addCleanup(daemon.stop)
        self.assertIn("vm1.sock: Socket operation on non-socket",
                      daemon.rpc("guest.list")["guests"][0]["error"])
        self.assertEqual((self.scratch / "vm1.sock").read_text(), "mine")

    def test_stop_leaves_the_guest_waiting(self):
        """The words of the host in guest memory stay, so that a restarted daemon goes on."""
        channel = self.channel("vm1")
        phases = channel.rx.peer_phase.value, channel.tx.peer_phase.value
        self.assertEqual([phase % 2 for phase in phases], [1, 1])
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(), 0)
        self.assertEqual((channel.rx.peer_phase.value, channel.tx.peer_phase.value), phases)

    def test_reload(self):
        keep = self.channel("vm1")
        log = self.reload(self.guest("vm3"), self.guest("vm1"))
        self.assertIn("reloaded, 2 guests", log)
        self.assertIn("guest vm2: gone or changed", log)
        self.assertIn("guest vm3: new or changed", log)
        self.assertEqual(self.names(), ["vm3", "vm1"])
        self.assertFalse((self.scratch / "vm2.sock").exists())
        keep.echo(os.urandom(100000))
        self.channel("vm3")
        log = self.reload(self.guest("vm3"), self.guest("vm1"), self.guest("vm2"))
        self.channel("vm2")
        keep.echo(os.urandom(100000))
        self.assertTrue(keep.driver.frontend.tell(3) == 0)

    def test_reload_of_a_changed_guest(self):
        """A guest with another socket counts as another guest."""
        keep, changed = self.channel("vm1"), self.channel("vm2")
        guest = self.guest("vm2", socket_perm="0600")
        guest["channels"][0]["name"] = "other"
        self.reload(self.guest("vm1"), guest)
        self.assertTrue(changed.driver.frontend.dropped())
        self.channel("vm2", "other")
        keep.echo(os.urandom(100000))

    def test_reload_with_errors(self):
        keep = self.channel("vm1")
        self.daemon.config_path.write_text('{ "guests": [ { "name": 5 } ] }')
        since = len(self.daemon.log())
        self.daemon.signal(signal.SIGHUP)
        log = self.daemon.wait_log("nothing was changed", since=since)
        self.assertRegex(log, rf"err: {self.daemon.config_path}:1:\d+: guests\[0\].name")
        self.assertEqual(self.names(), ["vm1", "vm2"])
        keep.echo(os.urandom(1000))

    def test_reload_with_a_guest_that_cannot_be(self):
        guest = self.guest("vm4")
        guest["socket"] = str(self.scratch / "none" / "vm4.sock")
        log = self.reload(self.guest("vm1"), guest, outcome="warning: reloaded, 2 guests; 1 problem")
        self.assertRegex(log, "err: guest vm4: socket .*: No such file or directory")
        self.assertEqual(self.names(), ["vm1", "vm4"])
        self.reload(self.guest("vm1"), self.guest("vm2"))
        self.assertEqual(self.names(), ["vm1", "vm2"])

    def test_reload_to_nobody_and_back(self):
        self.reload()
        self.assertEqual(self.names(), [])
        self.reload(self.guest("vm1"))
        self.channel("vm1")

    def test_sigpipe_is_ignored(self):
        self.daemon.signal(signal.SIGPIPE)
        self.channel("vm1")

    def test_signals_are_mains(self):
        """Every thread but the first blocks them."""
        for task in os.listdir(f"/proc/{self.daemon.pid}/task"):
            with open(f"/proc/{self.daemon.pid}/task/{task}/status", encoding="utf-8") as status:
                blocked = int(re.search(r"^SigBlk:\s*(\w+)", status.read(), re.M)[1], 16)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self.assertEqual(bool(blocked >> number - 1 & 1), int(task) != self.daemon.pid)
            for number in (signal.SIGBUS, signal.SIGSEGV):
                self.assertFalse(blocked >> number - 1 & 1)


class DefaultConfiguration(unittest.TestCase):
    """Without a file, as an ordinary user."""

    NOBODY = 65534

    def test_runtime_directory(self):
        """This does not need root; a test that runs as root starts it as another user."""
        scratch = scratch_dir()
        run_dir, who = scratch / "okl4fs", {}
        if os.geteuid() == 0:
            os.chown(scratch, self.NOBODY, self.NOBODY)
            who = {"user": self.NOBODY, "group": self.NOBODY, "extra_groups": []}
        try:
            process = subprocess.Popen([OKL4FSD], stderr=subprocess.PIPE, cwd="/", **who,
                                       env={**os.environ, "XDG_RUNTIME_DIR": str(scratch)})
        except PermissionError:
            self.skipTest(f"an ordinary user may not run {OKL4FSD}")
        try:
            for line in process.stderr:
                if b"ready" in line:
                    break
            self.assertIn(str(run_dir).encode(), line)
            self.assertEqual(stat.S_IMODE(run_dir.stat().st_mode), 0o700)
            self.assertIn("default.sock", [path.name for path in run_dir.iterdir()])
            frontend = Frontend(run_dir / "default.sock")
            driver = Driver(frontend.setup())
            driver.hello()
            self.assertEqual(list(driver.channels()), ["intervm_test"])
            frontend.close()
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20), 0)
            process.stderr.close()
        self.assertEqual([path for path in run_dir.iterdir() if path.is_socket()], [])
