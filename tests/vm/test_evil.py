# SPDX-License-Identifier: BSD-3-Clause
"""A hostile guest: nonsense on the queues, scribbling over shared memory. Its channel fails; the
daemon and the other guest are not disturbed. (The kinds: tests/vm/guest/okl4test/evil_*.c)"""
import re
import unittest

from vm import guest_config, kernel, testmodule
from vm.base import VmTest, add_tests, echo
from vm.hostend import listing

RING_BYTES = 65536


class Evil(VmTest):
    """A guest that misbehaves, and one that streams all the while."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon([guest_config(name, cls.scratch / f"{name}.sock", {
            "target": {"ring_bytes": RING_BYTES, "endpoint": echo()}}) for name in ("evil", "good")])
        overlay = testmodule.overlay(kernel.get(), "okl4evil", cls.scratch)
        cls.good = cls.start_guest(cls.scratch / "good.sock", smp=1, mem_mib=256, wait=False)
        cls.evil = cls.start_guest(cls.scratch / "evil.sock", smp=1, mem_mib=256,
                                   overlays=[overlay])
        cls.good.wait_ready()
        cls.evil.check("umount /okl4 && rmmod okl4fs && insmod /lib/okl4evil.ko")
        cls.stream = cls.start_seq("target", cls.good)

    def errors(self) -> dict[str, int]:
        """Violations that the daemon has counted for the hostile guest's channel."""
        return self.channel("target", "evil")["errors"]

    def run_evil(self, name: str) -> list[tuple[str, str]]:
        """Run one kind; the daemon must count it and stay healthy. Returns the failures that were seen."""
        pid, since, before = self.daemon.pid, len(self.daemon.log()), self.errors()
        status, output = self.evil.run(f"okl4test evil {name} seed={since}", 120)
        self.assertEqual(status, 0, output)
        self.assertIn(f"ok {name}\n", output)
        self.assertTrue(self.daemon.running() and self.daemon.pid == pid)
        failures = re.findall("^fails ([A-Z_]+): (.*)$", output, re.M)
        after = self.errors()
        for reason, _ in failures:
            self.assertEqual(after.get(reason, 0), before.get(reason, 0) + 1, reason)
        self.assertNotIn("guest good", self.daemon.log()[since:])
        self.goes_on(self.stream)
        return failures

    def test_aa_log_names_guest_channel_and_reason(self):
        """Runs first, before log lines are left out because there are too many."""
        for kind in ("tail_past_head", "head_back"):
            since = len(self.daemon.log())
            for _, sentence in self.run_evil(kind):
                self.assertRegex(self.daemon.log()[since:],
                                 rf"guest evil: channel target: .*{re.escape(sentence)}")

    def test_zz_the_good_driver_again(self):
        """The same guest, with the real driver loaded again."""
        self.evil.check("rmmod okl4evil && insmod /lib/okl4fs.ko && "
                        "mount -t okl4fs okl4fs /okl4", 30)
        self.evil.check("okl4test seq /okl4/target records=2000", 60)
        self.goes_on(self.stream)


add_tests(Evil, "evil_", listing("evil"), Evil.run_evil)

if __name__ == "__main__":
    unittest.main()
