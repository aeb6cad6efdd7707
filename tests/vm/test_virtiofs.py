# SPDX-License-Identifier: BSD-3-Clause
"""Beside a real virtiofs: two devices of one virtio id, each with its own driver."""
import shutil
import subprocess
import unittest

from vm import Process, guest_config, kernel, until
from vm.base import HotPlugged, VmTest, echo

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
LIMIT_S = 60
VIRTIOFS, OKL4FS = "modprobe virtiofs", "insmod /lib/okl4fs.ko"


# Driver and status of each file system device; a status of 0x80 and more: FAILED, 0x0f: it works.
STATES = r"""
for device in /sys/bus/virtio/devices/*; do
	test "$(cat $device/device)" = 0x001a || continue
	driver=$(readlink $device/driver)
	echo "${driver##*/} $(cat $device/status)"
done
"""


class Shares(VmTest):
    """A guest whose drivers are loaded by each test, and Debian's virtiofsd for a share."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared, cls.share_socket = cls.scratch / "shared", cls.scratch / "virtiofsd.sock"
        cls.shared.mkdir()
        (cls.shared / "hello").write_text("from the host\n", encoding="ascii")
        overlay = cls.scratch / "overlay"
        (overlay / "lib").mkdir(parents=True)
        shutil.copy(kernel.module(kernel.get()), overlay / "lib")
        cls.options = {"driver": False, "overlays": [overlay]}

    @classmethod
    def start_virtiofsd(cls) -> Process:
        """Start the share's daemon, which serves one connection."""
        cls.share_socket.unlink(missing_ok=True)
        with open(cls.scratch / "virtiofsd.log", "wb") as log:
            virtiofsd = Process([VIRTIOFSD, f"--socket-path={cls.share_socket}", "-o",
                                 f"source={cls.shared}", "-o", "sandbox=chroot"],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls._stack.callback(virtiofsd.kill)
        until(cls.share_socket.exists, lambda: "virtiofsd's socket: "
              + (cls.scratch / "virtiofsd.log").read_text(errors="replace"), 20)
        return virtiofsd

    def tearDown(self):
        super().tearDown()
        self.guest.run("umount /okl4; umount /mnt; rmmod okl4fs; rmmod virtiofs", 30)

    def states(self) -> list[str]:
        """Driver and status of each file system device."""
        return sorted(self.guest.check(STATES).splitlines())

    def use_both(self) -> None:
        """With both mounted, each file system works, and no device has FAILED."""
        self.assertEqual(self.guest.check("cat /mnt/hello"), "from the host\n")
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)
        self.guest.check("echo back > /mnt/answer")
        self.assertEqual((self.shared / "answer").read_text(), "back\n")
        self.assertEqual(self.states(), ["okl4fs 0x0000000f", "virtiofs 0x0000000f"])


