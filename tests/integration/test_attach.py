# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl attach: one direction, both, and on a terminal."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from pathlib import Path

from ctl_rig import TIMEOUT_S, Channel, DaemonPerTest, DaemonTest
from vm import paths
from vm.daemon import guest_config
from vm.process import Deadline

LOST = "vm1/host: bytes that the guest wrote are lost"


class Rig(DaemonTest):
    """A guest whose two ends are opened one by one, and attach."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {"host": {
            "ring_bytes": 65536, "endpoint": {"type": "unix-listen", "path": "host.sock"}}})]}

    def setUp(self):
        super().setUp()
        self.guest = self.reader()

    def reader(self) -> Channel:
        """A guest that has the channel open for reading only."""
        guest = Channel(self.driver(), "host").attach()
        guest.rx.phase.value += 1
        guest.ring()
        return guest

    def endpoint(self) -> dict:
        """What `channel.list` says of the endpoint."""
        return self.daemon.rpc("channel.list", {"guest": "vm1"})["channels"][0]["endpoint"]

    def attach(self, *options, before=(), **more) -> subprocess.Popen:
        """Run okl4fsctl attach and wait until it is connected; it ends with the test."""
        self.wait_for(lambda: not self.endpoint()["connected"], "the client to be gone")
        process = subprocess.Popen(
            [*before, paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, "attach", "vm1/host",
             *options], **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                           "stderr": subprocess.PIPE, **more})
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                self.addCleanup(self.close, stream)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for(lambda: self.endpoint()["connected"] or process.poll() is not None,
                      "the client to be there")
        return process

    def open_writer(self) -> None:
        """The guest opens its end for writing."""
        self.guest.tx.phase.value += 1
        self.guest.ring()

    def eof(self) -> None:
        """The guest's reader sees the end and closes."""
        while (phase := self.guest.rx.peer_phase.value) % 2:
            self.guest.sleep_read(phase=phase)
        self.guest.close_reader()

    def ended(self, process: subprocess.Popen, status: int, output: bytes = b"",
              sentence: str = "") -> None:
        """The program ends like this; a sentence of its errors."""
        self.assertEqual((process.stdout.read(), process.wait(TIMEOUT_S)), (output, status))
        errors = process.stderr.read().decode()
        self.assertIn(sentence, errors)
        if not sentence:
            self.assertEqual(errors, "")


