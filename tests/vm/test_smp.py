# SPDX-License-Identifier: BSD-3-Clause
"""Several CPUs, and many threads on each channel."""
import unittest

from vm import guest_config, until
from vm.base import VmTest, echo

LIMIT_S = 180
RING_BYTES = 16384


class Crowds:
    """The tests; QEMU listens, so that a restarted daemon reconnects by itself."""

    SMP: int

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        socket = cls.scratch / "vm.sock"
        names = ["echo", "churn", *(f"many{i}" for i in range(8))]
        cls.start_daemon([guest_config("vm", socket, {
            name: {"ring_bytes": RING_BYTES, "endpoint": echo()} for name in names},
            socket_mode="connect")])
        cls.guest = cls.start_guest(socket, serve=True, smp=cls.SMP)

    def crowd(self, names: list[str], writers: int, readers: int, records: int) -> None:
        """Each record comes once, whole, and in its writer's order."""
        paths = " ".join(f"/okl4/{name}" for name in names)
        output = self.guest.check(f"okl4test crowd {paths} writers={writers} readers={readers} "
                                  f"records={records}", LIMIT_S)
        self.assertEqual(output, "".join(f"/okl4/{name}: {writers * records} records\n"
                                         for name in names))

    def test_many_on_one_channel(self):
        """Blocking and polling, under signals; more bytes than the rings hold many times over."""
        self.crowd(["echo"], 6, 6, 2000)

    def test_one_writer_and_many_readers(self):
        self.crowd(["echo"], 1, 8, 5000)

    def test_many_writers_and_one_reader(self):
        self.crowd(["echo"], 8, 1, 600)

    def test_many_channels(self):
        """A few threads on each."""
        self.crowd([f"many{i}" for i in range(8)], 2, 2, 500)

    def test_daemon_killed_in_the_middle(self):
        """Nothing is lost, doubled, torn or out of order even then."""
        command = self.guest.spawn("okl4test crowd /okl4/echo writers=4 readers=4 records=2000 "
                                   "progress=500")
        command.wait_output("progress 2000.", LIMIT_S)
        self.daemon.kill()
        self.daemon.start()
        self.assertIn("/okl4/echo: 8000 records\n", self.ends_well(command, LIMIT_S))

    def test_made_opened_and_unlinked_at_once(self):
        """Afterwards the memory is given back, and the channel is as good as new."""
        self.guest.check("okl4test churn /okl4/churn threads=8 rounds=400", LIMIT_S)
        self.guest.check("rm -f /okl4/churn; okl4test seq /okl4/churn records=500 && "
                         "rm /okl4/churn", LIMIT_S)
        until(lambda: self.guest.check(
            "cat $(grep -lx 'name churn' /sys/kernel/debug/okl4fs/*/channels/*) | "
            "grep '^memory'") == "memory none\n", "the memory to be given back", LIMIT_S)


class TwoCpus(Crowds, VmTest):
    """As many as this machine has."""
    SMP = 2


class FourCpus(Crowds, VmTest):
    """More than this machine may have."""
    SMP = 4


if __name__ == "__main__":
    unittest.main()
