# SPDX-License-Identifier: BSD-3-Clause
"""A daemon is killed and the next one takes up its frontends, which notice nothing."""
import os
import random
import signal
import struct
import threading
import unittest

import vhost_user as vu
from guest_end import Channel, Driver, Refused
from manager import ManagedDaemon, Manager
from rig import RING_BYTES, STATUS
from vhost_user import Frontend
from vm.daemon import guest_config
from vm.process import Deadline, scratch_dir
from vm.ptrace import StoppedThread

CHANNELS = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}}
MASKED = 2  # call descriptors of a queue that a frontend changes between


class Guest:
    """A frontend with its driver, which says HELLO again when it is greeted."""

    def __init__(self, path):
        self.frontend = Frontend(path).setup()
        self.frontend.sock.settimeout(60)
        self.driver = Driver(self.frontend)
        self.driver.on_greet = self.greet
        self.driver.timeout_s = 60
        self.driver.hello()
        self.channel = Channel(self.driver, "echo", instance=7).attach().open()
        self.other_call = [os.eventfd(0, os.EFD_NONBLOCK) for _ in self.frontend.rings]
        self.n_greetings = 0

    def greet(self) -> None:
        """What a driver does on GREET, or when a request is refused since the host is another."""
        self.n_greetings += 1
        while True:
            try:
                self.driver.hello()
                self.channel.attach()
                return
            except Refused as refusal:
                if refusal.status != STATUS["REQ_NO_HELLO"]:
                    raise

    def mask(self, queue: int) -> None:
        """Change the queue's call descriptor, as QEMU does when the guest masks its interrupt."""
        ring = self.frontend.rings[queue]
        ring.call_fd, self.other_call[queue] = self.other_call[queue], ring.call_fd
        self.frontend.send(vu.SET_VRING_CALL, struct.pack("<Q", queue), [ring.call_fd])
        os.eventfd_write(ring.call_fd, 1)  # what came meanwhile

    def ask_everything(self) -> None:
        """Messages that are answered by the daemon itself."""
        frontend = self.frontend
        assert frontend.ask_u64(vu.GET_FEATURES) == frontend.features
        assert frontend.ask_u64(vu.GET_PROTOCOL_FEATURES) == frontend.protocol_features
        assert frontend.ask_u64(vu.GET_QUEUE_NUM) == frontend.queue_num

    def pause(self) -> None:
        """Stop all rings, and start them where they were, as for a guest that is paused."""
        bases = self.frontend.stop_rings()
        served = [ring.used_idx() for ring in self.frontend.rings]
        assert bases == served, (bases, served)
        self.frontend.start_rings(bases)

    def echo(self, n: int) -> None:
        """Bytes through the echo."""
        self.channel.echo(os.urandom(n))

    def turn(self) -> None:
        """A bit of everything."""
        self.ask_everything()
        self.mask(0)
        self.echo(3000)
        assert self.frontend.set_memory() == 0
        self.mask(1)
        self.mask(0)
        self.pause()
        self.echo(RING_BYTES + 500)

    def close(self) -> None:
        """Leave."""
        self.frontend.close()
        while self.other_call:
            os.close(self.other_call.pop())


class HandoverTest(unittest.TestCase):
    """A daemon with a stand-in service manager, and one guest."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.manager = Manager(self.scratch / "notify")
        self.addCleanup(self.manager.close)
        self.config = {"guests": [guest_config("vm1", self.scratch / "vm1.sock", CHANNELS)]}
        self.daemon = ManagedDaemon(self.config, self.manager, scratch=self.scratch,
                                    args=("--log-level", "debug"))
        self.addCleanup(self.daemon.stop)

    def guest(self) -> Guest:
        """A guest with an open channel."""
        guest = Guest(self.scratch / "vm1.sock")
        self.addCleanup(guest.close)
        return guest

    def restart(self) -> None:
        """SIGKILL, and the next daemon."""
        self.daemon.kill()
        self.daemon.start()


class Killer(threading.Thread):
    """Kills daemons, each when its worker has made a number of system calls; then starts the next."""

    def __init__(self, daemon: ManagedDaemon, calls: list[int]):
        super().__init__()
        self.daemon_under_test, self.calls = daemon, calls
        self.error: BaseException | None = None
        self.start()

    def run(self):
        try:
            while self.calls:
                self._kill_at(self.calls.pop())
                self.daemon_under_test.spawn()
            self.daemon_under_test.wait_ready()
        except BaseException as error:  # for the test, which looks
            self.error = error

    def end(self) -> None:
        """Stop, also in the middle of a daemon's life."""
        self.calls.clear()
        self.daemon_under_test.signal(signal.SIGKILL)
        self.join()

    def _worker(self) -> StoppedThread:
        deadline = Deadline(20)
        while True:
            try:
                return StoppedThread(self.daemon_under_test.pid, "worker-0")
            except (StopIteration, OSError):  # it has not been made yet
                deadline.check("the daemon's worker")

    def _kill_at(self, n: int) -> None:
        with self._worker() as worker:
            for _ in range(n):
                if not worker.next_call():
                    raise RuntimeError("the daemon has ended")
            os.kill(self.daemon_under_test.pid, signal.SIGKILL)
            worker.wait_end(20)
        self.daemon_under_test.kill()


class Handover(HandoverTest):
    """Single restarts."""

    def test_killed(self):
        """Twice; messages and bytes go on."""
        guest = self.guest()
        guest.turn()
        for n in (1, 2):
            self.restart()
            guest.turn()
            self.assertEqual(guest.n_greetings, n)
        self.daemon.wait_log("is taken up")

    def test_killed_at_every_step(self):
        """Before and after any system call of the worker: while it takes up a connection, looks at
        a message, carries it out, records it, answers it, or serves the rings."""
        seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"{self.id()}: OKL4FS_SEED={seed}", flush=True)
        lives, step = int(os.environ.get("OKL4FS_LIVES") or 40), 25
        source = random.Random(seed)
        calls = [step * (i % 40) + source.randrange(step) for i in range(lives)]
        source.shuffle(calls)
        guest = self.guest()
        self.daemon.kill()
        self.daemon.spawn()
        killer = Killer(self.daemon, calls)
        self.addCleanup(killer.end)
        while killer.is_alive():
            guest.turn()
        if killer.error:
            raise killer.error
        guest.turn()
        log = self.daemon.log()
        for word in ("dropped", "refused", "has left", "cannot"):
            self.assertNotIn(word, log)

    def test_nothing_is_left(self):
        """What is not used any longer is removed from the store; a toggled descriptor is not."""
        guest = self.guest()
        guest.turn()
        names, n = self.manager.names(), self.manager.n_stores
        for _ in range(10):
            guest.mask(0)
            guest.mask(1)
            guest.ask_everything()
        self.assertEqual((self.manager.names(), self.manager.n_stores), (names, n))
        self.assertIn("vm1.socket", names)
        guest.close()
        self.daemon.wait_log("the frontend has left")
        deadline = Deadline(10)
        while self.manager.names():
            deadline.check("the store to be empty")


if __name__ == "__main__":
    unittest.main()