class OneWay(Rig):
    """Pipes and files."""

    def test_send_until_all_is_taken(self):
        """It does not end before: neither with stdin, nor with the guest's stream."""
        self.open_writer()
        process = self.attach("--send")
        data = os.urandom(200000)
        threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close())).start()
        self.assertEqual(self.guest.read(199999), data[:-1])
        self.guest.write(b"thanks")
        self.guest.close_writer()
        self.assertEqual(process.stdout.read(6), b"thanks")
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.2)
        self.assertEqual(self.guest.read(1), data[-1:])
        self.eof()
        self.ended(process, 0)

    def test_send_nothing(self):
        process = self.attach("--send")
        process.stdin.close()
        self.eof()
        self.ended(process, 0)

    def test_send_to_a_guest_that_goes(self):
        for all_sent in (True, False):
            with self.subTest(all_sent):
                self.guest.driver.frontend.close()
                self.guest = self.reader()
                process = self.attach("--send")
                process.stdin.write(b"12345")
                process.stdin.flush()
                self.assertEqual(self.guest.read(2), b"12")
                if all_sent:
                    process.stdin.close()
                    while (phase := self.guest.rx.peer_phase.value) % 2:
                        self.guest.sleep_read(phase=phase)
                self.guest.driver.detach(self.guest.id, self.guest.generation)
                self.ended(process, 1, b"",
                           "vm1/host: the connection has ended before the guest had taken everything")

    def test_ends_by_itself_when_the_guest_only_reads(self):
        process = self.attach()
        process.stdin.write(b"12345")
        process.stdin.close()
        self.assertEqual(self.guest.read(5), b"12345")
        self.eof()
        self.ended(process, 0)

    def test_waits_for_a_guest_that_writes(self):
        self.open_writer()
        process = self.attach()
        process.stdin.write(b"question")
        process.stdin.close()
        self.assertEqual(self.guest.read(8), b"question")
        self.eof()
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.2)
        self.guest.write(b"answer")
        self.guest.close_writer()
        self.ended(process, 0, b"answer")

    def test_receive(self):
        """stdin is neither read nor waited for."""
        read, write = os.pipe()
        os.write(write, b"not for the guest")
        data = os.urandom(300000)
        self.open_writer()
        process = self.attach("--receive", stdin=read)
        os.close(read)
        threading.Thread(target=lambda: (self.guest.write(data), self.guest.close_writer())).start()
        self.ended(process, 0, data)
        self.assertEqual(self.guest.rx.peer_cursor.value, 0)
        os.close(write)

    def test_receive_what_is_lost(self):
        """On a unix socket nothing would tell: the connection stays open."""
        self.open_writer()
        process = self.attach("--receive")
        self.guest.write(b"12345")
        self.assertEqual(process.stdout.read(5), b"12345")
        self.guest.tx.cursor.value += self.guest.size + 1
        self.guest.ring()
        self.ended(process, 1, b"", LOST)

    def test_another_is_there(self):
        first = self.attach()
        for option in ("--send", "--receive"):
            self.bad(1, "vm1/host: another client is attached already", "attach", option, "vm1/host")
        self.assertIsNone(first.poll())

    def test_progress(self):
        """A last line in a pipe; a line that changes on a terminal."""
        for stdin in (subprocess.PIPE, None):
            ours, theirs = pty.openpty()
            stderr = subprocess.PIPE if stdin else theirs
            process = self.attach("--send", "--progress", stderr=stderr)
            process.stdin.write(b"x" * 2048)
            process.stdin.flush()
            self.assertEqual(len(self.guest.read(2048)), 2048)
            shown = b""
            if not stdin:
                while b"\r" not in shown:
                    shown += os.read(ours, 1000)
                self.assertRegex(shown.decode(), r"\r +2\.00? KiB +[\d.]+ \w*B/s  0:00:0\d\x1b\[K")
            process.stdin.close()
            self.eof()
            self.assertEqual(process.wait(TIMEOUT_S), 0)
            shown = process.stderr.read() if stdin else os.read(ours, 1000)
            self.assertRegex(shown.decode(), r" +2\.00? KiB +[\d.]+ \w*B/s  0:00:0\d(\x1b\[K\r)?\n$")
            self.guest.rx.phase.value += 1
            os.close(ours)
            os.close(theirs)

    def test_usage(self):
        for options, sentence in ((("--send", "--receive"), "exclude each other"),
                                  (("--escape", "too long"), "--escape must be a character"),
                                  (("--json",), "--json is not possible")):
            self.bad(2, sentence, "attach", "vm1/host", *options)


class WithoutDaemon(DaemonPerTest, Rig):
    """The daemon ends in the middle."""

    def setUp(self):
        DaemonPerTest.setUp(self)
        self.guest = self.reader()

    def test_killed_while_it_receives(self):
        """An end that is not that of the guest's stream is not taken for one."""
        self.open_writer()
        process = self.attach("--receive")
        self.guest.write(b"12345")
        self.assertEqual(process.stdout.read(5), b"12345")
        self.daemon.kill()
        self.ended(process, 3, b"", "vm1/host: the daemon has gone away")

    def test_stopped_while_it_sends(self):
        process = self.attach("--send")
        process.stdin.write(b"12345")
        process.stdin.close()
        self.assertEqual(self.guest.read(5), b"12345")
        self.assertEqual(self.daemon.stop(), 0)
        self.ended(process, 3, b"", "daemon")


