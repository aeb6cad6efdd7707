# SPDX-License-Identifier: BSD-3-Clause
"""The driver comes and goes, the guest is reset, two guests share a daemon: others are not disturbed."""
import signal
import unittest

from vm import guest_config
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved


class Driver(VmTest):
    """One guest; each test leaves it with the driver loaded and /okl4 mounted."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"echo": echo(), "other": echo(), "unused": echo(),
                       "half": listens(cls.scratch / "half.sock")})

    def works(self) -> None:
        """A complete transfer, on both channels."""
        for channel in ("echo", "other"):
            self.guest.check(f"okl4test seq /okl4/{channel} records=2000", 60)

    def test_module_in_use_stays(self):
        """rmmod is refused while /okl4 is mounted."""
        self.fails("rmmod okl4fs")
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
        self.cut_off(reader)
        self.cut_off(writer)
        self.fails("exec 3<>/okl4/echo")
        self.bind()
        self.works()

    def test_unbind_and_bind_many_times(self):
        """In full swing each time."""
        for _ in range(5):
            writer = self.start_seq()
            self.unbind(and_bind=True)
            self.cut_off(writer)
        self.works()

    def test_reset_in_mid_stream(self):
        """The machine's reset button: the host's end sees the stream end, the next boot works."""
        self.restarts(self.guest.reset)

    def test_reboot_in_mid_stream(self):
        """A reboot with all files open: the driver's shutdown gives the host's memory back first."""
        since = len(self.guest.console())
        self.restarts(self.guest.reboot)
        self.assertIn("reboot: Restarting system", self.guest.console()[since:])

    def restarts(self, how) -> None:
        """The guest restarts in the middle of a stream."""
        host = HostTool(self.scratch, "stream", f"unix:{self.scratch}/half.sock", "read=eof",
                        "seed=5", "piece=4K")
        writer = self.guest.spawn("okl4test stream /okl4/half write=1G seed=5 progress=4M")
        writer.wait_output("progress written ", 60)  # more than ring and socket hold: some is read
        self.start_seq("other")
        how()
        n, _ = moved(self.ends_well(host))["read"]  # a prefix of the pattern, then the end
        self.assertTrue(0 < n < 1 << 30, n)
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
            written = moved(self.ends_well(command, 120))["written"]
            self.assertEqual(written, moved(self.ends_well(host))["read"])

    def test_2_one_is_killed(self):
        """A QEMU that dies in mid-stream does not disturb the other guest's stream."""
        self.start_seq(guest=self.red)
        blue = self.start_seq(guest=self.blue)
        self.red.kill()
        self.goes_on(blue, 5000)
        self.assertFalse(blue.done())
        blue.signal(signal.SIGKILL)
        self.assertEqual(blue.wait(20)[0], 128 + signal.SIGKILL)
        self.blue.check("okl4test seq /okl4/echo records=2000", 60)
        states = {guest["name"]: guest["connected"]
                  for guest in self.daemon.rpc("guest.list")["guests"]}
        self.assertEqual(states, {"red": False, "blue": True})


if __name__ == "__main__":
    unittest.main()
