# SPDX-License-Identifier: BSD-3-Clause
"""The way `generic` when its daemon stops, dies, and comes back.

QEMU aborts when that device is set up again after it has lost its daemon. So the driver waits: for
a slow daemon without limit, and for a new one until the device is unplugged and plugged in again.
"""
import signal
import subprocess
import unittest
from pathlib import Path

from vm import Deadline, Process, guest_config
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved

ENDLESS = "records=1000000000 progress=500"


class Generic(VmTest):
    """A guest into which the device is hot-plugged."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {
            "echo": echo(), "quiet": echo(), "out": listens(cls.scratch / "out.sock")})])
        cls.guest = cls.start_guest(None, hotplug=True, way="generic")
        cls.chardev = 0
        cls.plug()

    @classmethod
    def plug(cls) -> None:
        """Attach the guest to the daemon, and wait until the driver offers its channels."""
        cls.chardev += 1
        cls.guest.plug(cls.socket, f"c{cls.chardev}")
        deadline = Deadline(60)
        while cls.guest.run("rm -f /okl4/echo; mkfifo /okl4/echo")[0]:
            deadline.check("the device in the guest")

    def test_stopped_daemon(self):
        """The driver takes the daemon for dead but waits; the stream then goes on by itself."""
        command = self.guest.spawn("okl4test seq /okl4/echo records=20000 progress=500")
        command.wait_output("progress 1000.", 60)
        since = len(self.guest.console())
        self.daemon.signal(signal.SIGSTOP)
        try:
            self.guest.wait_console("the host does not answer; waiting for it", 60, since)
        finally:
            self.daemon.signal(signal.SIGCONT)
        status, output = command.wait(120)
        self.assertEqual(status, 0, output[-500:])
        self.assertIn("records 20000 ", output)

    def test_killed_daemon(self):
        """The guest lives on. After the device is unplugged and plugged in again, it finds the new
        daemon, and what was written and closed before is delivered."""
        self.guest.check("mkfifo /okl4/quiet /okl4/out; "
                         "okl4test stream /okl4/out write=1M seed=4", 60)
        reader = self.guest.spawn("cat /okl4/quiet")
        writer = self.guest.spawn(f"okl4test seq /okl4/echo {ENDLESS}")
        writer.wait_output("progress 1000.", 60)
        since = len(self.guest.console())
        self.daemon.kill()
        self.guest.wait_console("the host does not answer; waiting for it", 60, since)
        self.assertFalse(reader.done() or writer.done())
        self.daemon.start()  # this alone changes nothing: QEMU does not connect again
        self.guest.unplug(f"c{self.chardev}")
        for command in (reader, writer):
            status, output = command.wait(60)
            self.assertNotEqual(status, 0, output)
            self.assertRegex(output.lower(), "i/o error|input/output error")
        self.plug()
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)
        status, output = HostTool(self.scratch, "stream", f"unix:{self.scratch}/out.sock",
                                  "read=eof", "seed=4").wait(60)
        self.assertEqual(status, 0, output)
        self.assertEqual(moved(output)["read"][0], 1 << 20)


class Foreign(VmTest):
    """A device with the same virtio number that is not ours: here its host serves a disk."""

    def start_disk(self, socket: Path) -> None:
        """Start a host that speaks the protocol of virtio disks."""
        disk = Process(["qemu-storage-daemon",
                        "--blockdev", "driver=null-co,node-name=disk,read-zeroes=on",
                        "--export", "type=vhost-user-blk,id=export,node-name=disk,num-queues=2,"
                                    f"addr.type=unix,addr.path={socket}"],
                       stdin=subprocess.DEVNULL)
        self._stack.callback(disk.kill)
        deadline = Deadline(20)
        while not socket.exists():
            deadline.check("the socket of qemu-storage-daemon")

    def test_it_is_let_go(self):
        """Its first answer is not ours, so the driver lets it go. Our device comes later."""
        foreign, ours = self.scratch / "foreign.sock", self.scratch / "vm.sock"
        self.start_disk(foreign)
        self.start_daemon([guest_config("vm", ours, {"echo": echo()})])
        guest = self.start_guest(None, hotplug=True, way="generic")
        guest.plug(foreign, "foreign")
        guest.wait_console("released: its first answer", 60)
        deadline = Deadline(60)
        while guest.run("ls -d /sys/bus/virtio/drivers/okl4fs/virtio*")[0] == 0:
            deadline.check("the driver to let the device go")
        self.assertEqual(guest.check("grep -l 0x0026 /sys/bus/virtio/devices/*/device | "
                                     "xargs dirname | sed 's:$:/status:' | xargs cat"),
                         "0x00000001\n")
        guest.unplug("foreign")
        guest.plug(ours, "ours")
        while guest.run("rm -f /okl4/echo; mkfifo /okl4/echo")[0]:
            deadline.check("our device in the guest")
        guest.check("okl4test seq /okl4/echo records=1000", 60)


if __name__ == "__main__":
    unittest.main()
