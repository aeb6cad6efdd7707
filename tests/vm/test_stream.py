# SPDX-License-Identifier: BSD-3-Clause
"""Much data, both ways at once, in calls of 1 byte to 1 MiB of odd lengths."""
import hashlib
import random
import unittest

from vm import Process, paths
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved

BULK = 256 << 20


class Stream(VmTest):
    """A guest and a host process at the channel's socket."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = ("bulk", "faulty", "attached", "tiny", "reload")
        cls.one_guest({
            **{name: listens(cls.scratch / f"{name}.sock") for name in names},
            "tiny": {"ring_bytes": 4096, "endpoint": listens(cls.scratch / "tiny.sock")},
            "large": {"ring_bytes": 64 << 20, "endpoint": echo()},
            "echo": echo()})

    def both_ways(self, channel: str, size: int, timeout: float) -> None:
        """Move `size` bytes each way and compare the hashes of both ends."""
        host = HostTool(self.scratch, "stream", f"unix:{self.scratch}/{channel}.sock",
                        f"write={size}", f"read={size}", "seed=11", "read_seed=22")
        command = f"okl4test stream /okl4/{channel} write={size} read={size} seed=22 read_seed=11"
        try:
            in_guest = moved(self.guest.check(command, timeout))
            status, output = host.wait(timeout)
        finally:
            host.kill()
        on_host = moved(output)
        self.assertEqual(status, 0, output)
        self.assertEqual(in_guest["written"], on_host["read"])
        self.assertEqual(on_host["written"], in_guest["read"])
        self.assertEqual(on_host["read"][0], size)

    def test_256_mib_each_way_at_once(self):
        """The hashes of what was written are those of what was read."""
        self.both_ways("bulk", BULK, 300)
        for way in ("fwd", "bwd"):
            self.assertEqual(self.channel("bulk")[way]["bytes"], BULK)

    def test_smallest_ring(self):
        """The same over rings of one page."""
        self.both_ways("tiny", 8 << 20, 120)

    def test_largest_ring(self):
        """More than a ring of 64 MiB, through an echo."""
        self.guest.check("okl4test seq /okl4/large records=200000 max=4K", 120)

    def test_a_wrong_byte_is_found(self):
        """Check the test itself: one flipped bit in 20 MB is found."""
        host = HostTool(self.scratch, "stream", f"unix:{self.scratch}/faulty.sock", "read=20000000")
        # The writer, too, may fail: the reader ends at the wrong byte.
        self.guest.run("okl4test stream /okl4/faulty write=20000000 corrupt=12345678", 60)
        status, output = host.wait(60)
        self.assertNotEqual(status, 0)
        self.assertIn("byte 12345678 is wrong", output)

    def test_okl4fsctl_attach(self):
        """`okl4fsctl attach` connects its stdin and stdout to the channel, and ends with the stream."""
        sent, back = random.Random(3).randbytes(1234567), random.Random(4).randbytes(765432)
        (self.scratch / "sent").write_bytes(sent)
        with open(self.scratch / "sent", "rb") as source, \
                open(self.scratch / "came", "wb") as sink:
            attach = Process([paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, "attach",
                              "vm/attached"], stdin=source, stdout=sink)
        self.addCleanup(attach.kill)
        command = self.guest.spawn("mkfifo /okl4/attached; exec 3<>/okl4/attached 4<&0; "
                                   f"cat <&4 >&3 & head -c {len(sent)} <&3 | sha256sum; wait",
                                   stdin=True)
        command.write(back)
        command.close_input()
        self.assertEqual(command.wait(60)[1].split()[0], hashlib.sha256(sent).hexdigest())
        self.assertEqual(attach.wait(60), 0)
        self.assertEqual((self.scratch / "came").read_bytes(), back)


class LostBells(VmTest):
    """A machine that can have one CPU only: TCG then emits no atomics and no barriers, and bells do
    get lost between the guest and the daemon. The driver finds them after a second."""

    def test_stream_goes_on(self):
        """Many wake-ups, over a small ring."""
        self.one_guest({"echo": {"ring_bytes": 65536, "endpoint": echo()}}, smp=1,
                       qemu_args=["-smp", "1,maxcpus=1"])
        self.guest.check("okl4test seq /okl4/echo records=200000", 180)


if __name__ == "__main__":
    unittest.main()
