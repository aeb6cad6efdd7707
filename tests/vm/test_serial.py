# SPDX-License-Identifier: BSD-3-Clause
"""A guest without our driver: virtio-serial ports, with what `okl4fsctl qemu-args` prints."""
import hashlib
import os
import socket
import threading
import unittest

from vm import guest_config, manual, until
from vm.base import VmTest, echo, listens
from vm.process import Process

LIMIT_S = 120
MIB = 1 << 20

# What udev does in Debian
LINKS = """
mkdir -p /dev/virtio-ports
for name in /sys/class/virtio-ports/*/name; do
	port=${name%/name}
	ln -sf /dev/${port##*/} /dev/virtio-ports/$(cat $name)
done
ls /dev/virtio-ports
"""


def take(sock, size: int) -> bytes:
    """So many bytes."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(MIB)
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    return bytes(data)


class Serial(VmTest):
    """A daemon, and a guest with the kernel as Debian has it; QEMU listens at its ports."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon([guest_config("vm", cls.scratch / "vm", {
            "echo": echo(), "sock": listens(cls.scratch / "sock"),
            "cat": listens(cls.scratch / "cat")}, way="serial", socket_mode="connect")])
        status, printed, errors = cls.daemon.ctl("qemu-args", "vm")
        assert status == 0, errors
        cls.guest = cls.start_guest(None, driver=False, mount=False,
                                    qemu_args=manual.words(printed))
        until(lambda: len(cls.guest.check(LINKS).split()) == 4, "the ports to have names", LIMIT_S)

    def test_names(self):
        """The ports are called as the channels are; no module of ours is there."""
        self.assertEqual(set(self.guest.check(LINKS).split()),
                         {"okl4.echo", "okl4.sock", "okl4.cat", "okl4fs.agent"})
        self.assertNotIn("okl4fs", self.guest.check("cat /proc/modules"))
        self.assertEqual({self.channel(name)["state"] for name in ("echo", "sock", "cat")},
                         {"attached"})

    def test_echo(self):
        """A shell writes and reads."""
        self.assertEqual(self.guest.check(
            "exec 3<>/dev/virtio-ports/okl4.echo; echo hello >&3; head -n 1 <&3"), "hello\n")

    def test_one_opener(self):
        """A second program is refused."""
        self.fails("exec 3<>/dev/virtio-ports/okl4.echo; cat /dev/virtio-ports/okl4.echo", "busy")

    def test_to_host(self):
        """8 MiB that the guest writes arrive as they were."""
        client = self.client(self.scratch / "sock", LIMIT_S)
        wanted = self.guest.check(f"head -c {8 * MIB} /dev/urandom >/tmp/r; sha256sum </tmp/r")
        writer = self.guest.spawn("exec cat /tmp/r >/dev/virtio-ports/okl4.sock")
        self.assertEqual(hashlib.sha256(take(client, 8 * MIB)).hexdigest(), wanted.split()[0])
        self.ends_well(writer, LIMIT_S)

    def test_to_guest(self):
        """8 MiB that a client sends before the guest opens the port: nothing is lost, nothing more."""
        client, data = self.client(self.scratch / "sock", LIMIT_S), os.urandom(8 * MIB)
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        self.assertEqual(self.guest.check(
            f"head -c {8 * MIB} /dev/virtio-ports/okl4.sock | sha256sum", LIMIT_S).split()[0],
            hashlib.sha256(data).hexdigest())
        sender.join(LIMIT_S)

    def test_cat(self):
        """The host's end is a program as it is; the guest closes its port, and the host sees nothing."""
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT_S)
        with theirs:
            peer = Process(["socat", "-u", f"UNIX-CONNECT:{self.scratch}/cat", "-"], stdout=theirs)
        self.addCleanup(ours.close)
        self.addCleanup(peer.kill)
        until(lambda: self.channel("cat")["endpoint"]["connected"], "socat to connect", LIMIT_S)
        for word in ("one", "two"):
            self.guest.check(f"echo {word} >/dev/virtio-ports/okl4.cat")
            self.assertEqual(take(ours, len(word) + 1).decode(), f"{word}\n")
        self.assertTrue(self.channel("cat")["endpoint"]["connected"])

    def test_killed(self):
        """After a kill of the daemon the next one connects to the port again."""
        self.daemon.kill()
        self.assertEqual(self.guest.check("head -c 1 /dev/virtio-ports/okl4.echo | wc -c"), "0\n")
        self.daemon.restart()
        until(lambda: self.channel("echo")["state"] == "attached", "the port", LIMIT_S)
        self.test_echo()


if __name__ == "__main__":
    unittest.main()
