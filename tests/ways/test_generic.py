# SPDX-License-Identifier: BSD-3-Clause
"""The way `generic` when its daemon stops, dies, and comes back.

QEMU aborts when that device is set up again after it has lost its daemon. So the driver waits: for
a slow daemon without limit, and for a new one until the device is unplugged and plugged in again.
"""
import signal
import subprocess
import unittest
from pathlib import Path

from vm import Process, guest_config, until
from vm.base import HotPlugged, VmTest, echo, listens
from vm.hostend import HostTool, moved
from vm.manager import ManagedDaemon, Manager


class Generic(HotPlugged):
    """A guest into which the device is hot-plugged."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {
            "echo": echo(), "quiet": echo(), "out": listens(cls.scratch / "out.sock")})])
        cls.guest = cls.start_guest(None, hotplug=True, way="generic")
        cls.plug()

    def test_stopped_daemon(self):
        """The driver takes the daemon for dead but waits; the stream then goes on by itself."""
        command = self.start_seq(records=20000)
        since = len(self.guest.console())
        self.daemon.signal(signal.SIGSTOP)
        try:
            self.guest.wait_console("the host does not answer; waiting for it", 60, since)
        finally:
            self.daemon.signal(signal.SIGCONT)
        self.assertIn("records 20000 ", self.ends_well(command, 120))

    def test_killed_daemon(self):
        """The guest lives on. After the device is unplugged and plugged in again, it finds the new
        daemon, and what was written and closed before is delivered."""
        self.guest.check("mkfifo /okl4/quiet /okl4/out; "
                         "okl4test stream /okl4/out write=1M seed=4", 60)
        reader = self.guest.spawn("cat /okl4/quiet")
        writer = self.start_seq()
        since = len(self.guest.console())
        self.daemon.kill()
        self.guest.wait_console("the host does not answer; waiting for it", 60, since)
        self.assertFalse(reader.done() or writer.done())
        self.daemon.start()  # this alone changes nothing: QEMU does not connect again
        self.unplug()
        self.cut_off(reader)
        self.cut_off(writer)
        self.plug()
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)
        output = self.ends_well(HostTool(self.scratch, "stream", f"unix:{self.scratch}/out.sock",
                                         "read=eof", "seed=4"))
        self.assertEqual(moved(output)["read"][0], 1 << 20)


class Kept(VmTest):
    """A daemon whose service manager keeps its connections."""

    @classmethod
    def make_daemon(cls, config: dict, **options) -> ManagedDaemon:
        manager = Manager(cls.scratch / "notify")
        cls._stack.callback(manager.close)
        return ManagedDaemon(config, manager, **options)

    def test_killed_daemon_is_not_noticed(self):
        """A stream goes on, and neither QEMU nor the driver sets anything up again."""
        self.one_guest({"echo": echo()}, way="generic")
        command = self.start_seq(records=20000)
        since = len(self.guest.console())
        for _ in range(3):
            self.daemon.kill()
            self.daemon.start()
            self.guest.check("true")
        self.assertIn("records 20000 ", self.ends_well(command, 120))
        self.assertNotIn("okl4fs", self.guest.console()[since:])
        self.assertEqual(self.daemon.log().count("of the former process is taken up"), 3)


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
        until(socket.exists, "the socket of qemu-storage-daemon", 20)

    def test_it_is_let_go(self):
        """Its first answer is not ours, so the driver lets it go. Our device comes later."""
        foreign, ours = self.scratch / "foreign.sock", self.scratch / "vm.sock"
        self.start_disk(foreign)
        self.start_daemon([guest_config("vm", ours, {"echo": echo()})])
        guest = type(self).guest = self.start_guest(None, hotplug=True, way="generic")
        guest.plug(foreign, "foreign")
        guest.wait_console("released: its first answer", 60)
        until(lambda: guest.run("ls -d /sys/bus/virtio/drivers/okl4fs/virtio*")[0] != 0,
              "the driver to let the device go", 60)
        self.assertEqual(guest.check("grep -l 0x0026 /sys/bus/virtio/devices/*/device | "
                                     "xargs dirname | sed 's:$:/status:' | xargs cat"),
                         "0x00000001\n")
        guest.unplug("foreign")
        guest.plug(ours, "ours")
        self.wait_offered()
        guest.check("okl4test seq /okl4/echo records=1000", 60)


if __name__ == "__main__":
    unittest.main()
