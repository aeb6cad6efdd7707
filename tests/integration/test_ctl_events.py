# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl events; and what each command does without a daemon, or when the daemon dies."""
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import unittest

from vm import paths
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir

sys.path.insert(0, str(paths.ROOT / "tests/frontend"))
# pylint: disable=wrong-import-position
from guest_end import Channel, Driver  # noqa: E402
from vhost_user import Frontend  # noqa: E402

TIMEOUT_S = 30
CTL = paths.BUILD / "okl4fsctl"
GUEST = json.dumps({"name": "new", "socket": "new.sock", "channels": []})
CHANNEL = json.dumps({"name": "new", "endpoint": {"type": "echo"}})
# Every command that calls a daemon, with arguments
COMMANDS = [["status"], ["guests"], ["guests", "--names"], ["channels"], ["channels", "vm1"],
            ["channel", "vm1/echo"], ["top"], ["--json", "top"], ["events"], ["metrics"],
            ["version"], ["qemu-args", "vm1"], ["attach", "vm1/echo"], ["guest-add", GUEST],
            ["guest-remove", "vm1"], ["channel-add", "vm1", CHANNEL],
            ["channel-remove", "vm1/echo"], ["channel-reset", "vm1/echo"], ["reload"],
            ["log-level"], ["log-level", "info"]]


def run(socket_path, *args) -> subprocess.CompletedProcess:
    """Run okl4fsctl."""
    return subprocess.run([CTL, "-s", socket_path, *args], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)


class Exits(unittest.TestCase):
    """Exit statuses are part of the interface."""

    def test_all_commands_are_tried(self):
        listed = set(re.findall(r"^  ([a-z][a-z-]*)", run("x", "help").stdout, re.M))
        self.assertEqual({[word for word in command if word[0] != "-"][0]
                          for command in COMMANDS}, listed - {"help"})

    def test_no_daemon(self):
        for command in COMMANDS:
            done = run("/nonexistent/control.sock", *command)
            self.assertEqual((done.returncode, done.stdout), (3, ""), command)
            self.assertEqual(done.stderr, "okl4fsctl: no daemon at /nonexistent/control.sock: "
                             "No such file or directory\n")

    def test_a_daemon_that_dies(self):
        """Before it answers, and in the middle of its answer."""
        path = str(scratch_dir() / "control.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            for answer in (b"", b'{"jsonrpc":"2.0","id":1,"result":{"guests":[{"name":'):
                for command in COMMANDS:
                    thread = threading.Thread(target=self.serve, args=(listener, answer))
                    thread.start()
                    done = run(path, *command)
                    thread.join()
                    self.assertEqual((done.returncode, done.stdout), (3, ""), command)
                    self.assertIn("the daemon does not answer: it closed the connection",
                                  done.stderr)

    @staticmethod
    def serve(listener: socket.socket, answer: bytes) -> None:
        """Answer one client with these bytes."""
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(answer)

    def test_usage(self):
        for args in ([], ["nonsense"], ["status", "x"], ["channel"], ["channel", "vm1"],
                     ["events", "-n"], ["events", "-n", "x"], ["guests", "x"], ["status", "--names"],
                     ["log-level", "a", "b"], ["--json", "attach", "vm1/echo"], ["-x", "status"]):
            done = run("/nonexistent/control.sock", *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), args)
            self.assertTrue(done.stderr.strip())

    def test_output_that_cannot_be_written(self):
        with Daemon({"guests": []}) as daemon, open("/dev/full", "wb") as full:
            for command in (["status"], ["metrics"], ["help"], ["top", "-d", "0.1", "-n", "0"]):
                done = subprocess.run([CTL, "-s", daemon.control_path, *command], stdout=full,
                                      stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False)
                self.assertEqual((done.returncode, done.stderr),
                                 (1, b"okl4fsctl: cannot write to stdout\n"), command)


