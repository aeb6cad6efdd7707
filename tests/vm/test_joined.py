# SPDX-License-Identifier: BSD-3-Clause
"""Two guests whose channels are joined, and a daemon that is killed between them."""
import os
import random
import signal
import unittest

from vm import guest_config, until
from vm.base import VmTest
from vm.hostend import moved

MIB = 1 << 20
HEALING_S = 30  # the driver looks once a second, and backs off


def to(guest: str, channel: str) -> dict:
    """An endpoint."""
    return {"type": "channel", "guest": guest, "channel": channel}


class Joined(VmTest):
    """QEMU listens, so that a restarted daemon reconnects by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        sockets = {name: cls.scratch / f"{name}.sock" for name in ("vm1", "vm2")}
        cls.start_daemon([
            guest_config("vm1", sockets["vm1"], {
                "link": to("vm2", "other"),
                "calls": {"sessions": 8, "endpoint": to("vm2", "answers")}},
                         socket_mode="connect"),
            guest_config("vm2", sockets["vm2"], {
                "other": to("vm1", "link"),
                "answers": {"sessions": 8, "endpoint": to("vm1", "calls")}},
                         socket_mode="connect")])
        cls.guests = [cls.start_guest(sockets[name], serve=True, way="fs", mem_mib=192)
                      for name in ("vm1", "vm2")]
        cls.nodes = ["/okl4/link", "/okl4/other"]
        for guest, node in zip(cls.guests, cls.nodes):
            guest.check(f"mkfifo {node}")
        cls.seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))

    def wait_reader(self, side: int) -> None:
        """Wait until a writer in a guest would find a reader, since our open does not wait."""
        def both():
            return [self.daemon.rpc("channel.list", {"guest": f"vm{n}"})["channels"][0]
                    for n in (side + 1, 2 - side)]

        def reads():
            mine, other = both()  # a channel has no memory before its first open
            return other["bwd"]["guest_phase"] % 2 and (
                mine["state"] != "attached" or mine["fwd"]["host_phase"] % 2)
        until(reads, lambda: f"the other guest to read ({both()})", 30)

    def test_a_file_goes_over_and_ends(self):
        """cat on one side, echo on the other; the reader sees each end of the writer."""
        for one, other in ((0, 1), (1, 0)):
            for n in range(3):
                reader = self.guests[other].spawn(f"cat {self.nodes[other]}")
                self.wait_reader(one)
                self.guests[one].check(f"echo line {n} > {self.nodes[one]}")
                self.assertEqual(reader.wait(30), (0, f"line {n}\n"))

    def test_sessions_that_both_sides_call(self):
        """Opens of one guest and of the other wait for each other, and make pairs."""
        shells = []
        for number, (guest, node) in enumerate(zip(self.guests, ("calls", "answers"))):
            guest.check(f"mkfifo /okl4/{node}")
            shells.append([guest.spawn(f"exec 3<>/okl4/{node}; echo {number}{n} >&3; head -n1 <&3")
                           for n in range(6)])
        told = [[self.ends_well(shell).strip() for shell in each] for each in shells]
        self.assertEqual([sorted(each) for each in told],
                         [[f"{other}{n}" for n in range(6)] for other in (1, 0)])
        for n, partner in enumerate(told[0]):
            self.assertEqual(told[1][int(partner[1])], f"0{n}")

    def test_epipe_and_half_a_close(self):
        """The reader leaves: the writer gets EPIPE; the other direction goes on."""
        # The reader waits until both rings are full, so it leaves bytes behind, however fast it is.
        self.guests[1].check("mkfifo /run/go")
        reader = self.guests[1].spawn(f"exec < {self.nodes[1]}; cat /run/go; head -c 1000000 | wc -c")
        self.wait_reader(0)
        writer = self.guests[0].spawn(f"yes > {self.nodes[0]}; echo status $?")
        self.wait_fill("other", MIB, 30, guest="vm2", way="bwd")
        self.wait_fill("link", MIB, 30, guest="vm1")
        self.guests[1].check("echo go > /run/go")
        self.assertEqual(reader.wait(60), (0, "go\n1000000\n"))
        self.assertEqual(writer.wait(60), (0, f"status {128 + signal.SIGPIPE}\n"))
        # What it had written lies there for the next reader.
        drain = self.guests[1].spawn(f"cat {self.nodes[1]} | wc -c")
        self.assertGreater(int(drain.wait(60)[1]), 0)
        reader = self.guests[0].spawn(f"cat {self.nodes[0]}")
        self.wait_reader(1)
        self.guests[1].check(f"echo back > {self.nodes[1]}")
        self.assertEqual(reader.wait(30), (0, "back\n"))

    def test_killed_in_mid_stream_several_times(self):
        """Both ways at once: what is read is what was written, whole and in order."""
        print(f"seed {self.seed} (OKL4FS_SEED)")
        source, size = random.Random(self.seed), 48 * MIB
        commands = [guest.spawn(f"okl4test stream {node} write={size} read=eof seed={n} "
                                f"read_seed={1 - n} progress=1M")
                    for n, (guest, node) in enumerate(zip(self.guests, self.nodes))]
        for at in sorted(source.sample(range(2, 40), 5)):
            commands[at % 2].wait_output("progress read", HEALING_S + 60, times=at)
            self.daemon.kill()
            self.daemon.start()
        streams = [moved(self.ends_well(command, HEALING_S + 120)) for command in commands]
        for one, other in ((0, 1), (1, 0)):
            self.assertEqual(streams[one]["written"], streams[other]["read"])
            self.assertEqual(streams[one]["written"][0], size)

    def test_z_a_guest_that_dies(self):
        """The other one sees an end-of-file; a new guest of that name is joined again."""
        # Not busybox's cat: it uses sendfile and keeps what it has until more comes
        reader = self.guests[1].spawn(f"while read line; do echo $line; done < {self.nodes[1]}")
        self.wait_reader(0)
        writer = self.guests[0].spawn(f"echo last words > {self.nodes[0]}; sleep 1000 >> "
                                      f"{self.nodes[0]}")
        reader.wait_output("last words", 30)
        self.guests[0].reset()
        self.guests[0].check(f"mkfifo {self.nodes[0]}")
        self.assertEqual(reader.wait(60), (0, "last words\n"))
        del writer
        reader = self.guests[1].spawn(f"cat {self.nodes[1]}")
        self.wait_reader(0)
        self.guests[0].check(f"echo again > {self.nodes[0]}")
        self.assertEqual(reader.wait(30), (0, "again\n"))


if __name__ == "__main__":
    unittest.main()
