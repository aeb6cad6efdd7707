# SPDX-License-Identifier: BSD-3-Clause
"""The table of the fifo's behaviour, one test per row (the rows: tests/vm/guest/okl4test/rows_*.c)."""
import re
import shlex
import socket
import unittest

from vm import paths
from vm.base import VmTest, add_tests, echo, listens
from vm.fifo_peer import FifoPeer
from vm.hostend import listing

RING_BYTES = 65536

# A name may have up to 63 bytes, any except "/" and NUL.
NAMES = ["n" * 63, "x", "-rf", "...", "*?[", "a b'\"\\\n\té\x7f"]


class Rows(VmTest):
    """One guest; each row has a channel of its own."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        channels = {name: {"ring_bytes": RING_BYTES, "exclusive": name.startswith("exclusive_"),
                           "endpoint": listens(cls.scratch / f"{name}.sock")}
                    for name in [*listing("row"), *listing("compare"), "peer_ctl"]}
        for name in listing("row"):
            if name.startswith("session_"):
                channels[name]["sessions"] = 2
        channels["mount_host_access"] |= {"guest_mode": "0400", "guest_uid": 65534, "guest_gid": 7}
        channels |= {name: {"ring_bytes": 4096, "endpoint": echo()} for name in NAMES}
        channels["echo"] = echo()
        channels["discard"] = {"ring_bytes": 16 << 20, "endpoint": {"type": "discard"}}
        channels["packet_echo"] = {"ring_bytes": RING_BYTES, "packets": True, "endpoint": echo()}
        channels["packet_host"] = {"packets": True,
                                   "endpoint": listens(cls.scratch / "packet_host.sock")}
        channels["session_echo"] = {"sessions": 8, "endpoint": echo()}
        channels["session_nobody"] = {"sessions": 8, "endpoint": {
            "type": "unix-connect", "path": str(cls.scratch / "nobody.sock")}}
        channels["small_echo"] = {"ring_bytes": 4096, "endpoint": echo()}
        cls.one_guest(channels)
        cls.peer = FifoPeer(cls.scratch)
        cls.addClassCleanup(cls.peer.close)
        # Keep it open, or the peer's stream would end with each row.
        cls.guest.check("mkfifo /okl4/peer_ctl")
        cls.guest.spawn("exec sleep 100000 <>/okl4/peer_ctl")

    def run_row(self, name: str) -> None:
        """Run a row in the guest."""
        try:
            status, output = self.guest.run(f"okl4test row {name}", 90)
        finally:
            self.peer.reset()
        self.assertEqual((status, output), (0, f"ok {name}\n"))

    def test_names(self):
        """Each name is a channel, made by hand and by populate."""
        self.guest.check("mkdir -p /tmp/all && mount -t okl4fs -o populate all /tmp/all")
        for folder in ("/okl4", "/tmp/all"):
            for name in NAMES:
                with self.subTest(folder=folder, name=name):
                    path = shlex.quote(f"{folder}/{name}")
                    if folder == "/okl4":
                        self.guest.check(f"mkfifo {path}")
                    self.assertEqual(self.guest.check(
                        f"exec 3<>{path}; echo hello >&3; head -n1 <&3"), "hello\n")
        self.guest.check("umount /tmp/all")

    def test_compare(self):
        """Where a channel is not as a fifo of Linux, docs/okl4fs.7 says so, and only there."""
        output = self.guest.check("okl4test compare all", 300)
        found = dict(re.findall(r"^differs (\w+): (.*)$", output, re.M))
        same = re.findall(r"^same (\w+): ", output, re.M)
        self.assertEqual(len(found) + len(same), len(listing("compare")), output)
        page = (paths.ROOT / "docs/okl4fs.7").read_text()
        section = page.split(".Sh DIFFERENCES FROM A FIFO\n")[1].split("\n.Sh ")[0]
        told = dict(re.findall(r"^\.It Sy (\w+)\n\.Ql (.*)$", section, re.M))
        self.assertEqual(found, told)

    def test_messages_with_the_host(self):
        """A program of the host with a SOCK_SEQPACKET socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(60)
            sock.connect(str(self.scratch / "packet_host.sock"))
            for data in (b"first", b"x" * 5000):
                sock.send(data)
            self.guest.check("mkfifo /okl4/packet_host")
            done = self.guest.check("exec 3<>/okl4/packet_host; echo one >&3; echo two >&3; "
                                    "dd bs=4096 count=2 <&3 2>&1 >/dev/null")
            self.assertIn("1+1 records in", done)
            self.assertEqual([sock.recv(100), sock.recv(100)], [b"one\n", b"two\n"])

    def test_shell_tools(self):
        """What people try first: ls, stat, test, echo, cat."""
        self.guest.check("rm -f /okl4/echo; mkfifo -m 640 /okl4/echo")
        self.assertRegex(self.guest.check("ls -l /okl4/echo"), r"^prw-r-----")
        self.assertEqual(self.guest.check("stat -c %F /okl4/echo"), "fifo\n")
        self.guest.check("test -p /okl4/echo")
        self.assertEqual(self.guest.check("exec 3<>/okl4/echo; echo hello >&3; head -n1 <&3"),
                         "hello\n")
        self.guest.check("rm /okl4/echo && test ! -e /okl4/echo")


add_tests(Rows, "row_", listing("row"), Rows.run_row)


class WithoutDevice(VmTest):
    """A guest whose QEMU has no device of ours: okl4fs mounts, and offers nothing."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon([])
        cls.guest = cls.start_guest(None)

    def test_mounts_and_offers_nothing(self):
        """Mounting works; there is no channel to make a node of."""
        self.assertIn("okl4fs", self.guest.check("grep /okl4 /proc/mounts"))
        self.fails("mkfifo /okl4/intervm_test", "No such device or address")
        self.guest.check("umount /okl4 && rmmod okl4fs && insmod /lib/okl4fs.ko && "
                         "mount -t okl4fs okl4fs /okl4")


if __name__ == "__main__":
    unittest.main()
