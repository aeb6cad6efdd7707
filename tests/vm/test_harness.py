# SPDX-License-Identifier: BSD-3-Clause
"""The tools that the guest tests rely on: if these report wrong results, every other test is worthless."""
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import unittest
from pathlib import Path

from vm import CommandFailed, Guest, GuestError, QmpError, Timeout, remove_scratch, scratch_dir
from vm import qemu
from vm.guest import QEMU_RACE

TIMEOUT_S = 300


def vm(*args, **options) -> subprocess.CompletedProcess:
    """Run `./dev vm`'s program."""
    return subprocess.run([sys.executable, "-m", "vm", *args], capture_output=True, timeout=120,
                          check=False, **options)


class BareGuest(unittest.TestCase):
    """One guest without our device."""

    @classmethod
    def setUpClass(cls):
        cls.guest = Guest(driver=False, smp=2)
        cls.addClassCleanup(cls.guest.stop)

    def test_status_and_output(self):
        self.assertEqual(self.guest.run("echo out; echo err >&2; exit 7"), (7, "out\nerr\n"))
        self.assertEqual(self.guest.run("kill -TERM $$"), (128 + signal.SIGTERM, ""))
        self.assertEqual(self.guest.run("no-such-program 2>/dev/null")[0], 127)

    def test_check_raises(self):
        with self.assertRaises(CommandFailed):
            self.guest.check("false")

    def test_output_is_exact(self):
        every_byte = bytes(range(256)) * 4000
        seen = bytearray()
        handle = self.guest.spawn("cat", stdin=True, on_output=seen.extend)
        handle.write(every_byte)
        handle.close_input()
        self.assertEqual(handle.wait(60)[0], 0)
        self.assertEqual(bytes(seen), every_byte)

    def test_writer_without_reader_gets_sigpipe(self):
        self.assertEqual(self.guest.check("{ yes; echo $? >&2; } | head -n 1"),
                         f"y\n{128 + signal.SIGPIPE}\n")

    def test_commands_side_by_side(self):
        first = self.guest.spawn("read line; echo first $line", stdin=True)
        second = self.guest.spawn("echo ready; read line; echo second $line", stdin=True)
        second.wait_output("ready", 30)
        second.write(b"b\n")
        self.assertEqual(second.wait(30), (0, "ready\nsecond b\n"))
        first.write(b"a\n")
        self.assertEqual(first.wait(30), (0, "first a\n"))

    def test_child_left_behind_does_not_hold_its_parent(self):
        self.assertEqual(self.guest.run("sleep 1000 & echo done", timeout=30), (0, "done\n"))
        self.guest.check("killall sleep")

    def test_slow_command_is_killed(self):
        with self.assertRaisesRegex(Timeout, "exec sleep 1001"):
            self.guest.run("exec sleep 1001", timeout=0.5)
        self.assertEqual(self.guest.run("pidof sleep", timeout=30)[0], 1)

    def test_terminal(self):
        handle = self.guest.spawn("stty -echo; tty; read line; echo got $line", tty=True)
        handle.wait_output("/dev/pts/", 30)
        handle.write(b"text\n")
        self.assertIn("got text\r\n", handle.wait(30)[1])

    def test_qmp(self):
        self.assertEqual(self.guest.qmp("query-status")["status"], "running")
        with self.assertRaises(QmpError):
            self.guest.qmp("no-such-command")


