# SPDX-License-Identifier: BSD-3-Clause
"""A guest writes, and its machine goes before the host has taken it: every byte is delivered, once.

Each way to end, with a client that has read nothing yet, one that comes later, and none at first.
"""
import hashlib
import socket
import unittest

from vm.base import VmTest, listens
from vm.guest import Guest
from vm.process import until

BYTES = 900000
LIMIT_S = 60


class Tail(VmTest):
    """A daemon for the class, and a machine for each way to go, with a channel for each client."""

    CLIENTS = ("slow", "late")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.paths = {name: cls.scratch / f"{name}.host.sock" for name in cls.CLIENTS}
        cls.start_daemon([{"name": "vm", "socket": str(cls.socket), "channels": [
            {"name": name, "ring_bytes": 16 << 20, "endpoint": listens(path)}
            for name, path in cls.paths.items()]}])

    def take(self, sock: socket.socket) -> tuple[int, str]:
        """Read to the end; the length and the hash."""
        taken, n = hashlib.sha256(), 0
        while piece := sock.recv(1 << 16):
            taken.update(piece)
            n += len(piece)
        return n, taken.hexdigest()

    def goes(self, how) -> None:
        """A machine writes and ends; both clients get everything and a clean end, and no client gets more."""
        with Guest(self.socket) as guest:
            said = guest.check(
                f"head -c {BYTES} /dev/urandom > /tmp/x; sha256sum < /tmp/x; "
                + "".join(f"mkfifo /okl4/{name}; " for name in self.CLIENTS)).split()[0]
            slow = self.client(self.paths["slow"], LIMIT_S)
            guest.check("for f in slow late; do cat /tmp/x > /okl4/$f; done")
            how(guest)
            until(lambda: self.channel("late")["tail_bytes"] == BYTES,
                  lambda: f"the tail, but there is {self.channel('late')}", LIMIT_S)
            self.assertEqual(self.take(slow), (BYTES, said))
            self.assertEqual(self.take(self.client(self.paths["late"], LIMIT_S)), (BYTES, said))
        for name in self.CLIENTS:
            until(lambda name=name: not self.channel(name)["tail_bytes"], "the tails to be freed")
            self.assertEqual(self.channel(name)["lost_bytes"], 0)

    def test_poweroff(self):
        self.goes(lambda guest: guest.spawn("poweroff -f"))

    def test_killed(self):
        self.goes(lambda guest: guest.kill())

    def test_reboot(self):
        """The next boot's driver says HELLO, and then the former one's streams are over."""
        self.goes(lambda guest: guest.reboot())

    def test_panic(self):
        """The kernel panics, and the machine is ended from outside."""
        def panic(guest):
            guest.spawn("echo c > /proc/sysrq-trigger")
            self.addCleanup(guest.stop)
            guest.wait_console("Kernel panic", LIMIT_S)
            guest.kill()
        self.goes(panic)


if __name__ == "__main__":
    unittest.main()
