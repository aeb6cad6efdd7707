# SPDX-License-Identifier: BSD-3-Clause
"""A daemon is killed and the next one takes up its frontends, which notice nothing."""
import os
import random
import re
import signal
import struct
import threading
import unittest

import vhost_user as vu
from guest_end import Channel, Driver, Refused
from rig import RING_BYTES, STATUS
from vhost_user import Frontend
from vm.daemon import guest_config
from vm.manager import ManagedDaemon, Manager
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

    def names(self) -> list[str]:
        """What is stored once the worker has done all that it was asked."""
        self.daemon.rpc("guest.list")
        return self.manager.names()

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
                    raise RuntimeError("the daemon has ended by itself: "
                                       + self.daemon_under_test.log()[-2000:])
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
        names, n = self.names(), self.manager.n_stores
        for _ in range(10):
            guest.mask(0)
            guest.mask(1)
            guest.ask_everything()
        self.assertEqual((self.names(), self.manager.n_stores), (names, n))
        self.assertIn("vm1.socket", names)
        guest.close()
        self.wait_names()

    def test_restarted(self):
        """SIGTERM: the frontend is left to the next daemon. Of the store, only spare call descriptors
        go."""
        guest = self.guest()
        guest.turn()
        names, n = set(self.names()), self.manager.n_stores
        self.daemon.restart()
        self.daemon.wait_log("is taken up")
        guest.frontend.ask_u64(vu.GET_FEATURES)
        self.assertLess(set(self.names()), names)
        self.assertEqual(self.manager.n_stores, n)
        guest.turn()

    def test_nothing_set_up(self):
        """A frontend that has only connected, and one that has sent half a message."""
        for piece in (b"", struct.pack("<II", vu.GET_FEATURES, vu.VERSION)):
            with self.subTest(piece), Frontend(self.scratch / "vm1.sock") as frontend:
                frontend.sock.sendall(piece)
                self.wait_names("vm1.record", "vm1.socket")
                self.restart()
                if piece:
                    frontend.sock.sendall(bytes(4))
                    self.assertEqual(frontend.receive()[0], vu.GET_FEATURES)
                frontend.setup()
            self.wait_names()

    def wait_names(self, *names: str) -> None:
        """Wait until the store has these names."""
        deadline = Deadline(10)
        while (now := self.manager.names()) != list(names):
            deadline.check(f"the store to have {names}, not {now}")

    def assert_dropped(self, *words: str) -> None:
        """The next daemon drops the frontend, says why, and serves another one."""
        for word in words:
            self.daemon.wait_log(word)
        self.wait_names()
        self.guest().turn()

    def misfit(self, spoil, *words: str) -> None:
        """A frontend whose connection does not fit: it is dropped."""
        guest = self.guest()
        guest.turn()
        self.daemon.kill()
        spoil()
        self.daemon.start()
        self.assertTrue(guest.frontend.dropped())
        self.assert_dropped("cannot be taken up", *words)

    def test_damaged(self):
        """A byte of the record has changed."""
        def spoil():
            fd = self.manager.fd("vm1.record")
            turn = int.from_bytes(os.pread(fd, 8, 16), "little")
            size = int.from_bytes(os.pread(fd, 4, 12), "little")
            at = 40 + turn % 2 * ((size - 40) // 2) + 20
            os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)
        self.misfit(spoil, "damaged")

    def test_other_version(self):
        """Of another version."""
        self.misfit(lambda: os.pwrite(self.manager.fd("vm1.record"), b"\x63", 8), "version")

    def test_missing(self):
        """A descriptor is missing: the record, the memory, a kick descriptor."""
        def lose(pattern):
            self.manager.drop(next(name for name in self.manager.names()
                                   if re.fullmatch(pattern, name)))
        for pattern in (r"vm1\.record", r"memory/\d+", r"vm1\.\d+"):
            with self.subTest(pattern):
                self.misfit(lambda: lose(pattern), "missing")
                self.doCleanups()
                self.setUp()

    def test_memory_is_shorter(self):
        """The memory's file was made shorter while there was no daemon."""
        self.misfit(lambda: os.ftruncate(self.manager.fd("memory/1"), 4096),
                    "SET_MEM_TABLE: a region is larger than its file")

    def test_guest_is_gone(self):
        """The configuration has another guest only: the frontend is let go."""
        guest = self.guest()
        guest.turn()
        self.daemon.kill()
        self.daemon.config["guests"] = [guest_config("vm2", self.scratch / "vm2.sock", CHANNELS)]
        self.daemon.write_config()
        self.daemon.start()
        self.assertTrue(guest.frontend.dropped())
        self.daemon.wait_log("guest vm1 is not in the configuration; its frontend is let go")
        self.wait_names()


class TwoDevices(HandoverTest):
    """Two devices of one guest, with the same memory: it is stored once."""

    def test_two_devices(self):
        """Both go on; the memory stays stored until both have left."""
        self.daemon.config["guests"].append(
            guest_config("vm2", self.scratch / "vm2.sock", CHANNELS))
        self.daemon.write_config()
        self.daemon.restart()
        one = self.guest()
        other = Frontend(self.scratch / "vm2.sock", one.frontend.memory).setup()
        self.addCleanup(other.sock.close)
        self.restart()
        self.assertEqual([name for name in self.manager.names() if name.startswith("memory/")],
                         ["memory/1"])
        self.assertEqual(other.set_memory(), 0)
        other.sock.close()
        self.daemon.wait_log("guest vm2: the frontend has left")
        one.turn()
        self.restart()
        one.turn()


if __name__ == "__main__":
    unittest.main()
