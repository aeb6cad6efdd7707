# SPDX-License-Identifier: BSD-3-Clause
"""The base of these tests: a daemon, the programs that talk to it, and a simulated guest."""
import os
import re
import select
import socket
import subprocess
import sys
import threading
import unittest
from contextlib import contextmanager, suppress
from pathlib import Path

from vm import paths
from vm.daemon import Daemon
from vm.process import Deadline, scratch_dir

sys.path[:0] = [str(paths.ROOT / "tests/frontend"), str(paths.ROOT / "python")]
# pylint: disable=wrong-import-position
from guest_end import Channel, Driver  # noqa: E402
from vhost_user import Frontend  # noqa: E402

TIMEOUT_S = 60


def run(program: str, *args, **more) -> subprocess.CompletedProcess:
    """Run okl4fsd or okl4fsctl until it ends."""
    return subprocess.run([paths.BUILD / program, *map(str, args)], text=True, timeout=TIMEOUT_S,
                          check=False, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                          "stderr": subprocess.PIPE, **more})


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def all_of(sock: socket.socket) -> bytes:
    """All that comes until the peer ends the connection."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def memory_bytes(pid: int) -> int:
    """Private memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


def cpu_ns_of_a_while(pid: int, event) -> int:
    """How long a process runs in 0.3 s during which nothing comes from `event`."""
    schedstat = Path(f"/proc/{pid}/schedstat")
    before = int(schedstat.read_text(encoding="ascii").split()[0])
    select.select([event], [], [], 0.3)
    return int(schedstat.read_text(encoding="ascii").split()[0]) - before


@contextmanager
def one_answer(path, answer):
    """A daemon that answers one client, with answer(line), and hangs up."""
    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(answer(client.recv(65536)))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()
        os.unlink(path)


class DaemonTest(unittest.TestCase):
    """One daemon per class, with what config() says."""

    @classmethod
    def config(cls) -> dict:
        """The daemon's configuration."""
        return {"guests": []}

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.daemon = Daemon(cls.config(), scratch=cls.scratch)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, f"okl4fsd ended with status {status}: {cls.daemon.log()[-4000:]}"

    def good(self, *args) -> str:
        """Run okl4fsctl, which must succeed; return its output."""
        status, output, errors = self.daemon.ctl(*args)
        self.assertEqual((status, errors), (0, ""), args)
        return output

    def bad(self, wanted: int, sentence: str, *args, stdin: bytes = b"") -> str:
        """Run okl4fsctl, which must fail with a status and a sentence; return all it says."""
        status, output, errors = self.daemon.ctl(*args, stdin=stdin)
        self.assertEqual((status, output), (wanted, ""), errors)
        self.assertIn(sentence, errors)
        return errors

    def start(self, *args, **more) -> subprocess.Popen:
        """Start okl4fsctl; it ends with the test."""
        process = subprocess.Popen(
            [paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        for stream in (process.stdin, process.stdout, process.stderr):
            self.addCleanup(self.close, stream)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    @staticmethod
    def close(stream) -> None:
        """Close a stream of a program that may have ended."""
        with suppress(BrokenPipeError):
            stream.close()

    @staticmethod
    def wait_for(condition, what: str) -> None:
        """Wait until a condition holds; each look is a call to the daemon."""
        deadline = Deadline(TIMEOUT_S)
        while not condition():
            deadline.check(what)

    def driver(self, guest: str = "vm1") -> Driver:
        """A guest's driver that has said HELLO; it goes with the test."""
        self.wait_for(lambda: not self.daemon.rpc("guest.list", {"guest": guest})["guests"][0][
            "connected"], f"the former frontend of {guest} to be gone")
        frontend = Frontend(self.daemon.scratch / f"{guest}.sock")
        self.addCleanup(frontend.close)
        driver = Driver(frontend.setup())
        driver.hello()
        return driver

    def channel(self, name: str) -> Channel:
        """A channel of vm1 that is attached and open at the guest's end."""
        return Channel(self.driver(), name).attach().open()

    def reload(self, outcome: str = "notice: reloaded,") -> str:
        """Reload the configuration as it is now; return what is logged."""
        since = len(self.daemon.log())
        self.daemon.write_config()
        self.daemon.rpc("config.reload")
        return self.daemon.wait_log(outcome, since=since)


class DaemonPerTest(DaemonTest):
    """The same with one daemon per test."""

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        type(self).scratch = scratch_dir()
        self.daemon = Daemon(self.config(), scratch=self.scratch)
        self.addCleanup(self.daemon.stop)
