# SPDX-License-Identifier: BSD-3-Clause
"""A log that nobody reads does not hold anyone up; the standard descriptors are never reused."""
import os
import re
import select
import unittest
from pathlib import Path

from rig import FrontendTest, RING_BYTES
from socket_rig import unix_client
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir

PIPE_BYTES = 65536
QUEUE_BYTES = 256 << 10  # daemon/util/log_queue.h
LINE = re.compile(r"(err|warning|notice|info|debug): ")
DROPPED = re.compile(r"warning: log: (\d+) lines were dropped here")


def add_and_remove(daemon: Daemon, times: int) -> None:
    """Add and remove a channel; each time logs some lines of about 60 bytes."""
    channel = {"name": "more", "endpoint": {"type": "discard"}}
    for _ in range(times):
        daemon.rpc("channel.add", {"guest": "vm1", "channel": channel})
        daemon.rpc("channel.remove", {"guest": "vm1", "channel": "more"})


class Unread(FrontendTest):
    """stderr is a pipe that nobody reads, and far more is logged than fits."""

    GUESTS = ("vm1",)

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.reader, writer = os.pipe()
        cls.daemon = Daemon({"guests": [guest_config("vm1", cls.scratch / "vm1.sock",
                                                     cls.CHANNELS)]},
                            args=cls.DAEMON_ARGS, scratch=cls.scratch, stderr=writer)
        os.close(writer)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        os.close(cls.reader)
        assert status == 0, f"SIGTERM did not end it: {status}"

    def read_log(self, until: str) -> str:
        """Read the pipe up to a line that has `until`."""
        text, deadline, poller = "", Deadline(20), select.poll()
        poller.register(self.reader, select.POLLIN)
        while until not in text or not text.endswith("\n"):
            if poller.poll(deadline.left_s() * 1000):
                text += os.read(self.reader, 65536).decode()
            deadline.check(f"{until!r} in the log, which ends with {text[-500:]!r}")
        return text

    def test_everything_goes_on(self):
        stream = self.echo_channel()
        add_and_remove(self.daemon, 2 * (PIPE_BYTES + QUEUE_BYTES) // (3 * 60 * 2))
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)
        stream.echo(os.urandom(3 * RING_BYTES + 17))

        with self.subTest("there is room again"):
            log = self.read_log("lines were dropped here")
            self.assertGreater(len(log), PIPE_BYTES)
            for line in log.splitlines():
                self.assertRegex(line, LINE, "a line is whole")
            self.assertGreater(int(DROPPED.search(log)[1]), 0)
            self.daemon.rpc("log.set", {"level": "debug"})
            self.read_log("log level is debug")

        # The daemon must be able to end with these lines waiting.
        add_and_remove(self.daemon, 2 * PIPE_BYTES // (3 * 60 * 2))


class Limited(unittest.TestCase):
    """At the default log level, the calls of a client cannot fill the log."""

    def test_calls(self):
        with Daemon({"guests": [{"name": "vm1", "socket": "vm1.sock", "channels": []}]}) as daemon:
            add_and_remove(daemon, 300)
            daemon.rpc("log.set", {"level": "debug"})
            log = daemon.wait_log("log level is debug")
            self.assertIn("control: uid", log)
            self.assertLess(log.count("\n"), 300)


class Descriptors(unittest.TestCase):
    """A daemon that is started without stdin, stdout and stderr."""

    def test_those_that_are_closed_are_no_socket(self):
        for closed in ((0, 1, 2), (1,)):
            shell = 'exec "$@" ' + " ".join(f"{fd}>&-" for fd in closed)
            with self.subTest(closed=closed), \
                    Daemon({"guests": []}, prefix=["/bin/sh", "-c", shell, "sh"]) as daemon:
                for fd in closed:
                    self.assertEqual(os.readlink(f"/proc/{daemon.pid}/fd/{fd}"), "/dev/null")
                if 2 not in closed:
                    self.assertEqual(Path(f"/proc/{daemon.pid}/fd/2").resolve(),
                                     daemon.log_path.resolve())
                with unix_client(daemon.control_path) as client:
                    daemon.rpc("log.set", {"level": "debug"})
                    client.setblocking(False)
                    self.assertRaises(BlockingIOError, client.recv, 1)