class Lives(unittest.TestCase):
    """Guests that end or restart."""

    def test_reset_and_reboot(self):
        with Guest(driver=False) as guest:
            for again in (guest.reset, guest.reboot):
                waiting = guest.spawn("touch /tmp/mark; echo marked; exec sleep 1000")
                waiting.wait_output("marked", 30)
                again()
                with self.assertRaisesRegex(Timeout, "reset"):
                    waiting.wait(1)
                self.assertEqual(guest.run("ls /tmp/mark 2>/dev/null")[0], 1)

    def test_greeted_twice_at_boot(self):
        """As when the kernel that the first greeting was meant for never came so far."""
        with Guest(driver=False, wait=False) as guest:
            # pylint: disable=protected-access
            guest._agent.synchronise()
            guest._may_start_over = False
            guest.wait_ready()
            self.assertEqual(guest.run("echo here", 30), (0, "here\n"))

    def test_panic_is_noticed(self):
        with Guest(driver=False) as guest:
            with self.assertRaisesRegex(GuestError, "sysrq triggered crash"):
                guest.run("echo c > /proc/sysrq-trigger", timeout=60)

    def test_power_off_and_kill(self):
        with Guest(driver=False) as guest:
            guest.power_off()
            self.assertFalse(guest.running())
        with Guest(driver=False) as guest:
            waiting = guest.spawn("exec sleep 1000")
            guest.kill()
            with self.assertRaisesRegex(Timeout, "QEMU is gone"):
                waiting.wait(10)

    def test_qemu_that_does_not_start(self):
        with self.assertRaisesRegex(GuestError, "no-such-device"):
            Guest(driver=False, qemu_args=["-device", "no-such-device"])


    def once(self, said: str) -> list[str]:
        """A QEMU that says something and fails, and the next time starts."""
        scratch = scratch_dir()
        self.addCleanup(remove_scratch, scratch)
        script = f'mkdir {scratch}/x || exec "$@"; echo {shlex.quote(said)} >&2; exit 1'
        return ["/bin/sh", "-c", script, "sh", *qemu.installed()]

    def test_qemu_that_aborts_at_boot(self):
        """It is started once more if its fault is known, and only then."""
        with Guest(driver=False, program=self.once(QEMU_RACE), accel="tcg") as guest:
            self.assertEqual(guest.run("echo here", 30), (0, "here\n"))
        with self.assertRaisesRegex(GuestError, "another fault"):
            Guest(driver=False, program=self.once("another fault"), accel="tcg")


class CommandLine(unittest.TestCase):
    """`./dev vm`."""

    def test_status_and_both_outputs(self):
        done = vm("--no-driver", "--smp", "2", "--", r"printf 'a\r\n\0'; nproc; echo e >&2; exit 9")
        self.assertEqual((done.returncode, done.stdout), (9, b"a\r\n\0" + b"2\ne\n"))

    def test_stdin_overlay_and_qemu_arguments(self):
        overlay = scratch_dir()
        self.addCleanup(remove_scratch, overlay)
        (overlay / "etc").mkdir()
        (overlay / "etc/greeting").write_text("hello\n")
        os.symlink("greeting", overlay / "etc/link")
        done = vm("--no-driver", "--overlay", str(overlay), "--mem", "300", "--qemu-arg", "-name",
                  "--qemu-arg", "somebody", "--", "cat - /etc/link; grep -c MemTotal /proc/meminfo",
                  input=b"from here\n")
        self.assertEqual((done.returncode, done.stdout), (0, b"from here\nhello\n1\n"))

    def test_qmp_socket(self):
        scratch = scratch_dir()
        self.addCleanup(remove_scratch, scratch)
        path = scratch / "qmp"
        with Guest(driver=False, qmp_path=path), socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(path))
            self.assertIn(b'"QMP"', sock.recv(4096))

    @unittest.skipIf(qemu.version(qemu.installed()) >= qemu.WAYS["generic"].since,
                     "this QEMU has the device")
    def test_generic_way_is_refused_with_its_reason(self):
        done = vm("--way", "generic", "--", "true",
                  env={**os.environ, "OKL4FS_QEMU": " ".join(qemu.installed())})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"needs QEMU >= 10.2", done.stderr)

    def start_sleeping(self) -> tuple[subprocess.Popen, Path, list[int]]:
        """A guest whose command sleeps; its process, its TMPDIR, and its children."""
        tmp = scratch_dir()
        self.addCleanup(remove_scratch, tmp)
        process = subprocess.Popen([sys.executable, "-m", "vm", "--no-driver", "--",
                                    "echo up; exec sleep 1000"], stdout=subprocess.PIPE,
                                   env={**os.environ, "TMPDIR": str(tmp)})
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), b"up\n")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self.assertTrue(children)
        return process, tmp, [int(child) for child in children]

    def test_nothing_stays(self):
        process, tmp, children = self.start_sleeping()
        process.terminate()
        process.wait(30)
        self.assertEqual(list(tmp.iterdir()), [])
        for pid in children:
            self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_qemu_dies_with_a_killed_test(self):
        process, _, children = self.start_sleeping()
        pidfds = [os.pidfd_open(pid) for pid in children]
        process.kill()
        process.wait(30)
        for pidfd in pidfds:
            self.assertTrue(select.select([pidfd], [], [], 10)[0])
            os.close(pidfd)


if __name__ == "__main__":
    unittest.main()
