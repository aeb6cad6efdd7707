# SPDX-License-Identifier: BSD-3-Clause
"""The daemon is killed and comes back: the guest recovers by itself, nothing is lost or doubled."""
import os
import random
import unittest

from vm import Daemon, guest_config, until
from vm.base import HotPlugged, VmTest, echo, listens
from vm.hostend import HostTool, moved

# A guest has recovered within this time: the driver looks once a second, and backs off
HEALING_S = 30


class Connect(VmTest):
    """QEMU listens, the daemon connects and keeps trying."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {
            "echo": echo(), "quiet": echo(), "out": listens(cls.scratch / "out.sock"),
            "in": listens(cls.scratch / "in.sock")}, socket_mode="connect")])
        cls.guest = cls.start_guest(cls.socket, serve=True, way="fs")  # the daemon came first
        cls.seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))

    def kill_and_restart(self) -> None:
        """SIGKILL, and a new process."""
        self.daemon.kill()
        self.daemon.start()

    def test_killed_in_mid_stream_several_times(self):
        """Records with sequence numbers through an echo go on after every kill."""
        print(f"seed {self.seed} (OKL4FS_SEED)")
        source = random.Random(self.seed)
        records, step = 60000, 200
        kills = sorted(source.sample(range(step, records - 5000, step), 6))
        command = self.guest.spawn(f"okl4test seq /okl4/echo records={records} "
                                   f"progress={step} seed={self.seed}")
        for at in kills:
            command.wait_output(f"progress {at}.", HEALING_S + 60)
            self.kill_and_restart()
        self.assertIn(f"records {records} ", self.ends_well(command, HEALING_S + 120))

    def test_blocked_reader_and_writer_go_on(self):
        """A reader with nothing to read and a writer on a full ring sleep through a restart."""
        self.sleep_through(self.kill_and_restart, HEALING_S + 30)

    def test_what_lay_in_the_ring_is_delivered(self):
        """Written, closed, killed: the bytes come to the next client, once."""
        self.guest.check("okl4test stream /okl4/in write=1M seed=4", 60)
        self.kill_and_restart()
        output = self.ends_well(HostTool(self.scratch, "stream", f"unix:{self.scratch}/in.sock",
                                         "read=eof", "seed=4"), HEALING_S + 30)
        self.assertEqual(moved(output)["read"][0], 1 << 20)

    def test_away_for_a_while(self):
        """The driver notices that the host does not answer, keeps trying, and finds a new daemon."""
        command = self.start_seq(records=40000)
        since = len(self.guest.console())
        self.daemon.kill()
        self.guest.wait_console("does not answer", 30, since)
        self.daemon.start()
        self.guest.wait_console("the host is there", HEALING_S, since)
        self.ends_well(command, HEALING_S + 90)

    def test_nobody_waits_for_a_silent_host(self):
        """The module is loaded at once, and the channels come when a host has answered."""
        self.guest.check("umount /okl4 && rmmod okl4fs")
        self.daemon.kill()
        since = len(self.guest.console())
        self.guest.check("insmod /lib/okl4fs.ko request_ms=20000", 15)
        self.guest.wait_console("the host does not answer yet", 30, since)
        self.daemon.start()
        self.guest.check("echo 3000 > /sys/module/okl4fs/parameters/request_ms")
        self.guest.check("mount -t okl4fs okl4fs /okl4")
        self.guest.check("for f in echo quiet; do until mkfifo /okl4/$f; do :; done; done 2>/dev/null",
                         HEALING_S + 60)
        self.guest.check("okl4test seq /okl4/echo records=100", 60)

    def test_another_owner_after_a_restart(self):
        """A new owner or mode from the host is applied; if the host repeats the old one, chmod(1) stays."""
        self.guest.check("mkdir /all && mount -t okl4fs -o populate okl4fs /all")
        self.addCleanup(self.guest.check, "umount /all && rmdir /all")
        look = "stat -c '%a %u %g' /all/quiet"
        self.assertEqual(self.guest.check(look), "600 0 0\n")
        self.guest.check("chmod 640 /all/quiet")
        held = self.guest.spawn("exec 3<>/all/quiet; read x <&3; echo got $x")
        self.kill_and_restart()
        self.guest.check("okl4test seq /okl4/echo records=100", HEALING_S + 60)
        self.assertEqual(self.guest.check(look), "640 0 0\n")
        config = self.daemon.config["guests"][0]["channels"][1]
        self.assertEqual(config["name"], "quiet")
        config |= {"guest_mode": "0604", "guest_uid": 12}
        self.addCleanup(config.pop, "guest_mode")
        self.addCleanup(config.pop, "guest_uid")
        self.daemon.write_config()
        self.kill_and_restart()
        until(lambda: self.guest.check(look) == "604 12 0\n",
              lambda: f"/all/quiet to be another's, not {self.guest.check(look)}", HEALING_S + 60)
        self.assertFalse(held.done())
        self.guest.check("echo here > /all/quiet")
        self.assertEqual(held.wait(60), (0, "got here\n"))


class QemuFirst(VmTest):
    """The other order of start: QEMU waits for the daemon."""

    def test_qemu_first(self):
        """The guest starts when the daemon comes."""
        socket = self.scratch / "vm.sock"
        guest = self.start_guest(socket, serve=True, way="fs", wait=False)
        until(socket.exists, "QEMU's socket", 30)
        self.start_daemon([guest_config("vm", socket, {"echo": echo()}, socket_mode="connect")])
        guest.wait_ready()
        guest.check("okl4test seq /okl4/echo records=2000", 60)


class Listen(HotPlugged):
    """The daemon listens. QEMU's plain chardev does not reconnect by itself. The device works again
    after it was unplugged and plugged in (docs/qemu.md)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {"echo": echo()})])
        cls.guest = cls.start_guest(None, hotplug=True, way="fs")
        cls.plug()

    def test_plugged_again_after_a_kill(self):
        """device_del, a new daemon, device_add: the driver attaches the memory that it has kept."""
        command = self.start_seq()
        self.daemon.kill()
        self.unplug()
        self.cut_off(command)
        self.daemon.start()
        self.plug()
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)

    def test_new_qemu_after_a_kill(self):
        """A restarted daemon takes over its stale socket and serves a new QEMU."""
        socket = self.scratch / "again.sock"
        config = {"guests": [guest_config("vm", socket, {"echo": echo()})]}
        daemon = Daemon(config)
        self.addCleanup(daemon.stop)
        daemon.kill()
        daemon.start()
        guest = self.start_guest(socket, smp=1, mem_mib=256)
        guest.check("okl4test seq /okl4/echo records=2000", 60)


if __name__ == "__main__":
    unittest.main()
