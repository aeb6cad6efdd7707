# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl events; and what each command does without a daemon, or when the daemon dies."""
import grp
import json
import os
import pwd
import re
import select
import socket
import subprocess
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ctl_rig import TIMEOUT_S, DaemonPerTest, one_answer, run
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir

NOWHERE = "/nonexistent/control.sock"
GUEST = json.dumps({"name": "new", "socket": "new.sock", "channels": []})
CHANNEL = json.dumps({"name": "new", "endpoint": {"type": "echo"}})
# Every command that calls a daemon, with arguments
COMMANDS = [["status"], ["guests"], ["guests", "--names"], ["channels"], ["channels", "vm1"],
            ["channel", "vm1/echo"], ["top"], ["--json", "top"], ["events"], ["metrics"],
            ["version"], ["qemu-args", "vm1"], ["attach", "vm1/echo"], ["guest-add", GUEST],
            ["guest-remove", "vm1"], ["channel-add", "vm1", CHANNEL],
            ["channel-remove", "vm1/echo"], ["channel-reset", "vm1/echo"], ["reload"],
            ["config", "show"], ["config", "save"], ["guest-remove", "--save", "vm1"],
            ["log-level"], ["log-level", "info"]]


class Exits(unittest.TestCase):
    """Exit statuses are part of the interface."""

    def ends(self, status: int, error: str, path, *args, **more) -> None:
        """okl4fsctl ends with this status and error, and prints nothing."""
        done = run("okl4fsctl", "-s", path, *args, **more)
        self.assertEqual((done.returncode, done.stdout or ""), (status, ""), args)
        self.assertIn(error, done.stderr, args)

    def test_all_commands_are_tried(self):
        listed = set(re.findall(r"^  ([a-z][a-z-]*)", run("okl4fsctl", "help").stdout, re.M))
        self.assertEqual({[word for word in command if word[0] != "-"][0]
                          for command in COMMANDS}, listed - {"help", "setup", "doctor"})

    def test_doctor_and_setup_without_a_daemon(self):
        """They say that there is none, and what to do; only doctor's status tells that something fails."""
        for command, status, words in ((["doctor"], 1, f"FAIL  daemon: no daemon at {NOWHERE}"),
                                       (["setup", "vm1"], 0, "[ ] 2. On the host: the daemon okl4fsd runs")):
            done = run("okl4fsctl", "-s", NOWHERE, *command)
            self.assertEqual((done.returncode, done.stderr), (status, ""))
            self.assertIn(words, done.stdout)
            self.assertIn("start okl4fsd --config FILE", done.stdout)

    def test_no_daemon(self):
        for command in COMMANDS:
            if command != ["version"]:
                self.ends(3, f"okl4fsctl: no daemon at {NOWHERE}: No such file or directory\n",
                          NOWHERE, *command)
        done = run("okl4fsctl", "-s", NOWHERE, "version")
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stdout, r"^okl4fsctl \d+\.\d+\.\d+\n$")
        self.assertIn(f"okl4fsctl: no daemon at {NOWHERE}", done.stderr)

    def test_no_daemon_and_the_way_out(self):
        """It names what to look at: the unit of the socket, or how a user gets the right."""
        for path, way_out in (
                ("/run/okl4fs/nobody-has-this/control.sock",
                 "see: systemctl status okl4fsd@nobody-has-this; "
                 "journalctl -u okl4fsd@nobody-has-this\n"),
                (NOWHERE, "is that the control socket of a daemon that runs?")):
            self.ends(3, way_out, path, "status")
        if not Path("/run/okl4fs/control.sock").exists():
            self.ends(3, "see: systemctl status okl4fsd; journalctl -u okl4fsd\n",
                      "/run/okl4fs/control.sock", "status")

    @unittest.skipIf(os.getuid(), "only root can be another user")
    def test_no_right_to_connect(self):
        scratch = scratch_dir()
        path, user = scratch / "control.sock", pwd.getpwnam("nobody")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            scratch.chmod(0o755)
            games = grp.getgrnam("games").gr_gid
            for gid, mode, folder_mode, sentence in (
                    (games, 0o660, 0o755, "members of the group games can connect: sudo adduser "
                     "nobody games, then log in again\n"),
                    (games, 0o600, 0o755, "say which users can connect: ls -l "),
                    (0, 0o660, 0o755, "say which users can connect: ls -l "),
                    (user.pw_gid, 0o660, 0o755, "user nobody is in the group nogroup, but this "
                     "session began before: log in again, or run: newgrp nogroup\n"),
                    (games, 0o666, 0o700, "say which users can connect: ls -l ")):
                os.chown(path, 0, gid)
                path.chmod(mode)
                scratch.chmod(folder_mode)
                with self.subTest(sentence):
                    self.ends(3, f"may not connect to the daemon at {path}: Permission denied\n",
                              path, "status", user="nobody", group=games + 1, extra_groups=[])
                    self.ends(3, sentence, path, "status", user="nobody", group=games + 1,
                              extra_groups=[])
        if not Path("/run/okl4fs/control.sock").exists():
            done = run("okl4fsctl", "status", env={**os.environ, "XDG_RUNTIME_DIR": "/nonexistent"})
            self.assertEqual((done.returncode, done.stdout), (3, ""))
            self.assertIn("no daemon at", done.stderr)

    def test_a_daemon_that_dies(self):
        """Before it answers, and in the middle of its answer."""
        path = scratch_dir() / "control.sock"
        for answer in (b"", b'{"jsonrpc":"2.0","id":1,"result":{"guests":[{"name":'):
            for command in COMMANDS:
                if command == ["version"]:
                    continue  # it prints its own version all the same
                with one_answer(path, lambda _, answer=answer: answer):
                    self.ends(3, "the daemon does not answer: it closed the connection", path,
                              *command)

    def test_answers_that_a_daemon_would_not_give(self):
        path = scratch_dir() / "control.sock"
        for answer in (b"no json\n", b"{}\n", b"[]\n"):
            with one_answer(path, lambda _, answer=answer: answer):
                self.ends(1, "okl4fsctl: ", path, "status")

    def test_usage(self):
        for args, error in (
                ([], "usage: okl4fsctl"),
                (["nonsense"], 'there is no command "nonsense"; see okl4fsctl help\n'),
                (["chanels"], 'there is no command "chanels"; did you mean channels? See okl4fsctl help\n'),
                (["help", "sttaus"], 'there is no command "sttaus"; did you mean status?'),
                (["status", "x"], "status: too many arguments"),
                (["guests", "x"], "guests: too many arguments"),
                (["log-level", "a", "b"], "log-level: too many arguments"),
                (["channel"], "channel: an argument is missing; see okl4fsctl help channel\n"),
                (["channel-add", "vm1"], "channel-add: an argument is missing"),
                (["channel-add", "vm1", "{"], "the argument is not JSON: byte 2"),
                (["channel", "vm1"], "channel: expected GUEST/CHANNEL"),
                (["channel-remove", "vm1"], "channel-remove: expected GUEST/CHANNEL"),
                (["attach", "vm1"], "attach: expected GUEST/CHANNEL"),
                (["attach", "/host"], "attach: expected GUEST/CHANNEL"),
                (["--json", "attach", "vm1/echo"], "attach: --json is not possible"),
                (["events", "-n"], "events: option -n needs a value; see okl4fsctl help events\n"),
                (["top", "-d.5", "-xn5"], "top: there is no option -x; see okl4fsctl help top\n"),
                (["top", "-hn"], "top: option -n needs a value;"),
                (["top", "--sort"], "top: option --sort needs a value;"),
                (["top", "-n5x"], 'top: --count must be a number, not "5x"'),
                (["top", "--json=1"], "top: option --json takes no value; see okl4fsctl help top\n"),
                (["events", "-n", "x"], "--count must be a number"),
                (["-s"], "okl4fsctl: option -s needs a value; see okl4fsctl help\n"),
                (["-x", "status"], "okl4fsctl: there is no option -x; see okl4fsctl help\n"),
                (["--jsno", "status"], "there is no option --jsno (did you mean --json?); see okl4fsctl help\n"),
                (["status", "--names"], "status: there is no option --names; see okl4fsctl help status\n")):
            self.ends(2, error, NOWHERE, *args)
        for args in ("help", "--help"):
            self.assertIn("usage: okl4fsctl [-s", run("okl4fsctl", args).stdout)

    def test_help(self):
        """Each command has a help of its own, which fits a terminal; the overview fits one, too."""
        overview = run("okl4fsctl", "help").stdout
        for command in re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)*)(?: |$)", overview, re.M):
            words = command.split()
            done = run("okl4fsctl", "help", *words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, rf"^usage: okl4fsctl {command}\b.*\n(.*\n)*\n{command}: ")
            self.assertRegex(done.stdout, "-s(, --socket)? SOCKET")
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80, done.stdout)
            for args in ([*words, "--help"], ["--help", *words], [*words, "-h", "x", "y"]):
                self.assertEqual(run("okl4fsctl", *args).stdout, done.stdout)
        self.assertLessEqual(max(map(len, overview.splitlines())), 80)

    def test_version_of_the_program(self):
        """It does not ask the daemon."""
        for option in ("-V", "--version"):
            done = run("okl4fsctl", "-s", NOWHERE, option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^okl4fsctl \d+\.\d+\.\d+\n$")

    def test_output_that_cannot_be_written(self):
        with Daemon({"guests": []}) as daemon, open("/dev/full", "wb") as full:
            for command in (["status"], ["metrics"], ["help"], ["top", "-d", "0.1", "-n", "0"]):
                self.ends(1, "okl4fsctl: cannot write to stdout\n", daemon.control_path, *command,
                          stdout=full)


class Events(DaemonPerTest):
    """A daemon whose guests and channels come and go."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {"echo": {"type": "echo"}}),
                           guest_config("vm2", "vm2.sock", {})]}

    def follow(self, *args: str) -> subprocess.Popen:
        """Run okl4fsctl events and wait until it has subscribed."""
        process = self.start(*args)
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
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d "
                         r"vm2/new\\x1b\[2J channel\.added id=0$")
        self.channel("echo")
        self.assertRegex(self.line(process), r" vm1 guest\.connected$")
        self.assertRegex(self.line(process), r" vm1 guest\.ready driver_instance=[0-9a-f]{16}$")
        self.assertRegex(self.line(process),
                         r" vm1/echo channel\.attached instance=[0-9a-f]{16} again=false$")
        self.assertRegex(self.line(process),
                         r" vm1/echo channel\.opened end=both guest_opener=null unreported=0$")
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "echo"})
        lines = [self.line(process), self.line(process)]
        self.assertTrue(any(re.search(
            r'vm1/echo channel\.failed status=CHANNEL_RESET reason="the host has reset', line)
            for line in lines), lines)

    def test_json_and_filters(self):
        process = self.follow("--json", "events", "--guest", "vm2", "channel", "log")
        self.driver("vm2")  # events of other kinds
        for guest in ("vm1", "vm2"):
            self.come_and_go(guest, "new")
        kinds = []
        for _ in range(2):
            event = json.loads(self.line(process))
            self.assertEqual((event["guest"], event["channel"]), ("vm2", "new"))
            self.assertLessEqual({"seq", "realtime_us", "monotonic_us"}, set(event))
            kinds.append(event["kind"])
        self.assertEqual(kinds, ["channel.added", "channel.removed"])

    def past(self, *args: str, zone: str = "Asia/Kolkata") -> list[str]:
        """The kinds of the events that are there already, without the guest of a mark."""
        done = run("okl4fsctl", "-s", self.daemon.control_path, "events", "--no-follow", *args,
                   env={**os.environ, "TZ": zone})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_since(self):
        """What has happened before, from a time on; then what happens."""
        self.come_and_go("vm1", "new")
        lines = self.past()
        self.assertEqual([line.split()[1:3] for line in lines],
                         [["vm1/new", "channel.added"], ["vm1/new", "channel.removed"]])
        self.assertEqual(self.past("channel.removed", "-g", "vm1"), lines[1:])
        self.assertEqual(self.past("--guest=vm2"), [])
        self.assertEqual(self.past("-n1"), lines[:1])
        when = datetime.fromisoformat(lines[0].split()[0])
        self.assertEqual(when.utcoffset(), timedelta(hours=5, minutes=30))
        self.assertLess(abs(datetime.now(timezone.utc) - when), timedelta(seconds=TIMEOUT_S))
        utc = when.astimezone(timezone.utc)
        for text, there in (
                ("10m", True), ("1d", True), ("1h30m", True), ("0s", False), ("start", True),
                ("2000-01-02", True), ("2000-01-02 10:00", True),
                (f"{when:%Y-%m-%dT%H:%M:%S}", True), (f"{when:%Y-%m-%d %H:%M}", True),
                (f"{when + timedelta(minutes=5):%Y-%m-%d %H:%M:%S}", False),
                (f"{utc:%Y-%m-%dT%H:%M:%S}Z", True), (f"{utc + timedelta(hours=1):%Y-%m-%dT%H:%M}Z", False),
                ("2100-01-01", False)):
            with self.subTest(text):
                self.assertEqual(self.past("--since", text), lines if there else [])
        for text in ("", "10", "10x", "-5m", "2026-13-01", "yesterday", "99999999999d", "10m "):
            self.bad(2, "events: --since must be a time such as 10m", "events", "--since", text)
        process = self.start("--json", "events", "--since", "start", "-n", "3", text=True)
        seen = [json.loads(process.stdout.readline())["kind"] for _ in range(2)]
        self.daemon.rpc("log.set", {"level": "info"})
        seen.append(json.loads(process.stdout.readline())["kind"])
        self.assertEqual(seen, ["channel.added", "channel.removed", "log.changed"])
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)

    def test_events_that_are_gone(self):
        """A client that asks for more than was kept is told so."""
        for _ in range(1030):
            self.daemon.rpc("log.set", {"level": "info"})
        status, output, errors = self.daemon.ctl("events", "--no-follow")
        self.assertEqual((status, len(output.splitlines())), (0, 1024))
        self.assertIn("the daemon has kept only its last events; older ones are missing", errors)
        self.assertEqual(self.daemon.ctl("events", "--no-follow", "--since=0s")[2], "")

    def test_list(self):
        """Each kind with a line; no daemon is asked."""
        lines = run("okl4fsctl", "-s", NOWHERE, "events", "--list").stdout.splitlines()
        self.assertIn("  guest.ready             its driver has said hello", lines)
        self.assertIn("\n".join(lines), run("okl4fsctl", "help", "events").stdout)

    def test_count(self):
        process = self.follow("events", "-n", "1", "channel")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)
        self.assertEqual(process.stdout.read().count(b"\n"), 1)

    def test_a_kind_that_there_is_not(self):
        self.bad(1, "nonsense", "events", "nonsense")

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
