# SPDX-License-Identifier: BSD-3-Clause
"""README.md, "From the source tree": its commands, run as they stand there, in a /run of their own."""
import os
import re
import shutil
import subprocess
import unittest

from vm import Deadline, Process, kernel, manual, paths, qemu
from vm.base import VmTest


class Readme(VmTest):
    """A /run of our own, in a mount name space that a helper process keeps alive."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        user = ["--map-auto", "--map-root-user"] if os.getuid() else []
        hold_read, hold = os.pipe()
        said, say = os.pipe()
        for fd in (hold, said):
            cls._stack.callback(os.close, fd)
        holder = Process(["unshare", "--mount", *user, "sh", "-c",
                          "mount -t tmpfs -o mode=755 run /run && echo ready && exec cat"],
                         stdin=hold_read, stdout=say)
        cls._stack.callback(holder.kill)
        os.close(hold_read)
        os.close(say)
        if os.read(said, 64) != b"ready\n":
            raise OSError("no mount name space")
        cls.inside = ["nsenter", "--mount", *(["--user"] if user else []), "--target",
                      str(holder.pid), "--"]
        cls.text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
        cls.text = cls.text[cls.text.index("## From the source tree"):]

    def code(self, begins: str) -> str:
        """The inline code that begins like this, joined to one line."""
        found, = re.findall(rf"`({re.escape(begins)}[^`]*)`", self.text)
        return " ".join(found.split())

    def host(self, command: str) -> list[str]:
        """A command of the host, to be run in our name space."""
        return [*self.inside, "sh", "-c", "exec " + command.replace("build/", f"{paths.BUILD}/")]

    def test_using_it(self):
        """Start daemon and guest, and receive a word from the guest."""
        block, = re.findall(r"```\n(.*?)```", self.text.partition("\n2. ")[0], re.S)
        daemon, ctl = (line.strip().split("   ")[0] for line in block.strip().splitlines())
        with open(self.scratch / "log", "wb") as log:
            process = Process(self.host(daemon), stdout=log, stderr=log)
        self.addCleanup(process.kill)
        deadline = Deadline(20)
        while (done := subprocess.run(self.host(ctl), capture_output=True, text=True, timeout=20,
                                      check=False)).returncode:
            self.assertEqual(done.returncode, 3, done.stderr)  # no daemon yet
            deadline.check("okl4fsd to answer")
        root = self.scratch / "root"
        root.mkdir()
        shutil.copy(kernel.module(kernel.get()), root / "okl4fs.ko")
        guest = self.start_guest(None, way="fs", driver=False, overlays=[root],
                                 program=[*self.inside, *qemu.for_guest("amd64", "fs")],
                                 qemu_args=manual.words(done.stdout))
        guest.check(self.code("insmod"))
        attach = subprocess.Popen(self.host(self.code("build/okl4fsctl attach")),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end, attach)
        guest.check("echo hello > /okl4/intervm_test")
        self.assertEqual(attach.stdout.readline(), b"hello\n")
        self.assertEqual(attach.wait(60), 0)  # the guest's stream has ended

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        """End a program that may have ended."""
        process.kill()
        process.communicate()


if __name__ == "__main__":
    unittest.main()