class Terminal(Rig):
    """A terminal at both ends."""

    def setUp(self):
        super().setUp()
        self.open_writer()
        self.ours, self.theirs = pty.openpty()
        self.addCleanup(os.close, self.ours)
        self.addCleanup(os.close, self.theirs)
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.theirs)
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        """The window has another size."""
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_raw(self) -> None:
        """Wait until keys are not signals."""
        deadline = Deadline(TIMEOUT_S)
        while termios.tcgetattr(self.theirs)[3] & (termios.ICANON | termios.ISIG):
            deadline.check("the terminal to be raw")

    def console(self, *options, before=()) -> subprocess.Popen:
        """Run it in a session of the terminal; wait until the terminal is the guest's."""
        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that run in the background ignore it

        process = self.attach(*options, before=before, stdin=self.theirs, stdout=self.theirs,
                              stderr=self.theirs, preexec_fn=take_terminal)
        if "--lines" not in options:
            self.wait_raw()
        return process

    def shows(self, what: bytes) -> None:
        """The terminal shows this next."""
        while what not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], TIMEOUT_S)
            self.assertTrue(ready, (what, self.shown))
            self.shown += os.read(self.ours, 1000)
        self.shown = self.shown[self.shown.index(what) + len(what):]

    def is_restored(self) -> None:
        """The terminal is as it was."""
        self.assertEqual(termios.tcgetattr(self.theirs), self.before)

    def test_keys_and_escape(self):
        process = self.console()
        self.shows(b"Connected to vm1/host (escape: ^])\r\n")
        os.write(self.ours, b"\x03\x1a\x1c\x11\x13\r\x1b")
        self.assertEqual(self.guest.read(7), b"\x03\x1a\x1c\x11\x13\r\x1b")
        self.guest.write(b"\x1b[31mred\n\x1b[?2047h\x1b")
        self.shows(b"\x1b[31mred\n\x1b[?2047h\x1b")
        os.write(self.ours, b"last\x1dunsent")
        self.assertEqual(self.guest.read(4), b"last")
        self.shows(b"\r\nDisconnected.\r\n")
        self.assertEqual(process.wait(TIMEOUT_S), 0)
        self.is_restored()

    def test_other_escapes(self):
        for option, key, shown in (("^a", b"\x01", b"^a"), ("~", b"~", b"~")):
            process = self.console("--escape", option)
            self.shows(b"(escape: " + shown + b")")
            os.write(self.ours, b"\x1d" + key)
            self.assertEqual(self.guest.read(1), b"\x1d")
            self.assertEqual(process.wait(TIMEOUT_S), 0)
        process = self.console("--escape", "none")
        os.write(self.ours, b"\x1d~")
        self.assertEqual(self.guest.read(2), b"\x1d~")
        self.guest.close_writer()
        self.shows(b"Disconnected: the guest has closed the channel")
        self.assertEqual(process.wait(TIMEOUT_S), 0)
        self.is_restored()

    def test_size(self):
        """It is told only as long as the guest wants to know it; the request is not shown."""
        process = self.console()
        self.shows(b"\r\n")
        self.resize(30, 90)
        os.write(self.ours, b"a")
        self.assertEqual(self.guest.read(1), b"a")
        self.guest.write(b"1\x1b[?20")
        self.shows(b"1")
        self.guest.write(b"48h")
        first = b"\x1b[48;30;90;0;0t"
        self.assertEqual(self.guest.read(len(first)), first)
        self.guest.write(b"2")
        self.shows(b"2")
        self.resize(40, 132)
        second = b"\x1b[48;40;132;0;0t"
        self.assertEqual(self.guest.read(len(second)), second)
        self.guest.write(b"\x1b[?2048l3")
        self.shows(b"3")
        self.resize(24, 80)
        os.write(self.ours, b"b")
        self.assertEqual(self.guest.read(1), b"b")
        self.assertIsNone(process.poll())

    def test_signals(self):
        """The terminal is restored when a signal ends or stops it."""
        process = self.console(before=["sh", "-mc", '"$@"; echo stopped; fg; echo status $?', "sh"])
        for number in (signal.SIGTSTP, signal.SIGTERM):
            pid, = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(
                encoding="ascii").split()
            os.kill(int(pid), number)
            if number == signal.SIGTSTP:
                self.shows(b"stopped")
                self.wait_raw()
        self.shows(f"status {128 + signal.SIGTERM}".encode())
        self.is_restored()
        self.assertEqual(process.wait(TIMEOUT_S), 0)
        process = self.console()
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGHUP)
        self.is_restored()

    def test_lines(self):
        process = self.console("--lines")
        os.write(self.ours, b"one\n")
        self.assertEqual(self.guest.read(4), b"one\n")
        self.is_restored()
        os.write(self.ours, b"\x03")
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGINT)
