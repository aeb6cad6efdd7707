# SPDX-License-Identifier: BSD-3-Clause
"""Guest memory: added and taken away under a stream, in small pieces, and exhausted."""
import re
import unittest

from vm import kernel, testmodule, until
from vm.base import VmTest, echo, listens, pairs

LIMIT_S = 180
MIB = 1 << 20


class MemoryTest(VmTest):
    """Common parts of the tests."""

    def counters(self, name: str) -> dict[str, str]:
        """The driver's counters of a channel."""
        return pairs(self.guest.check(
            f"cat $(grep -lx 'name {name}' /sys/kernel/debug/okl4fs/*/channels/*)"))

    def endless(self):
        """A stream in full swing, until the test ends."""
        command = self.start_seq(progress=100)
        self.addCleanup(lambda: (command.signal(9), command.wait(LIMIT_S)))
        return command


class Hotplug(MemoryTest):
    """A machine with room for more memory."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"echo": {"ring_bytes": 65536, "endpoint": echo()},
                       "new": {"ring_bytes": 16 * MIB, "endpoint": echo()}},
                      qemu_args=["-m", "512,slots=4,maxmem=2G"])

    def total_mib(self) -> int:
        """How much memory the guest has."""
        return int(re.search(r"MemTotal: +(\d+)", self.guest.check("cat /proc/meminfo"))[1]) // 1024

    def add(self, name: str, online: str) -> None:
        """Plug a module of 256 MiB in, and have the guest use it."""
        self.guest.check(f"echo {online} > /sys/devices/system/memory/auto_online_blocks")
        before = self.total_mib()
        self.guest.qmp("object-add", qom_type="memory-backend-memfd", id=f"mem-{name}",
                       size=256 * MIB, share=True)
        self.guest.qmp("device_add", driver="pc-dimm", id=name, memdev=f"mem-{name}")
        until(lambda: self.total_mib() >= before + 256, "the memory in the guest", LIMIT_S)

    def normal_pages(self) -> int:
        """Free pages of the zone in which all memory above 4 GiB is."""
        return int(re.search(r"zone +Normal\n +pages free +(\d+)",
                             self.guest.check("cat /proc/zoneinfo"))[1])

    def test_memory_comes_and_goes(self):
        """Under a stream. A channel that is opened then lies in the new memory, and works."""
        self.assertNotIn("Normal", self.guest.check("cat /proc/buddyinfo"))
        stream = self.endless()
        self.add("first", "online_kernel")
        self.goes_on(stream, 300, LIMIT_S)
        before = self.normal_pages()
        self.guest.check("mkfifo /okl4/new; exec 3<>/okl4/new; exec okl4test seq /okl4/new "
                         "records=2000", LIMIT_S)
        self.assertLess(self.normal_pages(), before - 24 * MIB // 4096)
        self.add("second", "online_movable")
        self.goes_on(stream, 300, LIMIT_S)
        since = self.guest.n_events()
        self.guest.qmp("device_del", id="second")
        self.guest.wait_deleted(since, "second")
        self.goes_on(stream, 300, LIMIT_S)
        self.guest.check("okl4test seq /okl4/new records=2000", LIMIT_S)
        self.assertEqual(self.channel("echo")["errors"], {})


class Scarce(MemoryTest):
    """A test module takes memory away, and leaves single pages."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A debug kernel keeps much for itself
        mem_mib = 1280 if kernel.get().detects else 640
        cls.one_guest({"echo": {"ring_bytes": 65536, "endpoint": echo()},
                       "large": {"ring_bytes": 64 * MIB, "endpoint": echo()},
                       "small": {"ring_bytes": MIB, "endpoint": echo()}}, mem_mib=mem_mib,
                      overlays=[testmodule.overlay(kernel.get(), "okl4frag", cls.scratch)])

    def tearDown(self):
        super().tearDown()
        self.guest.run("rmmod okl4frag; rm -f /okl4/large /okl4/small", LIMIT_S)
        self.wait_given_back("large")

    def free_mib(self) -> int:
        """Free memory."""
        return int(re.search(r"MemFree: +(\d+)", self.guest.check("cat /proc/meminfo"))[1]) // 1024

    def wait_given_back(self, name: str) -> None:
        """Wait until a channel has no memory."""
        until(lambda: self.counters(name)["memory"] == "none",
              lambda: f"{name} to give its memory back", LIMIT_S)

    def wait_free(self, mib: int) -> None:
        """Wait until this much memory is free again."""
        until(lambda: self.free_mib() >= mib,
              lambda: f"{mib} MiB to be free (it is {self.free_mib()})", LIMIT_S)

    def test_given_back(self):
        """Unlink and close again and again: every page is given back."""
        self.guest.check("mkfifo /okl4/large; exec 3<>/okl4/large")
        self.guest.check("rm /okl4/large")
        self.wait_given_back("large")
        before = self.free_mib()
        for _ in range(3):
            self.guest.check("mkfifo /okl4/large; exec 3<>/okl4/large; rm /okl4/large; "
                             "echo hello >&3; head -n 1 <&3", LIMIT_S)
            self.wait_given_back("large")
        self.wait_free(before - 8)
        self.guest.check("mkfifo /okl4/large; exec 3<>/okl4/large")
        self.assertLess(self.free_mib(), before - 100)  # this is how one sees it
        self.guest.check("rm /okl4/large")
        self.wait_free(before - 8)

    def test_single_pages(self):
        """Without adjacent free pages, a memsection has thousands of chunks, and works like any other."""
        self.guest.check("insmod /lib/okl4frag.ko keep_mib=210", LIMIT_S)
        self.guest.check("okl4test seq /okl4/large records=10000 max=64K", 300)
        counters = self.counters("large")
        for way in ("fwd", "bwd"):
            self.assertEqual(counters[f"{way}.chunk_bytes"], "4096")
            self.assertEqual(counters[f"{way}.n_chunks"], str(64 * MIB // 4096))
        self.guest.check("okl4test seq /okl4/small records=2000 max=64K", LIMIT_S)
        self.guest.check("rmmod okl4frag; rm /okl4/small /okl4/large", LIMIT_S)
        self.wait_given_back("large")
        self.guest.check("okl4test seq /okl4/large records=2000", LIMIT_S)
        self.assertNotEqual(self.counters("large")["fwd.chunk_bytes"], "4096")

    def test_out_of_memory(self):
        """An open gets ENOMEM; programs that have memory go on; the OOM killer ends none of them."""
        stream = self.endless()
        since = len(self.guest.console())
        self.guest.check("insmod /lib/okl4frag.ko keep_mib=40; mkfifo /okl4/large /okl4/small",
                         LIMIT_S)
        for _ in range(3):
            self.fails("exec 3<>/okl4/large", "Cannot allocate memory")
            self.goes_on(stream, 300, LIMIT_S)
        self.guest.check("okl4test seq /okl4/small records=300", LIMIT_S)  # it still fits
        self.assertEqual(self.counters("large")["memory"], "none")
        self.guest.check("rmmod okl4frag", LIMIT_S)
        self.guest.check("okl4test seq /okl4/large records=2000", LIMIT_S)
        self.goes_on(stream, 300, LIMIT_S)
        self.assertNotRegex(self.guest.console()[since:], "oom|Out of memory|allocation failure")

    def test_each_allocation_fails_once(self):
        """An open either works or is ENOMEM, whichever of its allocations fails; then it works."""
        if self.guest.run("test -e /proc/self/fail-nth -a -e /sys/kernel/debug/failslab -a "
                          "-e /sys/kernel/debug/fail_page_alloc")[0]:
            self.skipTest("this kernel has no CONFIG_FAIL_PAGE_ALLOC, _FAILSLAB with debugfs")
        self.guest.check("cd /sys/kernel/debug && echo N > failslab/ignore-gfp-wait && "
                         "echo N > fail_page_alloc/ignore-gfp-wait && "
                         "echo 0 > fail_page_alloc/min-order && "
                         "echo 0 > failslab/verbose && echo 0 > fail_page_alloc/verbose")
        output = self.guest.check("okl4test failing /okl4/small", 300)
        self.assertRegex(output, r"failed \d+ opens of \d+")
        self.guest.check("okl4test seq /okl4/small records=300", LIMIT_S)


class Bounded(MemoryTest):
    """Rings are charged, bounded, and given back."""

    N_CHANNELS = 6
    RING_BYTES = 4 * MIB

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({f"c{i}": {"ring_bytes": cls.RING_BYTES,
                                 "endpoint": listens(cls.scratch / f"c{i}.sock")}
                       for i in range(cls.N_CHANNELS)})
        cls.guest.check("umount /okl4; mount -t okl4fs -o populate okl4fs /okl4")

    def wait_memory(self, name: str, there: bool) -> None:
        """Wait until a channel has memory, or has none."""
        until(lambda: (self.counters(name)["memory"] != "none") == there,
              lambda: f"memory of {name}: {there}", LIMIT_S)

    def open_all(self, before: str = "") -> str:
        """Open one channel after the other and keep them; what the shell says until one fails."""
        opens = "".join(f"exec {i + 3}</okl4/c{i} && echo open {i}\n"
                        for i in range(self.N_CHANNELS))
        return self.guest.run(f"sh -c '{before}\n{opens}' 2>&1", LIMIT_S)[1]

    def test_given_back_at_the_last_close(self):
        """The nodes stay, the rings do not; and a channel works again when it is opened again."""
        for _ in range(2):
            self.assertEqual(self.open_all().count("open"), self.N_CHANNELS)
            for i in range(self.N_CHANNELS):
                self.wait_memory(f"c{i}", False)

    def test_kept_while_bytes_are_there(self):
        """What was not taken yet is delivered to a client that comes later; then the rings are given back."""
        for text in ("late", "again"):
            self.guest.check(f"echo {text} > /okl4/c0")
            self.wait_memory("c0", True)
            with self.client(self.scratch / "c0.sock", LIMIT_S) as client:
                self.assertEqual(client.recv(100), f"{text}\n".encode())
            self.wait_memory("c0", False)

    def test_charged_to_the_opener(self):
        """In a cgroup of 20 MiB, two channels of twice 4 MiB can be open."""
        if self.guest.run("grep -q memory /proc/cgroups")[0]:
            self.skipTest("this kernel has no memory cgroups")
        self.guest.check("mkdir -p /tmp/cg && mount -t cgroup2 cg /tmp/cg && "
                         "echo +memory > /tmp/cg/cgroup.subtree_control && "
                         "mkdir /tmp/cg/small && echo 20M > /tmp/cg/small/memory.max")
        self.addCleanup(self.guest.run, "rmdir /tmp/cg/small; umount /tmp/cg")
        output = self.open_all("echo $$ > /tmp/cg/small/cgroup.procs")
        self.assertIn("Cannot allocate memory", output)
        self.assertEqual(len(re.findall(r"^open \d", output, re.M)), 2, output)

    def test_bounded_by_a_parameter(self):
        """All rings together: 20 MiB, so two channels of twice 4 MiB; the third is ENOSPC."""
        parameter = "/sys/module/okl4fs/parameters/rings_mib"
        self.guest.check(f"echo 20 > {parameter}")
        self.addCleanup(self.guest.check, f"echo 0 > {parameter}")
        output = self.open_all()
        self.assertIn("No space left on device", output)
        self.assertEqual(len(re.findall(r"^open \d", output, re.M)), 2, output)


if __name__ == "__main__":
    unittest.main()
