# SPDX-License-Identifier: BSD-3-Clause
"""The base of these tests: a daemon, a guest, and a bystander that must not notice anything."""
import os
import random
import re
import resource
import select
import unittest
from contextlib import contextmanager
from pathlib import Path

from guest_end import Channel, Driver, Refused, statuses
from memory import Memory
from vhost_user import Frontend
from vm.daemon import Daemon, guest_config
from vm.paths import ROOT
from vm.process import Deadline, scratch_dir

STATUS = statuses(ROOT / "libfs" / "include" / "libfs" / "status.h")
RING_BYTES = 65536
IDLE_WINDOW_S = 4


def assert_idle(test: unittest.TestCase, daemon: Daemon) -> None:
    """No thread runs during a window that begins when the daemon has done what it was asked."""
    poller = select.poll()
    poller.register(daemon._process.pidfd, select.POLLIN)
    poller.poll(300)
    before = daemon.switches()
    test.assertEqual(poller.poll(IDLE_WINDOW_S * 1000), [], "the daemon has ended")
    test.assertEqual(daemon.switches(), before)


class FrontendTest(unittest.TestCase):
    """One daemon per class, with guests `vm1` and `vm2` that have two echo channels each."""

    GUESTS = ("vm1", "vm2")
    CHANNELS = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}},
                "echo2": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}}
    DAEMON_ARGS = ("--log-level", "debug")

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.daemon = Daemon({"guests": [guest_config(name, cls.scratch / f"{name}.sock",
                                                     cls.CHANNELS) for name in cls.GUESTS]},
                            args=cls.DAEMON_ARGS, scratch=cls.scratch)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, f"okl4fsd ended with status {status}: {cls.daemon.log()[-4000:]}"

    def setUp(self):
        self.log_start = len(self.daemon.log())
        self.frontends: list[Frontend] = []

    def connect(self, guest: str = "vm1", memory: Memory | None = None) -> Frontend:
        """A frontend that has sent nothing yet; the test's cleanup waits until it has gone."""
        path = self.scratch / f"{guest}.sock"
        self.wait_free(guest)
        frontend = Frontend(path, memory)
        self.addCleanup(self.wait_free, guest)
        self.addCleanup(frontend.close)
        self.frontends.append(frontend)
        return frontend

    def wait_free(self, guest: str) -> None:
        """Wait until the guest has no frontend."""
        deadline = Deadline(20)
        while self.guest_state(guest)["connected"]:
            deadline.check(f"the frontend of {guest} to be gone")
            self.assertTrue(self.daemon.running(), self.daemon.log()[-4000:])

    def device(self, guest: str = "vm1", memory: Memory | None = None, size: int = 128) -> Frontend:
        """A frontend with two running rings."""
        return self.connect(guest, memory).setup(2, size)

    def driver(self, guest: str = "vm1", memory: Memory | None = None) -> Driver:
        """A driver that has said HELLO."""
        driver = Driver(self.device(guest, memory))
        driver.hello()
        return driver

    def echo_channel(self, guest: str = "vm1", name: str = "echo", **options) -> Channel:
        """An open channel to an echo endpoint."""
        return Channel(self.driver(guest), name, **options).attach().open()

    def bystander(self) -> Channel:
        """An open channel of the other guest."""
        channel = self.echo_channel("vm2")
        channel.echo(os.urandom(1000))
        return channel

    def assert_undisturbed(self, bystander: Channel) -> None:
        """The daemon lives, and the bystander's bytes move."""
        self.assertTrue(self.daemon.running(), self.daemon.log()[-4000:])
        bystander.echo(os.urandom(3 * RING_BYTES + 17))

    def assert_logged(self, *words: str) -> str:
        """Since the test began, a line with all these words was logged; return that line."""
        pattern = "(?=.*" + ")(?=.*".join(re.escape(word) for word in words) + ")"
        deadline, poller = Deadline(5), select.poll()
        poller.register(self.daemon._process.pidfd, select.POLLIN)
        while deadline.left():
            for line in self.daemon.log()[self.log_start:].splitlines():
                if re.match(pattern, line):
                    return line
            self.assertEqual(poller.poll(5), [], "the daemon has ended")
        lines = [line for line in self.daemon.log()[self.log_start:].splitlines()
                 if "control: client" not in line]
        self.fail(f"no line with {words} in: " + "\n".join(lines[-40:]))

    @contextmanager
    def refused(self, status: str):
        """What is done here is a request that is refused with this status."""
        with self.assertRaises(Refused) as refusal:
            yield
        self.assertEqual(refusal.exception.status, STATUS[status], f"expected {status}")

    def guest_state(self, name: str) -> dict:
        """What `guest.list` says of a guest."""
        return next(guest for guest in self.daemon.rpc("guest.list")["guests"]
                    if guest["name"] == name)

    def channel_state(self, guest: str, channel: str) -> dict:
        """What `channel.list` says of a channel."""
        listed = self.daemon.rpc("channel.list", {"guest": guest})["channels"]
        return next(entry for entry in listed if entry["name"] == channel)

    def n_fds(self) -> int:
        """Descriptors that the daemon has open now."""
        return sum(1 for fd in Path(f"/proc/{self.daemon.pid}/fd").iterdir())

    def used_fds(self) -> set[int]:
        """Descriptors that the daemon has open when it has closed those of earlier clients."""
        poller, deadline = select.poll(), Deadline(20)
        poller.register(self.daemon.pidfd, select.POLLIN)
        used: set[int] = set()
        while used != (now := {int(fd.name) for fd in
                               Path(f"/proc/{self.daemon.pid}/fd").iterdir()}):
            deadline.check("the daemon's descriptors to stay as they are")
            used = now
            poller.poll(100)
        return used

    def leave_descriptors(self, n: int) -> None:
        """Until the test ends, the daemon can open so many descriptors more."""
        used = self.used_fds()
        free = sorted(set(range(len(used) + n + 1)) - used)
        before = resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        self.addCleanup(resource.prlimit, self.daemon.pid, resource.RLIMIT_NOFILE, before)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, (free[n], before[1]))

    def seed(self) -> random.Random:
        """Randomness that can be had again: its seed is printed, and taken from $OKL4FS_SEED."""
        seed = int(os.environ.get("OKL4FS_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"{self.id()}: OKL4FS_SEED={seed}", flush=True)
        return random.Random(seed)
