# SPDX-License-Identifier: BSD-3-Clause
"""The detectors of the debug kernels work: each fault of tests/vm/okl4plant is found and reported."""
import unittest

from vm import Guest, built_kernel, detectors, kernel, remove_scratch, scratch_dir, testmodule
from vm.base import add_tests

TIMEOUT_S = 3600
REPORT_LIMIT_S = 120
# KCSAN looks at one access in this many, which is more of them than by default
SKIP_WATCH = 500


class Planted(unittest.TestCase):
    """A guest in which faults are committed. Tests run in the order of their names."""
    name: str

    @classmethod
    def setUpClass(cls):
        scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, scratch)
        overlay = testmodule.overlay(kernel.get(cls.name), "okl4plant", scratch)
        cls.guest = Guest(kernel=cls.name, driver=False, smp=2, overlays=[overlay])
        cls.addClassCleanup(cls.guest.stop)
        cls.guest.check("insmod /lib/okl4plant.ko")

    def commit(self, fault: str) -> None:
        """Commit a fault."""
        self.guest.check(f"echo {fault} > /sys/module/okl4plant/parameters/fault")

    def found(self, fault: str, report: str) -> None:
        """A fault must make the console show a report, and the harness must take it for one."""
        since = len(self.guest.console())
        self.assertIsNone(detectors.complaint(self.guest.console()[since:]))
        self.commit(fault)
        self.guest.wait_console(report, REPORT_LIMIT_S, since)
        self.guest.wait_console("okl4plant]", REPORT_LIMIT_S, since)
        self.commit("none")
        self.assertIsNotNone(detectors.complaint(self.guest.console()[since:]))


class OnKasan(Planted):
    """lockdep ends with its first report, and with one of KASAN: so those of locks come first."""
    name = "kasan"

    def test_00_nothing_is_reported_yet(self):
        self.assertIsNone(detectors.complaint(self.guest.console()))
        detectors.check(self.guest)

    def test_04_lockdep_has_ended(self):
        with self.assertRaisesRegex(detectors.Complaint, "lockdep"):
            detectors.check(self.guest)

    def test_05_leak(self):
        self.commit("leak")
        self.assertRegex(detectors.leaks(self.guest),
                         r"(?s)unreferenced object .*\(size 2048\).*leak.*\[okl4plant\]")

    def test_06_leak_of_a_module_that_has_gone(self):
        self.guest.check("echo clear > /sys/kernel/debug/kmemleak")
        self.commit("leak")
        self.guest.check("rmmod okl4plant")
        self.assertIn("(size 2048)", detectors.leaks(self.guest))
        self.guest.check("insmod /lib/okl4plant.ko")


class OnKcsan(Planted):
    """Two threads that run into each other."""
    name = "kcsan"

    def test_00_nothing_is_reported_yet(self):
        self.assertIsNone(detectors.complaint(self.guest.console()))
        detectors.check(self.guest)
        self.guest.check(f"echo {SKIP_WATCH} > /sys/module/kcsan/parameters/skip_watch")


KASAN = {
    "01_rcu_without_lock": "suspicious RCU usage",
    "02_sleep_in_atomic": "BUG: sleeping function called from invalid context",
    "03_lock_order": "possible circular locking dependency",
    "use_after_free": "BUG: KASAN: use-after-free in",
    "out_of_bounds": "BUG: KASAN: slab-out-of-bounds in",
    "vmalloc_out_of_bounds": "BUG: KASAN: vmalloc-out-of-bounds in",
    "shift_too_far": "UBSAN: shift-out-of-bounds in",
    "free_armed_timer": "ODEBUG: free active",
    "corrupt_list": "list_del corruption",
}
KCSAN = {
    "data_race_plain": "BUG: KCSAN: data-race in count_plainly",
    "data_race_with_host": "BUG: KCSAN: data-race in read_plainly",
    "missing_release": "BUG: KCSAN: data-race in publish_unordered",
}
add_tests(OnKasan, "", KASAN, lambda self, name: self.found(name.lstrip("0123456789_"), KASAN[name]))
add_tests(OnKcsan, "", KCSAN, lambda self, name: self.found(name, KCSAN[name]))

RACE = """\
[   12.000000] ==================================================================
[   12.000000] BUG: KCSAN: data-race in {where}

[   12.000000] write to 0xffff888001234567 of 8 bytes by task 70 on cpu 1:
[   12.000000]  {where}+0x1d/0x30{module}
[   12.000000]  kthread+0x11/0x20

[   12.000000] Reported by Kernel Concurrency Sanitizer on:
[   12.000000] CPU: 1 PID: 70 Comm: okl4plant/1 Tainted: G           O       6.1.0
[   12.000000] ==================================================================
"""


class Judgement(unittest.TestCase):
    """What is taken for a complaint, and what for a kernel as asked for."""

    def test_races_elsewhere_are_not_ours(self):
        """Strict rules find races in the kernel itself, between ours too."""
        theirs = RACE.format(where="tick_nohz_stop", module="")
        ours = RACE.format(where="pipe_write", module=" [okl4fs]")
        quiet = "[   13.000000] all is well\n"
        self.assertIsNone(detectors.complaint(quiet + theirs + quiet + theirs))
        self.assertIn("pipe_write", detectors.complaint(theirs + quiet + ours + quiet + theirs))
        virtio = RACE.format(where="virtqueue_get_buf_ctx", module="")
        virtio = virtio.replace("kthread", "take_events [okl4fs]")
        self.assertIsNone(detectors.complaint(virtio))
        times = virtio.replace("virtqueue_get_buf_ctx", "atime_needs_update / generic_update_time")
        self.assertIsNone(detectors.complaint(times))
        mixed = times.replace("generic_update_time", "pipe_write")
        self.assertIsNotNone(detectors.complaint(mixed))
        self.assertIn("WARNING", detectors.complaint(theirs + "WARNING: here\n" + theirs))

    def test_a_report_that_is_not_complete_yet(self):
        for module, judgement in ((" [okl4fs]", self.assertIsNotNone), ("", self.assertIsNone)):
            report = RACE.format(where="pipe_write", module=module)
            judgement(detectors.complaint(report[:report.index("kthread")]))

    def test_dropped_options_are_named(self):
        """kconfig drops an option without a word when what it depends on is not there."""
        wanted = "CONFIG_A=y\n# CONFIG_B is not set\n# a remark\nCONFIG_C=7\n"
        self.assertEqual(built_kernel.lost(wanted, wanted), [])
        self.assertEqual(built_kernel.lost(wanted, "CONFIG_B=y\nCONFIG_C=70\n"),
                         ["CONFIG_A=y", "# CONFIG_B is not set", "CONFIG_C=7"])


if __name__ == "__main__":
    unittest.main()
