# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl attach where each client is a session of its own."""
import subprocess

from ctl_rig import TIMEOUT_S, DaemonTest
from guest_end import Session
from vm import paths
from vm.daemon import guest_config


class AttachSessions(DaemonTest):
    """A guest that takes the clients of `host`."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {"host": {
            "sessions": 8, "endpoint": {"type": "unix-listen", "path": "host.sock"}}})]}

    def setUp(self):
        super().setUp()
        self.driver_ = self.driver()

    def attach(self, *options) -> subprocess.Popen:
        """Run okl4fsctl attach; it ends with the test."""
        process = subprocess.Popen(
            [paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, "attach", "vm1/host",
             *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def ends(self, process: subprocess.Popen, output: bytes = b"") -> None:
        """It ends well, and has printed this."""
        out, errors = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual((out, errors, process.returncode), (output, b"", 0))

    def session(self, **ends) -> Session:
        """The guest takes a client."""
        return Session(self.driver_, "host").open(**ends).wait_open()

    def test_two_at_once(self):
        pairs = []
        for name in (b"one", b"two"):
            process = self.attach()
            pairs.append((self.session(), process, name))
        for session, process, name in pairs:
            process.stdin.write(name)
            process.stdin.close()
            process.stdin = None
            self.assertEqual(session.read_all(), name)
            session.write(name[::-1])
        for session, process, name in reversed(pairs):
            session.close_writer()
            self.ends(process, name[::-1])
            session.close()

    def test_reader_gets_all_of_stdin(self):
        """The guest's end of file comes at once, and is not the end of the other direction."""
        for option in ((), ("--send",)):
            process = self.attach(*option)
            session = self.session(writer=False)
            process.stdin.write(b"x" * 300000)
            process.stdin.close()
            process.stdin = None
            self.assertEqual(session.read_all(), b"x" * 300000)
            session.close()
            self.ends(process)

    def test_writer(self):
        process = self.attach("--receive")
        session = self.session(reader=False)
        session.write(b"y" * 100000)
        session.close_writer()
        self.ends(process, b"y" * 100000)
        session.close()

    def test_guest_hangs_up(self):
        """While stdin is silent."""
        process = self.attach()
        session = self.session()
        session.write(b"bye")
        session.close()
        self.assertEqual(process.stdout.read(), b"bye")
        self.assertEqual(process.wait(TIMEOUT_S), 0)