class Events(unittest.TestCase):
    """A daemon whose guests and channels come and go."""

    def setUp(self):
        scratch = scratch_dir()
        self.daemon = Daemon({"guests": [
            guest_config("vm1", scratch / "vm1.sock", {"echo": {"type": "echo"}}),
            guest_config("vm2", scratch / "vm2.sock", {})]}, scratch=scratch)
        self.addCleanup(self.daemon.stop)

    def follow(self, *args: str) -> subprocess.Popen:
        """Run okl4fsctl events and wait until it has subscribed."""
        process = subprocess.Popen([CTL, "-s", self.daemon.control_path, *args],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        # Post events until the program shows one
        deadline = Deadline(TIMEOUT_S)
        while not select.select([process.stdout], [], [], 0.02)[0]:
            self.assertIsNone(process.poll())
            deadline.check("an event")
            self.come_and_go("vm2", "mark")
        return process

    def come_and_go(self, guest: str, channel: str) -> None:
        """Add a channel and remove it: two events."""
        self.daemon.rpc("channel.add", {"guest": guest, "channel": {
            "name": channel, "endpoint": {"type": "echo"}}})
        self.daemon.rpc("channel.remove", {"guest": guest, "channel": channel})

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        """End a program, if it has not ended yet."""
        process.kill()
        process.communicate()

    def line(self, process: subprocess.Popen) -> str:
        """The next line that does not come from follow()."""
        while True:
            ready, _, _ = select.select([process.stdout], [], [], TIMEOUT_S)
            self.assertTrue(ready, "no event came")
            line = b""
            while not line.endswith(b"\n"):
                byte = os.read(process.stdout.fileno(), 1)  # select() cannot see buffered bytes
                self.assertTrue(byte, f"it ended after {line}")
                line += byte
            if b"mark" not in line:
                return line[:-1].decode()

    def test_lines_for_people(self):
        process = self.follow("events")
        self.daemon.rpc("channel.add", {"guest": "vm2", "channel": {
            "name": "new\u001b[2J", "endpoint": {"type": "echo"}}})
        self.assertRegex(self.line(process),
                         r"^\d\d:\d\d:\d\d\.\d{3} vm2/new\\x1b\[2J channel\.added id=0$")
        frontend = Frontend(self.daemon.scratch / "vm1.sock")
        self.addCleanup(frontend.close)
        driver = Driver(frontend.setup(2, 128))
        driver.hello()
        Channel(driver, "echo").attach()
        self.assertRegex(self.line(process), r" vm1 guest\.connected$")
        self.assertRegex(self.line(process), r" vm1 guest\.ready driver_instance=[0-9a-f]{16}$")
        self.assertRegex(self.line(process),
                         r" vm1/echo channel\.attached instance=[0-9a-f]{16} again=false$")
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "echo"})
        lines = [self.line(process), self.line(process)]
        self.assertTrue(any(re.search(
            r'vm1/echo channel\.failed status=CHANNEL_RESET reason="the host has reset', line)
            for line in lines), lines)

    def test_json_and_filters(self):
        process = self.follow("--json", "events", "--guest", "vm2", "channel", "log")
        for guest in ("vm1", "vm2"):
            self.come_and_go(guest, "new")
        kinds = []
        for _ in range(2):
            event = json.loads(self.line(process))
            self.assertEqual((event["guest"], event["channel"]), ("vm2", "new"))
            self.assertLessEqual({"seq", "realtime_us", "monotonic_us"}, set(event))
            kinds.append(event["kind"])
        self.assertEqual(kinds, ["channel.added", "channel.removed"])

    def test_count(self):
        process = self.follow("events", "-n", "1", "channel")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)
        self.assertEqual(process.stdout.read().count(b"\n"), 1)

    def test_a_kind_that_there_is_not(self):
        status, output, errors = self.daemon.ctl("events", "nonsense")
        self.assertEqual((status, output), (1, ""))
        self.assertIn("nonsense", errors)

    def test_the_daemon_dies(self):
        process = self.follow("events")
        self.daemon.kill()
        _, errors = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 3)
        self.assertIn(b"the daemon does not answer", errors)

    def test_whoever_reads_goes(self):
        """It ends at once, not with the next event."""
        process = self.follow("events")
        process.stdout.close()
        self.assertNotEqual(process.wait(timeout=TIMEOUT_S), 0)


if __name__ == "__main__":
    unittest.main()
