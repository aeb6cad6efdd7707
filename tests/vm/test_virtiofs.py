# SPDX-License-Identifier: BSD-3-Clause
"""Beside a real virtiofs: two devices of one virtio id, each with its own driver."""
import shutil
import subprocess
import unittest

from vm import Deadline, Process, kernel
from vm.base import VmTest, echo

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"


class BesideVirtiofs(VmTest):
    """A guest with our device and one of Debian's virtiofsd; each test loads the drivers itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shared, socket = cls.scratch / "shared", cls.scratch / "virtiofsd.sock"
        shared.mkdir()
        (shared / "hello").write_text("from the host\n", encoding="ascii")
        with open(cls.scratch / "virtiofsd.log", "wb") as log:
            virtiofsd = Process([VIRTIOFSD, f"--socket-path={socket}", "-o", f"source={shared}",
                                 "-o", "sandbox=chroot"], stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log)
        cls._stack.callback(virtiofsd.kill)
        deadline = Deadline(20)
        while not socket.exists():
            deadline.check("virtiofsd's socket: "
                           + (cls.scratch / "virtiofsd.log").read_text(errors="replace"))
        overlay = cls.scratch / "overlay"
        (overlay / "lib").mkdir(parents=True)
        shutil.copy(kernel.module(kernel.get()), overlay / "lib")
        cls.one_guest({"echo": echo()}, way="fs", driver=False, overlays=[overlay], qemu_args=[
            "-chardev", f"socket,id=shared,path={socket}",
            "-device", "vhost-user-fs-pci,chardev=shared,tag=shared"])

    def tearDown(self):
        super().tearDown()
        self.guest.run("umount /okl4; umount /mnt; rmmod okl4fs; rmmod virtiofs", 30)

    def both_work(self) -> None:
        """Each file system does what is its own."""
        self.guest.check("mkdir -p /mnt /okl4; mount -t virtiofs shared /mnt && "
                         "mount -t okl4fs okl4fs /okl4", 30)
        self.assertEqual(self.guest.check("cat /mnt/hello"), "from the host\n")
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)
        self.guest.check("echo back > /mnt/answer")
        self.assertEqual((self.scratch / "shared" / "answer").read_text(), "back\n")

    def test_okl4fs_first(self):
        """Our driver leaves the foreign tag alone."""
        self.guest.check("insmod /lib/okl4fs.ko && modprobe virtiofs", 30)
        self.both_work()

    def test_virtiofs_first(self):
        """virtiofs has both devices; our driver takes ours over."""
        self.guest.check("modprobe virtiofs && insmod /lib/okl4fs.ko", 30)
        self.both_work()

    def test_virtiofs_first_and_mounted(self):
        """And while the other one is in use."""
        self.guest.check("mkdir -p /mnt; modprobe virtiofs && mount -t virtiofs shared /mnt && "
                         "exec 3</mnt/hello && insmod /lib/okl4fs.ko && read line <&3 && "
                         "test \"$line\" = 'from the host' && exec 3<&- && umount /mnt", 30)
        self.both_work()

    def stray_mount(self) -> None:
        """Mount our tag as virtiofs, and use it if that is let through: an error, and no hang.

        (Linux asks for FUSE_INIT after mount(2) has returned; its answer ends the connection.)
        """
        status, output = self.guest.run("mount -t virtiofs okl4fs0 /mnt && ls /mnt", 30)
        self.assertNotEqual(status, 0, output)
        self.guest.check("umount /mnt || true", 30)

    def test_stray_mount_is_an_error(self):
        """`mount -t virtiofs` of our tag hangs neither before nor after our driver is there."""
        self.guest.check("mkdir -p /mnt; modprobe virtiofs")
        self.stray_mount()
        self.guest.check("insmod /lib/okl4fs.ko", 30)
        self.stray_mount()
        self.both_work()


if __name__ == "__main__":
    unittest.main()
