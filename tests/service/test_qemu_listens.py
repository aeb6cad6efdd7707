# SPDX-License-Identifier: BSD-3-Clause
"""Users of a host with the package: `doctor` and `setup` for them (doctor.py), and `"socket_mode": "connect"`
with the QEMU of a user who is in the group okl4fs or not.

QEMU is this machine's and runs beside the host. It is the host's user by number and works in the host's
folder, so the host's permissions decide.
"""
import json
import os
import unittest

from container import quoted
from vm import qemu
from vm.process import Deadline, Process

from doctor import Doctor
from rig import HostTest, guest

TIMEOUT_S = 300
INSTANCE = "one"


class QemuListens(Doctor, HostTest):
    """The service and an instance; alice is in the group okl4fs, mallory is not."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host.check("dpkg -i /srv/okl4fs.deb")
        for name, more in (("alice", "-G okl4fs"), ("mallory", "")):
            cls.host.check(f"useradd -M -g users {more} {name}")

    def serve(self, folder: str, config: str, unit: str) -> None:
        """Let a service call QEMU in the folder `qemu` below the one of its sockets."""
        self.folder, self.unit = folder, unit
        self.configure({"control": {"path": f"{folder}/control.sock"}, "guests": [
            guest("vm1", f"{folder}/qemu", socket_mode="connect")]}, config)
        self.host.check(f"systemctl restart {unit}")
        self.addCleanup(self.host.check, f"systemctl stop {unit}")

    def as_user(self, user: str, *words) -> tuple[int, str]:
        """Run a command as a user of the host."""
        return self.host.run(quoted("runuser", "-u", user, "--", *words))

    def ctl(self, *words, user: str = "alice") -> tuple[int, str]:
        """Run okl4fsctl as a user of the host."""
        return self.as_user(user, "okl4fsctl", "-s", f"{self.folder}/control.sock", *words)

    def qemu(self, user: str, umask: int) -> Process:
        """QEMU with the arguments that okl4fsctl prints, as a user of the host, in the host's folder."""
        arguments = self.host.check(f"okl4fsctl -s {self.folder}/control.sock --json "
                                    "qemu-args vm1 --memory 64 2>/dev/null")
        words = [word.replace(f"{self.folder}/qemu/", "") for word in json.loads(arguments)["args"]]
        uid, gid, groups = (self.host.check(f"id -{letter} {user}").split() for letter in "ugG")
        self.said = self.scratch / "qemu.log"
        questions, asked = os.pipe()
        self.addCleanup(os.close, asked)
        os.write(asked, b'{"execute": "qmp_capabilities"} {"execute": "query-status"}\n')
        with open(self.said, "wb") as said, open(questions, "rb") as stdin:
            process = Process([*qemu.installed(), "-S", "-display", "none", "-nodefaults",
                               "-qmp", "stdio", *words],
                              cwd=self.host.seen(f"{self.folder}/qemu"), umask=umask,
                              user=int(uid[0]), group=int(gid[0]), extra_groups=map(int, groups),
                              stdin=stdin, stdout=said, stderr=said)
        self.addCleanup(process.kill)
        return process

    def wait_started(self) -> None:
        """Wait until QEMU answers. A daemon that ends before that takes QEMU with it."""
        deadline = Deadline(20)
        while '"status"' not in self.said.read_text():
            deadline.check(f"QEMU to have started: {self.said.read_text()}")

    def wait_guest(self, **wanted) -> None:
        """Wait until `guest.list` says that."""
        deadline = Deadline(20)
        while True:
            said = json.loads(self.ctl("--json", "guests")[1])["guests"][0]
            if wanted.items() <= said.items():
                return
            deadline.check(f"{wanted}, not {said}; QEMU: {self.said.read_text()}")

    def goes_its_way(self) -> None:
        """Nobody, somebody else, the wrong umask, the right one; a daemon that was killed."""
        path = f"{self.folder}/qemu/vm1.sock"
        self.assertEqual(self.host.check(f"stat -c '%U:%G %a' {self.folder}/qemu"),
                         "okl4fs:okl4fs 2770\n")
        self.assertIn(f"FAIL  vm1 qemu: does not listen (connect {path}: No such file or directory)",
                      self.ctl("doctor")[1])
        self.assertIn(f"ok    vm1 socket: QEMU may listen in {self.folder}/qemu", self.ctl("doctor")[1])
        self.assertIn(f"vm1 is away: connect {path}: No such file or directory",
                      self.ctl("guests")[1])
        self.assertIn("vm1: start QEMU with umask 007, as a member of the group okl4fs",
                      self.ctl("qemu-args", "vm1")[1])
        self.assertNotEqual(self.qemu("mallory", 0o007).wait(20), 0)
        self.assertIn("Permission denied", self.said.read_text())
        self.assertIn("Permission denied", self.ctl("guests", user="mallory")[1])

        wrong = self.qemu("alice", 0o022)
        self.wait_guest(connected=False, away=f"connect {path}: Permission denied")
        self.wait_journal("start QEMU with umask 007", "OKL4FS_GUEST=vm1", "PRIORITY=4",
                          unit=self.unit)
        self.assertIn("do: start QEMU with umask 007", self.ctl("doctor")[1])
        wrong.kill()
        right = self.qemu("alice", 0o007)
        self.wait_guest(connected=True, away=None)
        self.wait_started()
        self.assertIn("ok    vm1 qemu: connected\n--    vm1 memory: not known: the guest has not begun",
                      self.ctl("doctor")[1])
        self.assertEqual(self.host.check(f"stat -c '%U:%G %a' {path}"), "alice:okl4fs 770\n")
        restarts = int(self.show("NRestarts", self.unit))
        self.host.check(f"systemctl kill --signal=SIGKILL {self.unit}")
        self.wait_show("NRestarts", str(restarts + 1), self.unit)
        self.wait_guest(connected=True, away=None)
        self.assertIsNone(right.poll(), self.said.read_text())

    def test_service(self):
        self.serve("/run/okl4fs", "/etc/okl4fs/okl4fsd.json", "okl4fsd.service")
        self.goes_its_way()

    def test_instance(self):
        self.serve(f"/run/okl4fs/{INSTANCE}", f"/etc/okl4fs/{INSTANCE}.json",
                   f"okl4fsd@{INSTANCE}.service")
        self.goes_its_way()


if __name__ == "__main__":
    unittest.main()