class BesideVirtiofs(Shares):
    """Our device and a share are there from the beginning."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_virtiofsd()
        cls.one_guest({"echo": echo()}, way="fs", **cls.options, qemu_args=[
            "-chardev", f"socket,id=shared,path={cls.share_socket}",
            "-device", "vhost-user-fs-pci,chardev=shared,tag=shared"])

    def both_work(self) -> None:
        """Mount both and use them."""
        self.guest.check("mkdir -p /mnt /okl4; mount -t virtiofs shared /mnt && "
                         "mount -t okl4fs okl4fs /okl4", 30)
        self.use_both()

    def test_share_is_not_touched(self):
        """Without virtiofs, too, our driver leaves the foreign device as it was."""
        before = [state for state in self.states() if "okl4fs" not in state]
        self.guest.check("insmod /lib/okl4fs.ko", 30)
        foreign = [state for state in self.states() if not state.startswith("okl4fs ")]
        self.assertEqual(len(foreign), 1, foreign)
        self.assertIn(foreign[0], before)

    def test_unbound_device_stays_unbound(self):
        """It is bound again through sysfs, although virtiofs is there and matches it, too."""
        self.guest.check("modprobe virtiofs && insmod /lib/okl4fs.ko", 30)
        self.unbind()
        self.assertTrue(self.states()[0].startswith(" "), self.states())
        self.bind()
        self.both_work()

    def test_okl4fs_first(self):
        """Our driver leaves the foreign tag alone."""
        self.guest.check("insmod /lib/okl4fs.ko && modprobe virtiofs", 30)
        self.both_work()

    def test_virtiofs_first(self):
        """virtiofs has both devices; our driver takes ours over."""
        self.guest.check("modprobe virtiofs && insmod /lib/okl4fs.ko", 30)
        self.both_work()

    def test_virtiofs_first_and_mounted(self):
        """The same while the other one is in use."""
        self.guest.check("mkdir -p /mnt; modprobe virtiofs && mount -t virtiofs shared /mnt && "
                         "exec 3</mnt/hello && insmod /lib/okl4fs.ko && read line <&3 && "
                         "test \"$line\" = 'from the host' && exec 3<&- && umount /mnt", 30)
        self.both_work()

    def stray_mount(self) -> None:
        """Mount our tag as virtiofs, and use it if that succeeds: it must give an error and not hang.

        (Linux asks for FUSE_INIT after mount(2) has returned; its answer ends the connection.)
        """
        self.fails("mount -t virtiofs okl4fs0 /mnt && ls /mnt", timeout=30)
        self.guest.check("umount /mnt || true", 30)

    def test_stray_mount_is_an_error(self):
        """`mount -t virtiofs` of our tag hangs neither before nor after our driver is there."""
        self.guest.check("mkdir -p /mnt; modprobe virtiofs")
        self.stray_mount()
        self.guest.check("insmod /lib/okl4fs.ko", 30)
        self.stray_mount()
        self.both_work()


class PluggedIn(Shares, HotPlugged):
    """Both devices are plugged in, and out, while the guest runs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {"echo": echo()})])
        cls.guest = cls.start_guest(None, way="fs", hotplug=True, **cls.options, qemu_args=[
            "-device", "pcie-root-port,id=shareport,chassis=9"])
        cls.guest.check("mkdir -p /mnt /okl4")

    def load(self, first: str, second: str) -> None:
        """Load the drivers in this order."""
        self.guest.check(f"{first} && {second} && mount -t okl4fs okl4fs /okl4", 30)

    def plug_share(self) -> None:
        """Plug the share in and mount it."""
        self.start_virtiofsd()
        self.guest.qmp("chardev-add", id="share", backend={"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": str(self.share_socket)}}, "server": False}})
        self.guest.qmp("device_add", driver="vhost-user-fs-pci", id="share", chardev="share",
                       tag="shared", bus="shareport")
        self.addCleanup(self.unplug_share)
        until(lambda: not self.guest.run("mount -t virtiofs shared /mnt")[0],
              lambda: f"the share in the guest: {self.states()}", LIMIT_S)

    def unplug_share(self) -> None:
        """Unplug the share."""
        since = self.guest.n_events()
        self.guest.qmp("device_del", id="share")
        self.guest.wait_deleted(since, "share")
        self.guest.qmp("chardev-remove", id="share")

    def plug_and_use(self, *plugs) -> None:
        """Plug both in, use both, and plug ours in a second time."""
        for plug in plugs:
            plug()
        self.use_both()
        self.unplug()
        self.plug()
        self.use_both()
        self.unplug()

    def test_ours_then_share(self):
        """virtiofs was registered first."""
        self.load(VIRTIOFS, OKL4FS)
        self.plug_and_use(self.plug, self.plug_share)

    def test_share_then_ours(self):
        """virtiofs was registered first."""
        self.load(VIRTIOFS, OKL4FS)
        self.plug_and_use(self.plug_share, self.plug)

    def test_our_driver_first(self):
        """The share comes first, to a driver that is there second (unless it is built in)."""
        self.load(OKL4FS, VIRTIOFS)
        self.plug_and_use(self.plug_share, self.plug)

    def test_repair_after_a_kill(self):
        """What docs/qemu.md prescribes, with virtiofs there first."""
        self.load(VIRTIOFS, OKL4FS)
        self.plug()
        self.guest.check("okl4test seq /okl4/echo records=100", LIMIT_S)
        self.daemon.kill()
        self.unplug()
        self.daemon.restart()
        self.plug()
        self.guest.check("okl4test seq /okl4/echo records=100", LIMIT_S)
        self.assertEqual(self.states(), ["okl4fs 0x0000000f"])
        self.unplug()


if __name__ == "__main__":
    unittest.main()
