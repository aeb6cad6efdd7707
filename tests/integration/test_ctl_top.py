# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl top on a terminal, which it restores at the end, and without a terminal."""
import json
import os
import re
import signal
import sys
import threading

from ctl_rig import DaemonPerTest, cpu_ns_of_a_while
from vm import paths
from vm.daemon import guest_config
from vm.process import Deadline

from terminal import TIMEOUT_S, Terminal, width

RING_BYTES = 65536
ENTER, LEAVE = "\033[?1049h", "\033[?1049l"
LONG = "a channel whose name is as long as a name can be " + "x" * 14
HOSTILE = "clear\u001b[2J\u0007"
# Run a program as a job, and continue it when it stops
SHELL = """
import os, signal, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
before = termios.tcgetattr(0)
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
status = os.waitpid(pid, os.WUNTRACED)[1]
os.tcsetpgrp(0, os.getpgrp())
print("stopped:", os.WIFSTOPPED(status), termios.tcgetattr(0) == before, flush=True)
os.tcsetpgrp(0, pid)
os.killpg(pid, signal.SIGCONT)
print("ended:", os.waitpid(pid, 0)[1], flush=True)
"""
WIDE = "\u6f22\u5b57" * 10


class Top(DaemonPerTest):
    """A daemon with a guest whose channel `echo` is busy if a test wants that."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {
            "echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}},
            LONG: {"type": "discard"}, HOSTILE: {"type": "discard"}, WIDE: {"type": "discard"},
            "quiet": {"type": "discard"}})]}

    def setUp(self):
        super().setUp()
        self.stopping = threading.Event()

    def argv(self, *args: str) -> list[str]:
        """A command line."""
        return [str(paths.BUILD / "okl4fsctl"), "-s", self.daemon.control_path, *args]

    def terminal(self, *args: str, **how) -> Terminal:
        """Run top on a terminal."""
        terminal = Terminal(self.argv("top", "-d", "0.1", *args), **how)
        self.addCleanup(terminal.close)
        return terminal

    def traffic(self) -> None:
        """Send bytes through `echo` until the test ends."""
        channel = self.channel("echo")
        data = os.urandom(10000)
        channel.echo(data)

        def run() -> None:
            try:
                while not self.stopping.is_set():
                    channel.echo(data)
            except TimeoutError:
                pass  # the test has killed the daemon
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.stopping.set)

    # Without a terminal

    def test_plain_output_is_a_table_and_the_end(self):
        self.traffic()
        status, output, errors = self.daemon.ctl("top", "-d", "0.2")
        self.assertEqual((status, errors), (0, ""))
        lines = output.splitlines()
        self.assertEqual(len(lines), 6)
        self.assertRegex(lines[0], r"^CHANNEL +STATE +TO HOST RING +TO GUEST RING +FULL EMPTY$")
        self.assertRegex(lines[1], r"^vm1/echo +attached +[1-9][\d.]* [KMG]?i?B/s ")
        self.assertRegex(lines[5], r"^vm1/quiet +detached +0 B/s ")
        self.assertLessEqual(max(map(width, lines)), 80)
        self.assertNotIn("\033", output)
        self.assertNotIn("\a", output)

    def test_count_and_sort(self):
        self.traffic()
        output = self.daemon.ctl("top", "-d", "0.1", "-n", "3")[1].splitlines()
        self.assertEqual(len(output), 18)
        first = [line.split()[0] for line in
                 self.daemon.ctl("top", "-d", "0.1", "--sort", "name")[1].splitlines()[1:]]
        self.assertEqual(first[1:3], ["vm1/clear\\x1b[2J\\x07", "vm1/echo"])
        rate = self.daemon.ctl("top", "-d", "0.2", "-k", "rate")[1].splitlines()
        self.assertTrue(rate[1].startswith("vm1/echo "))
        backwards = [line.split()[0] for line in
                     self.daemon.ctl("top", "-d.1", "-rk", "name")[1].splitlines()[1:]]
        self.assertEqual(backwards, first[::-1])
        self.assertEqual(len(self.daemon.ctl("top", "-d", "0.1", "vm1")[1].splitlines()), 6)
        self.assertEqual(self.daemon.ctl("top", "-d", "0.1", "vm2")[0], 1)

    def test_json_has_the_rates(self):
        self.traffic()
        before = self.daemon.rpc("channel.list")["channels"][0]["fwd"]["bytes"]
        status, output, _ = self.daemon.ctl("--json", "top", "-d", "0.3", "-n", "2")
        after = self.daemon.rpc("channel.list")["channels"][0]["fwd"]["bytes"]
        self.assertEqual(status, 0)
        moved = 0
        for line in output.splitlines():
            sample = json.loads(line)
            self.assertTrue(sample["same_daemon"])
            self.assertGreaterEqual(sample["interval_ms"], 299)
            echo = sample["channels"][0]
            self.assertEqual((echo["guest"], echo["name"], echo["state"], echo["ring_bytes"]),
                             ("vm1", "echo", "attached", RING_BYTES))
            self.assertEqual(sample["channels"][2]["name"], HOSTILE)
            self.assertGreater(echo["fwd"]["wakes_received_per_s"], 0)
            moved += echo["fwd"]["bytes_per_s"] * sample["interval_ms"] / 1000
            self.assertLessEqual(echo["bwd"]["fill_bytes"], RING_BYTES)
        self.assertGreater(moved, 0)
        self.assertLessEqual(moved, 1.02 * (after - before))

    def test_arguments(self):
        for args, sentence in ((["-d", "0.05"], "--delay must be 0.1 to 86400 seconds"),
                               (["-d", "nan"], "--delay must be"), (["-d", "1s"], "--delay must be"),
                               (["-n", "-1"], "--count must be a number"),
                               (["-n", ""], "--count must be a number"),
                               (["-k", "size"], "--sort must be one of list, name, rate"),
                               (["vm1", "vm2"], "too many arguments"),
                               (["--width", "3"], "there is no option --width"), (["-d"], "needs a value")):
            with self.subTest(args=args):
                self.bad(2, sentence, "top", *args)

    def test_the_daemon_goes(self):
        process = self.start("--json", "top", "-d", "0.1", "-n", "0", text=True)
        process.stdout.readline()
        self.daemon.kill()
        _, errors = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 3)
        self.assertRegex(errors, "no daemon at|does not answer")

    # On a terminal

    def test_terminal(self):
        self.traffic()
        top = self.terminal()
        top.read_until(re.escape(ENTER))
        first = top.frame(0)
        self.assertRegex(first[0], rf"^okl4fsd \S+, process {self.daemon.pid}, by list, every 0.1 s; ")
        self.assertRegex(first[3], r"^vm1/echo +attached +- ")
        lines = top.frame()
        self.assertRegex(lines[1], r"^total: 1 of 5 attached; to host [1-9][\d.]* [KMG]?i?B/s, to guest [1-9]")
        self.assertRegex(lines[3], r"^vm1/echo +attached +[1-9]")
        self.assertRegex(lines[-1], r"^1-5 of 5  q quit  \? help  / filter ")
        self.assertFalse(top.is_as_it_was())
        for line in lines:
            self.assertLessEqual(width(line), 80, line)
        self.assertEqual(len(lines), 9)
        self.assertTrue(any(line.startswith("vm1/clear\\x1b[2J\\x") for line in lines), lines)
        top.key("xr")  # a key without a meaning, then an order
        top.read_until(r"by rate")
        self.assertEqual(top.quit(), 0)
        self.assertTrue(top.text.endswith(LEAVE))
        self.assertTrue(top.is_as_it_was())

    def test_size(self):
        top = self.terminal(columns=40, rows=6)
        lines = top.frame()
        self.assertEqual(len(lines), 6)
        self.assertTrue(lines[-1].startswith("1-2 of 5  q quit"))
        self.assertLessEqual(max(map(width, lines)), 40)
        since = len(top.text)
        top.resize(150, 40)
        deadline = Deadline(TIMEOUT_S)
        while len(lines := top.frame(since)) != 9 or width(lines[2]) <= 80:
            since = len(top.text)
            deadline.check("a larger picture")
        self.assertLessEqual(max(map(width, lines)), 150)
        self.assertIn("vm1/" + LONG, "\n".join(lines))  # as a whole, and the whole width is used
        self.assertEqual({width(line) for line in lines[2:-1]}, {150})
        since = len(top.text)
        top.resize(250, 40)
        top.read_until(r"MSG>HOST MSG>GUEST +IN>HOST +IN>GUEST +RING SIZE +WOKEN +WAKES", since)
        top.resize(1, 1)
        self.assertLessEqual(max(map(width, top.frame())), 150)
        self.assertEqual(top.quit(), 0)

    def pressed(self, top: Terminal, keys: str, pattern: str) -> list[str]:
        """Press keys and wait until a picture has a line that matches; return the picture."""
        since, deadline = len(top.text), Deadline(TIMEOUT_S)
        top.key(keys)
        while True:
            lines = top.frame(since)
            if re.search(pattern, "\n".join(lines), re.M):
                return lines
            deadline.check(f"{pattern} after {keys!r}: {lines}")
            since = top.text.index("\033[J", since) + 3

    def test_keys(self):
        top = self.terminal("-d", "60", rows=7)  # room for three channels; each picture is a key's
        top.frame(0)
        self.assertTrue(self.pressed(top, "\x1b[B", "^2-4 of 5")[3].startswith("vm1/a "))
        self.pressed(top, "\x1b[6~", "^3-5 of 5")
        self.pressed(top, "\x1bOA", "^2-4 of 5")
        self.pressed(top, "\x1b[H", "^1-3 of 5")
        self.assertTrue(self.pressed(top, "\x1b[F", "^3-5 of 5")[5].startswith("vm1/quiet "))
        self.pressed(top, "\x1b[5~", "^1-3 of 5")
        self.pressed(top, "\x1b[99zn", ", by name, every")  # a sequence without a meaning, then a key
        self.assertTrue(self.pressed(top, "R", ", by name reversed,")[3].startswith("vm1/\u6f22"))
        self.pressed(top, "?", "^Keys; press any key to go back")
        self.pressed(top, "x", "^1-3 of 5")
        self.pressed(top, "Rl/QUX", "^/QUX_ ")
        self.pressed(top, "\x7fI\x7f", "^/QU_ ")
        lines = self.pressed(top, "\n", '^1-1 of 1 with "QU"')
        self.assertTrue(lines[3].startswith("vm1/quiet "))
        self.assertRegex(lines[1], "^total: 0 of 1 attached")
        self.pressed(top, "\x1b", "^1-3 of 5")
        self.pressed(top, "/zzz", "^/zzz_ ")
        self.pressed(top, "\x1b", "^1-3 of 5")
        self.assertEqual(top.quit(), 0)

    def test_names_are_cut_in_the_middle(self):
        line = next(line for line in self.terminal().frame(0) if line.startswith("vm1/a "))
        self.assertRegex(line, r"^vm1/a chan\S*\.\.\.x+ ")

    def test_signals_that_end_it(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number):
                top = self.terminal()
                top.frame()
                top.process.send_signal(number)
                self.assertEqual(top.end(), -number)
                self.assertTrue(top.text.endswith(LEAVE))
                self.assertTrue(top.is_as_it_was())

    def test_it_is_stopped_and_goes_on(self):
        """Stopped by the key, under a program that behaves like a shell with jobs."""
        top = Terminal([sys.executable, "-c", SHELL, *self.argv("top", "-d", "0.1")])
        self.addCleanup(top.close)
        top.frame()
        since = len(top.text)
        top.key("\x1a")
        top.read_until(re.escape(LEAVE) + "stopped: True True\r\n.*" + re.escape(ENTER), since)
        top.frame()
        top.key("q")
        top.read_until("ended: 0")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.is_as_it_was())

    def test_a_daemon_that_is_restarted_shows_no_nonsense(self):
        self.traffic()
        top = self.terminal()
        top.read_until(r"vm1/echo +attached +[1-9]")
        self.stopping.set()
        self.daemon.kill()
        top.read_until(r"no daemon at [^\r]*; trying again")
        self.daemon.start()
        since = len(top.text)
        top.read_until(rf"process {self.daemon.pid},", since)
        top.frame()
        seen = [line for line in top.text[since:].split("\r\n") if line.startswith("vm1/echo")]
        for line in seen:  # of the new daemon: no rate first, then a rate of zero
            self.assertRegex(line, r"^vm1/echo +(attached +[-\d]|detached +(-|0 B/s))")
        self.assertNotRegex("".join(seen), r"detached +[1-9]")
        self.assertEqual(top.quit(), 0)

    def test_ends_by_itself(self):
        top = self.terminal("-n", "2")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.is_as_it_was())

    def test_a_terminal_that_cannot_be_drawn_on(self):
        for env in ({"TERM": "dumb"}, {"TERM": ""}):
            top = self.terminal(env=env)
            self.assertEqual(top.end(), 0)
            self.assertNotIn("\033", top.text)
            self.assertEqual(len(top.text.splitlines()), 6)
        top = self.terminal(env={"LANG": "C"})
        self.assertIn(".....", "\n".join(top.frame()))

    def test_no_daemon_from_the_start(self):
        self.daemon.kill()
        top = self.terminal()
        self.assertEqual(top.end(), 3)
        self.assertEqual(top.text, "")

    def test_idle_in_between(self):
        """It sleeps between updates."""
        top = Terminal(self.argv("top", "-d", "3600"))
        self.addCleanup(top.close)
        top.frame(0)
        self.assertLess(cpu_ns_of_a_while(top.process.pid, top.master), 20_000_000)
        self.assertEqual(top.quit(), 0)
