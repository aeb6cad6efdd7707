# SPDX-License-Identifier: BSD-3-Clause
"""The driver comes and goes, the guest is reset, two guests share a daemon: others are not disturbed."""
import re
import signal
import unittest

from vm import guest_config
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved

# A transfer that never ends by itself
ENDLESS = "records=1000000000 progress=500"


def progress(text: str) -> int:
    """How many records a running `okl4test seq` has reported."""
    found = re.findall(r"progress (\d+)\.", text)
    return int(found[-1]) if found else 0


class Driver(VmTest):
    """One guest; each test leaves it with the driver loaded and /okl4 mounted."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"echo": echo(), "other": echo(), "unused": echo(),
                       "half": listens(cls.scratch / "half.sock")})

    def start_seq(self, channel: str = "echo"):
        """A transfer in full swing."""
        command = self.guest.spawn(f"okl4test seq /okl4/{channel} {ENDLESS}")
        command.wait_output("progress 1000.", 60)
        return command

    def unbind(self) -> None:
        """Take the device from the driver through sysfs."""
        self.guest.check("cd /sys/bus/virtio/drivers/*okl4* && echo virtio* > /tmp/device && "
                         "cat /tmp/device > unbind", 30)

    def bind(self) -> None:
        """Give it back to the driver."""
        self.guest.check("cd /sys/bus/virtio/drivers/*okl4* && cat /tmp/device > bind", 30)

    def works(self) -> None:
        """A complete transfer, on both channels."""
        for channel in ("echo", "other"):
            self.guest.check(f"okl4test seq /okl4/{channel} records=2000", 60)

    def test_module_in_use_stays(self):
        """rmmod is refused while /okl4 is mounted."""
        status, output = self.guest.run("rmmod okl4fs")
        self.assertNotEqual(status, 0, output)
        self.works()

    def test_remove_and_load_in_mid_stream(self):
        """A transfer is cut off, the driver unloaded and loaded: new transfers find all in order."""
        for _ in range(3):
            command = self.start_seq()
            command.signal(signal.SIGKILL)
            command.wait(20)
            self.guest.check("umount /okl4 && rmmod okl4fs && insmod /lib/okl4fs.ko && "
                             "mount -t okl4fs okl4fs /okl4", 30)
            self.works()

    def test_unbind_and_bind_with_sleepers(self):
        """After unbind, sleepers wake with EIO and poll reports HUP and ERR; after bind, a new open works."""
        reader = self.guest.spawn("mkfifo /okl4/unused; cat /okl4/unused")
        writer = self.start_seq()
        self.unbind()
        for command in (reader, writer):
            status, output = command.wait(30)
            self.assertNotEqual(status, 0, output)
            self.assertRegex(output.lower(), "i/o error|input/output error")
        status, output = self.guest.run("exec 3<>/okl4/echo", 30)
        self.assertNotEqual(status, 0, "open works without a device")
        self.bind()
        self.works()

    def test_unbind_and_bind_many_times(self):
        """In full swing each time."""
        for _ in range(5):
            writer = self.start_seq()
            self.unbind()
            self.bind()
            self.assertNotEqual(writer.wait(30)[0], 0)
        self.works()

    def test_reset_in_mid_stream(self):
        """The machine's reset button: the host's end sees the stream end, the next boot works."""
        self.cut_off(self.guest.reset)

    def test_reboot_in_mid_stream(self):
        """A reboot with all files open: the driver's shutdown gives the host's memory back first."""
        since = len(self.guest.console())
        self.cut_off(self.guest.reboot)
        self.assertIn("reboot: Restarting system", self.guest.console()[since:])

    def cut_off(self, how) -> None:
        """The guest restarts in the middle of a stream."""
        host = HostTool(self.scratch, "stream", f"unix:{self.scratch}/half.sock", "read=eof",
                        "seed=5", "piece=4K")
        writer = self.guest.spawn("okl4test stream /okl4/half write=1G seed=5 progress=4M")
        writer.wait_output("progress written ", 60)  # more than ring and socket hold: some is read
        self.start_seq("other")
        how()
        status, output = host.wait(60)
        self.assertEqual(status, 0, output)  # a prefix of the pattern, then the end
        self.assertGreater(moved(output)["read"][0], 0)
        self.assertLess(moved(output)["read"][0], 1 << 30)
        self.works()


class TwoGuests(VmTest):
    """Two guests on one daemon, the same channel names in both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        guests = []
        for name in ("red", "blue"):
            guests.append(guest_config(name, cls.scratch / f"{name}.sock", {
                "echo": echo(), "out": listens(cls.scratch / f"{name}.out.sock")}))
        cls.start_daemon(guests)
        cls.red = cls.start_guest(cls.scratch / "red.sock", smp=1, mem_mib=256, wait=False)
        cls.blue = cls.start_guest(cls.scratch / "blue.sock", smp=1, mem_mib=256)
        cls.red.wait_ready()

    def test_1_each_has_its_own_bytes(self):
        """Both stream over channels of one name; each host end gets only its own guest's bytes."""
        size, hosts, commands = 32 << 20, [], []
        for seed, (name, guest) in enumerate((("red", self.red), ("blue", self.blue)), start=1):
            hosts.append(HostTool(self.scratch, "stream", f"unix:{self.scratch}/{name}.out.sock",
                                  f"read={size}", f"seed={seed}", f"write={size}",
                                  f"read_seed={seed}"))
            commands.append(guest.spawn(f"okl4test stream /okl4/out write={size} read={size} "
                                        f"seed={seed}"))
        for host, command in zip(hosts, commands):
            status, output = command.wait(120)
            self.assertEqual(status, 0, output)
            host_status, host_output = host.wait(60)
            self.assertEqual(host_status, 0, host_output)
            self.assertEqual(moved(output)["written"], moved(host_output)["read"])

    def test_2_one_is_killed(self):
        """A QEMU that dies in mid-stream does not disturb the other guest's stream."""
        red = self.red.spawn(f"okl4test seq /okl4/echo {ENDLESS}")
        blue = self.blue.spawn(f"okl4test seq /okl4/echo {ENDLESS}")
        red.wait_output("progress 1000.", 60)
        blue.wait_output("progress 1000.", 60)
        seen = progress(blue.output.decode())
        self.red.kill()
        blue.wait_output(f"progress {seen + 5000}.", 60)
        self.assertFalse(blue.done())
        blue.signal(signal.SIGKILL)
        self.assertEqual(blue.wait(20)[0], 128 + signal.SIGKILL)
        self.blue.check("okl4test seq /okl4/echo records=2000", 60)
        states = {guest["name"]: guest["connected"]
                  for guest in self.daemon.rpc("guest.list")["guests"]}
        self.assertEqual(states, {"red": False, "blue": True})


if __name__ == "__main__":
    unittest.main()
