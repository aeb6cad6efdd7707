# SPDX-License-Identifier: BSD-3-Clause
"""The guest shuts down, and waits for a reader of the host that is slow to take what was written."""
import socket
import time
import unittest

from vm import guest_config, until
from vm.base import VmTest, listens

LIMIT_S = 120
RING_BYTES = 4 << 20
WRITTEN = 4 << 20
DRAIN = "/sys/module/okl4fs/parameters/drain_ms"


class Drain(VmTest):
    """One guest per test, since each test ends it."""

    def start(self, **more) -> socket.socket:
        """A guest that has written 4 MiB to a client that reads nothing yet; the client."""
        path = self.scratch / f"{self._testMethodName}.sock"
        vm = self.scratch / f"{self._testMethodName}.vm.sock"
        self.start_daemon([guest_config("vm", vm, {
            "out": {"ring_bytes": RING_BYTES, "endpoint": listens(path), **more}})])
        self.guest = self.start_guest(vm)
        client = self.client(path, LIMIT_S)
        self.guest.check("mkfifo /okl4/out && exec 3<>/okl4/out && "
                         f"dd if=/dev/zero bs=65536 count={WRITTEN >> 16} >&3", LIMIT_S)
        return client

    def read_all(self, client: socket.socket) -> int:
        """How many bytes come before the end."""
        total = 0
        try:
            while data := client.recv(1 << 20):
                total += len(data)
        except ConnectionResetError:
            pass  # the client may get an error for what is lost
        return total

    def wait_end(self) -> None:
        """QEMU ends with its guest."""
        until(lambda: not self.guest.running(), "QEMU to end", LIMIT_S)

    def test_waits_for_a_slow_reader(self):
        """Nothing is read until the guest is on its way down; all of it comes."""
        client = self.start()
        self.guest.check(f"echo 100000 > {DRAIN}; (poweroff -f) >/dev/null 2>&1 &")
        self.guest.qmp("query-status")  # QEMU is there, and so are the bytes
        self.assertEqual(self.read_all(client), WRITTEN)
        self.wait_end()

    def test_waits_for_a_session(self):
        """Its last descriptor is closed, but nobody has read: as long as drain_ms, and no longer."""
        self.start(sessions=2)
        since, begun = self.guest.n_events(), time.monotonic()
        self.guest.check(f"echo 2000 > {DRAIN}; (poweroff -f) >/dev/null 2>&1 &")
        self.guest.wait_event("SHUTDOWN", since, LIMIT_S)
        self.assertGreater(time.monotonic() - begun, 2)
        self.wait_end()

    def test_does_not_wait_for_ever(self):
        """A reader that takes nothing holds it up for drain_ms only."""
        self.start()
        since = self.guest.n_events()
        self.guest.check(f"echo 500 > {DRAIN}; (poweroff -f) >/dev/null 2>&1 &")
        self.guest.wait_event("SHUTDOWN", since, LIMIT_S)
        self.wait_end()


if __name__ == "__main__":
    unittest.main()
