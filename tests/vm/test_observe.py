# SPDX-License-Identifier: BSD-3-Clause
"""What can be seen of the driver: tracepoints, counters in debugfs, parameters, modinfo."""
import re
import subprocess
import unittest

from vm import Deadline, guest_config, kernel, paths
from vm.base import VmTest, echo, listens, pairs

DEBUGFS = "/sys/kernel/debug/okl4fs/$(ls /sys/kernel/debug/okl4fs)"
TRACING = "/sys/kernel/debug/tracing"
PARAMETERS = "/sys/module/okl4fs/parameters"
ODD_NAME = 'odd \\name\t\xe9"'
ECHOES = ("echo", "talk", "traced", "counted", "spun", "mine", ODD_NAME)
RING = 65536


def examples() -> list[str]:
    """The commands that okl4fs-driver(4) shows."""
    page = (paths.ROOT / "docs/okl4fs-driver.4").read_text(encoding="utf-8")
    return [text.replace("\\-", "-").replace("\\e", "\\")
            for text in re.findall(r"^\.EX\n(.*?)^\.EE", page, re.M | re.S)]


class Observe(VmTest):
    """One guest; QEMU listens, so that the daemon can go and come back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        socket = cls.scratch / "vm.sock"
        config = guest_config("vm", socket, {
            **{name: echo() for name in ECHOES}, "out": listens(cls.scratch / "out.sock")},
            socket_mode="connect")
        for channel in config["channels"]:
            channel["ring_bytes"] = RING
            channel["exclusive"] = channel["name"] == "mine"
        cls.start_daemon([config])
        cls.guest = cls.start_guest(socket, serve=True, way="fs")

    def device(self) -> dict[str, str]:
        """The device's file."""
        return pairs(self.guest.check(f"cat {DEBUGFS}/device"))

    def counters(self, name: str) -> dict[str, str]:
        """The file of the channel that is shown under a name."""
        found = [shown for text in self.guest.check(
                     f'for f in {DEBUGFS}/channels/*; do cat $f; echo ---; done').split("---\n")
                 if (shown := pairs(text)).get("name") == name]
        self.assertEqual(len(found), 1, f"channels called {name}")
        return found[0]

    def need_tracing(self) -> None:
        """Skip the test if the kernel has no tracing: Debian's kernels have it, small special ones may not."""
        if self.guest.run(f"test -d {TRACING}/events/okl4fs")[0]:
            self.assertNotEqual(kernel.default(), kernel.DEFAULT)
            self.skipTest("this kernel was built without tracing")

    def traced(self, command: str) -> list[tuple[str, dict[str, str]]]:
        """Run a command with all our tracepoints on: [(event, {field: value})]."""
        self.need_tracing()
        self.guest.check(f"cd {TRACING} && echo > trace && echo 1 > events/okl4fs/enable")
        self.guest.check(command, 60)
        self.guest.check(f"echo 0 > {TRACING}/events/okl4fs/enable")
        text = self.guest.check(f"cat {TRACING}/trace")
        return [(event, dict(word.partition("=")[::2] for word in fields.split()))
                for event, fields in re.findall(r": okl4fs_(\w+): (.*)", text)]

    # Tracepoints

    def test_trace_of_a_conversation(self):
        """Attach, open, stall, wake-ups both ways, close, detach: each with its fields."""
        events = self.traced("mkfifo /okl4/traced; exec 3<>/okl4/traced; echo hello >&3; "
                             "read line <&3; exec 3>&-; rm /okl4/traced")
        for event, fields in events:
            if event == "attach" and fields["name"] == "traced":
                self.assertEqual((fields["ring_bytes"], fields["result"]), (str(RING), "0"))
                self.assertEqual(int(fields["n_chunks"]) * int(fields["chunk_bytes"]), RING)
        of = [(event, fields) for event, fields in events if fields.get("name") == "traced"]
        names = [event for event, _ in of]
        for event in ("attach", "open", "wake_sent", "wake_received", "close"):
            self.assertIn(event, names)
        self.assertLess(names.index("attach"), names.index("open"))
        opened, closed = (next(fields for event, fields in of if event == wanted)
                          for wanted in ("open", "close"))
        self.assertEqual((opened["reads"], opened["writes"], opened["n_readers"],
                          opened["result"]), ("1", "1", "1", "0"))
        self.assertEqual((closed["n_readers"], closed["n_writers"]), ("0", "0"))
        detached = self.traced("okl4test seq /okl4/talk records=2 && rm /okl4/talk")
        self.assertIn(("detach", "0"), [(event, fields.get("result"))
                                        for event, fields in detached])

    def test_trace_of_stalls(self):
        """A reader on an empty ring stalls; events can be filtered by name."""
        self.need_tracing()
        self.guest.check("mkfifo /okl4/traced")
        self.guest.check(f"echo 'name == \"traced\"' > {TRACING}/events/okl4fs/okl4fs_stall/filter")
        events = self.traced("head -c 6 /okl4/traced & "
                             f"until grep -q okl4fs_stall {TRACING}/trace; do :; done; "
                             "echo hello > /okl4/traced; wait")
        self.guest.check(f"echo 0 > {TRACING}/events/okl4fs/okl4fs_stall/filter; rm /okl4/traced")
        stalls = [fields for event, fields in events if event == "stall"]
        self.assertTrue(stalls)
        self.assertTrue(all(fields["name"] == "traced" and "empty" in fields for fields in stalls))

    def test_trace_of_refusals(self):
        """An open that is refused says why, and is counted."""
        before = self.counters("mine").get("errors.open_EBUSY", "0")
        events = self.traced("mkfifo /okl4/mine; exec 3>/okl4/mine; "
                             "! sh -c 'exec 4>/okl4/mine' 2>/dev/null; exec 3>&-; rm /okl4/mine")
        self.assertIn("-16", [fields["result"] for event, fields in events if event == "open"])
        self.assertEqual(int(self.counters("mine")["errors.open_EBUSY"]), int(before) + 1)

    def test_examples_of_the_manual(self):
        """What the manual page shows does what it says."""
        self.need_tracing()
        who_sleeps, watch = examples()
        lines = self.guest.check(who_sleeps).splitlines()
        self.assertEqual(len(lines), 2 * (len(ECHOES) + 1))
        for line in lines:
            self.assertRegex(line, r"^\S+ (tx\.stalls_full|rx\.stalls_empty) \d+$")
        talk = self.start_seq()
        self.addCleanup(self.guest.check, f"for f in {TRACING}/events/okl4fs/*/filter; do "
                        "echo 0 > $f; done; rm /okl4/echo")
        self.addCleanup(talk.wait, 20)
        self.addCleanup(talk.signal, 9)
        self.guest.check(f"echo > {TRACING}/trace")
        seen, deadline = [], Deadline(60)
        while not {"okl4fs_wake_sent", "okl4fs_wake_received"} <= {event for event, _ in seen}:
            deadline.check(f"wake-ups to be seen ({seen})")
            seen = re.findall(r": (okl4fs_\w+): .*name=(\S+)", self.guest.check(watch))
        self.assertEqual({name for _, name in seen}, {"echo"})

    # Counters

    def test_counters_of_a_conversation(self):
        """Bytes, messages and openers are counted exactly."""
        self.guest.check("mkfifo /okl4/counted; exec 3<>/okl4/counted; for i in 1 2 3 4 5; do "
                         "dd if=/dev/zero bs=1000 count=1 >&3; dd bs=1000 count=1 iflag=fullblock "
                         "<&3 >/dev/null; done 2>/dev/null")
        shown = self.counters("counted")
        for side in ("tx", "rx"):
            self.assertEqual(shown[f"{side}.bytes"], "5000", shown)
            self.assertEqual((shown[f"{side}.opens"], shown[f"{side}.n_open"]), ("1", "0"))
            self.assertEqual(shown[f"{side}.ring_fill_bytes"], "0")
            self.assertEqual(shown[f"{side}.guest_state"], "closed")
            self.assertEqual(shown[f"{side}.guest_epoch"], "1")
        self.assertEqual(shown["tx.messages"], "5")
        self.assertGreaterEqual(int(shown["rx.messages"]), 5)
        self.assertGreater(int(shown["tx.wakes_sent"]), 0)
        self.assertGreater(int(shown["wakes_received"]), 0)
        self.assertEqual((shown["memory"], shown["ring_bytes"]), ("attached", str(RING)))
        for sec in ("fwd", "bwd"):
            self.assertEqual(int(shown[f"{sec}.n_chunks"]) * int(shown[f"{sec}.chunk_bytes"]), RING)
        self.guest.check("rm /okl4/counted")

    def test_counters_of_a_full_ring(self):
        """A writer whose bytes are not taken: the file shows how full the ring is, and the stall."""
        self.guest.check("mkfifo /okl4/out")
        writer = self.guest.spawn("exec dd if=/dev/zero bs=4096 count=1000 of=/okl4/out")
        self.guest.check(f"until grep -q '^tx.stalls_full 1' {DEBUGFS}/channels/*; do :; done", 60)
        shown = self.counters("out")
        writer.signal(9)
        writer.wait(20)
        self.assertEqual((shown["tx.ring_fill_bytes"], shown["tx.bytes"]), (str(RING), str(RING)))
        self.assertEqual((shown["tx.n_open"], shown["tx.guest_state"]), ("1", "open"))
        self.assertEqual(shown["tx.host_state"], "never_opened")

    def test_odd_names(self):
        """Spaces, backslashes and non-ASCII bytes are octal, so that a name cannot span lines."""
        shown = self.counters(r'odd\040\134name\011\303\251"')
        self.assertEqual(shown["memory"], "none")

    def test_trace_of_odd_names(self):
        """As in debugfs: what a host calls a channel cannot forge a line of the trace."""
        events = self.traced("okl4test seq \"$(printf '/okl4/odd \\\\name\\t\\303\\251\"')\" records=2")
        self.assertIn(r'odd\040\134name\011\303\251"',
                      [fields.get("name") for event, fields in events if event == "open"])

    def test_files_that_are_held_open(self):
        """A file of a device that goes gives EIO; it comes again with the device."""
        driver = "/sys/bus/virtio/drivers/okl4fs"
        self.guest.check(
            f"set -e; d=$(ls /sys/kernel/debug/okl4fs); exec 3<{DEBUGFS}/channels/0; "
            f"echo $d > {driver}/unbind; ! cat <&3 2>/tmp/said; grep -qi 'i.*o.* error' /tmp/said; "
            f"! test -e /sys/kernel/debug/okl4fs/$d; echo $d > {driver}/bind; "
            f"test -e /sys/kernel/debug/okl4fs/$d/channels/0; ! cat <&3 2>/dev/null; "
            "! rmmod okl4fs 2>/dev/null", 60)

    def test_readers_while_the_driver_comes_and_goes(self):
        """Programs that read all the time get whole files, ENOENT, ENXIO or EIO, and nothing crashes."""
        readers = [self.guest.spawn("while :; do cat /sys/kernel/debug/okl4fs/*/channels/* "
                                    "/sys/kernel/debug/okl4fs/*/device; done >/dev/null 2>&1")
                   for _ in range(2)]
        self.guest.check("cd /sys/bus/virtio/drivers/okl4fs; d=$(echo virtio*); "
                         "for i in 1 2 3 4 5 6 7 8 9 10; do echo $d > unbind; echo $d > bind; done",
                         60)
        for reader in readers:
            self.assertFalse(reader.done())
            reader.signal(9)
            reader.wait(20)
        self.assertEqual(self.device()["channels"], str(len(ECHOES) + 1))

    def test_host_that_is_lost(self):
        """The device's file and the trace show that a host died and that one came back."""
        self.need_tracing()
        before = self.device()
        self.assertEqual((before["host"], before["carrier"]), ("there", "fs"))
        self.guest.check(f"mkfifo /okl4/talk; cd {TRACING} && echo > trace && "
                         "echo 1 > events/okl4fs/enable")
        reader = self.guest.spawn("head -c 6 /okl4/talk")
        self.guest.check(f"until grep -q okl4fs_stall {TRACING}/trace; do :; done", 60)
        self.daemon.kill()
        self.guest.check(f"until grep -q okl4fs_reset {TRACING}/trace; do :; done", 60)
        self.assertEqual(self.device()["host"], "silent")
        self.daemon.start()
        self.guest.check(f"until grep -q okl4fs_up {TRACING}/trace; do :; done", 60)
        self.guest.check("echo hello > /okl4/talk", 60)
        self.assertEqual(reader.wait(60), (0, "hello\n"))
        self.guest.check(f"echo 0 > {TRACING}/events/okl4fs/enable; rm /okl4/talk")
        after = self.device()
        self.assertEqual(after["host"], "there")
        for key, more in (("set_ups", 1), ("losses", 1), ("pings", 1)):
            self.assertGreaterEqual(int(after[key]), int(before[key]) + more, key)

    # Parameters and modinfo

    def test_parameters(self):
        """Defaults, changes while it runs, limits with a message."""
        self.assertEqual(self.guest.check(f"cd {PARAMETERS} && cat ping_ms request_ms spin_us"),
                         "1000\n3000\n0\n")
        for name, good, bad in (("ping_ms", (0, 10, 3600000), (9, 3600001, -1, "x", "")),
                                ("request_ms", (100, 600000), (0, 99, 600001, "1e3")),
                                ("spin_us", (1, 1000, 0), (1001, -1))):
            default = self.guest.check(f"cat {PARAMETERS}/{name}").strip()
            for value in good:
                self.guest.check(f"echo {value} > {PARAMETERS}/{name}")
                self.assertEqual(self.guest.check(f"cat {PARAMETERS}/{name}"), f"{value}\n")
            for value in bad:
                since = len(self.guest.console())
                status, _ = self.guest.run(f"echo '{value}' > {PARAMETERS}/{name}")
                self.assertNotEqual(status, 0, f"{name}={value} was taken")
                self.guest.wait_console(f"okl4fs: {name}={value}: must be ", 20, since)
            self.guest.check(f"echo {default} > {PARAMETERS}/{name}")

    def test_spinning(self):
        """With a spin before each sleep the same bytes arrive, and a reader that finds none still sleeps."""
        self.guest.check(f"echo 1000 > {PARAMETERS}/spin_us")
        self.guest.check("okl4test seq /okl4/echo records=2000 && rm /okl4/echo", 60)
        self.guest.check("mkfifo /okl4/spun")
        reader = self.guest.spawn("head -c 6 /okl4/spun")
        self.guest.check(f"f=$(grep -lx 'name spun' {DEBUGFS}/channels/*); "
                         "until grep -q '^rx.stalls_empty 1' $f; do :; done; "
                         "echo hello > /okl4/spun; rm /okl4/spun", 60)
        self.assertEqual(reader.wait(60), (0, "hello\n"))
        self.guest.check(f"echo 0 > {PARAMETERS}/spin_us")

    def test_refused_at_loading(self):
        """A module with a bad parameter is not loaded."""
        self.guest.check("umount /okl4 && rmmod okl4fs")
        self.fails("insmod /lib/okl4fs.ko request_ms=5")
        self.guest.check("insmod /lib/okl4fs.ko ping_ms=500 request_ms=2000 && "
                         f"grep -q 500 {PARAMETERS}/ping_ms")
        self.guest.check("rmmod okl4fs; ! test -e /sys/kernel/debug/okl4fs; "
                         "insmod /lib/okl4fs.ko && mount -t okl4fs okl4fs /okl4")

    def test_modinfo(self):
        """modinfo shows every field, with the version of the whole project."""
        said: dict[str, list[str]] = {}
        for line in subprocess.run(
                ["/usr/sbin/modinfo", kernel.module(kernel.get())], check=True,
                capture_output=True, text=True).stdout.splitlines():
            key, _, value = line.partition(":")
            said.setdefault(key, []).append(value.strip())
        self.assertEqual(said["version"], [self.daemon.rpc("version")["version"]])
        self.assertEqual(said["license"], ["GPL"])
        self.assertCountEqual(said["alias"], ["fs-okl4fs", "virtio:d0000001Av346C6B6F*",
                                              "virtio:d00000026v*"])
        self.assertEqual(len(said["description"]) * len(said["author"]), 1)
        parameters = {line.partition(":")[0]: line for line in said["parm"]}
        self.assertCountEqual(parameters, ["drain_ms", "ping_ms", "request_ms", "rings_mib",
                                           "spin_us"])
        for line in parameters.values():
            self.assertRegex(line, r"in ([mu]s|MiB): \d+ to \d+.*\(default \d+\) \(uint\)")


if __name__ == "__main__":
    unittest.main()
