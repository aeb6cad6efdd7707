# SPDX-License-Identifier: BSD-3-Clause
"""`"socket_mode": "connect"`: the frontend listens, the daemon comes, and comes again."""
import os
import select
import signal
import socket
import unittest

from guest_end import Channel, Driver
from memory import Memory
from rig import RING_BYTES, assert_idle
from vhost_user import Frontend
from vm.daemon import Daemon, guest_config
from vm.process import Deadline, scratch_dir


class Connect(unittest.TestCase):
    """Either may start first, and either may go away."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.path = self.scratch / "vm1.sock"
        channels = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}}
        self.daemon = Daemon({"guests": [guest_config("vm1", self.path, channels,
                                                      socket_mode="connect")]},
                             scratch=self.scratch, start=False)
        self.addCleanup(self.daemon.stop)

    def listen(self) -> socket.socket:
        """A listening socket, as QEMU's `server=on`."""
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        if self.path.exists():
            self.path.unlink()
        sock.bind(str(self.path))
        sock.listen(4)
        sock.settimeout(20)
        return sock

    def accept(self, listener: socket.socket, memory: Memory | None = None) -> Frontend:
        """The daemon, when it comes."""
        frontend = Frontend(None, memory, listener.accept()[0])
        self.addCleanup(frontend.close)
        return frontend

    def serve(self, frontend: Frontend, instance: int = 1) -> Channel:
        """Set up, attach, move bytes."""
        frontend.setup()
        driver = Driver(frontend)
        driver.hello()
        channel = Channel(driver, "echo", instance=instance).attach().open()
        channel.echo(os.urandom(3 * RING_BYTES))
        return channel

    def test_frontend_first(self):
        listener = self.listen()
        self.daemon.start()
        self.serve(self.accept(listener))

    def test_daemon_first(self):
        self.daemon.start()
        self.daemon.wait_log("no frontend listens")
        self.serve(self.accept(self.listen()))

    def test_stale_socket(self):
        self.listen().close()
        self.daemon.start()
        self.daemon.wait_log("no frontend listens")
        self.serve(self.accept(self.listen()))

    def test_frontend_goes_and_comes(self):
        listener = self.listen()
        self.daemon.start()
        for _ in range(3):
            channel = self.serve(self.accept(listener))
            channel.driver.frontend.close()
        listener.close()
        self.path.unlink()
        self.daemon.wait_log("no frontend listens")
        self.serve(self.accept(self.listen()))
        self.assertEqual(self.daemon.log().count("no frontend listens"), 1)

    def test_daemon_is_killed_in_mid_stream(self):
        """Sequence through `echo`: nothing lost, nothing doubled; the driver resets and goes on."""
        listener = self.listen()
        self.daemon.start()
        memory = Memory()
        frontend = self.accept(listener, memory)
        frontend.setup()
        driver = Driver(frontend)
        driver.hello()
        channel = Channel(driver, "echo").attach().open()
        data, sent, received = os.urandom(40 * RING_BYTES), 0, b""
        for kill_at in range(100000, 700000, 100000):
            while len(received) < kill_at:
                sent += channel.write_some(data[sent:])
                received += channel.read_some(5000)
                channel.ring()
            self.daemon.kill()
            sent += channel.write_some(data[sent:])
            self.daemon.restart()
            old = frontend
            frontend = Frontend(None, memory, listener.accept()[0])
            self.addCleanup(frontend.close)
            frontend.handshake()
            self.assertEqual(frontend.set_memory(), 0)
            frontend.rings, old.rings = old.rings, []
            old.sock.close()
            for ring in frontend.rings:
                ring.clear()
            frontend.start_rings()
            driver.frontend = frontend
            driver.post_all()
            driver.hello()
            channel.attach()
        self.assertEqual(received, data[:len(received)])
        channel.echo(data, sent, len(received))

    def test_idle_when_connected(self):
        """The timer that tries again runs only while nobody is there."""
        self.daemon.start()
        self.daemon.wait_log("no frontend listens")
        channel = self.serve(self.accept(self.listen()))
        channel.driver.ping()
        assert_idle(self, self.daemon)

    def away(self) -> str | None:
        """What `guest.list` says why the frontend is away."""
        return self.daemon.rpc("guest.list")["guests"][0]["away"]

    def wait_away(self, reason: str) -> None:
        """Wait until `guest.list` gives this reason."""
        deadline = Deadline(20)
        while self.away() != f"connect {self.path}: {reason}":
            deadline.check(f"the reason {reason!r}, not {self.away()!r}")

    def test_why_away(self):
        """`guest.list` and the log say why, each time the reason changes; and nothing when it is there."""
        self.path = self.scratch / "folder" / "vm1.sock"
        self.daemon.config["guests"][0]["socket"] = str(self.path)
        self.daemon.write_config()
        self.daemon.start()
        self.daemon.wait_log(f"guest vm1: no frontend listens at {self.path}: No such file or "
                             "directory (its folder does not exist")
        self.wait_away("No such file or directory")
        self.path.parent.mkdir()
        self.listen().close()
        self.wait_away("Connection refused")
        self.daemon.wait_log(f"no frontend listens at {self.path}: Connection refused")
        self.path.unlink()
        self.wait_away("No such file or directory")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wrong:
            wrong.bind(str(self.path))
            self.wait_away("Protocol wrong type for socket")
            self.daemon.wait_log(f"guest vm1: cannot connect to the frontend at {self.path}: "
                                 "Protocol wrong type for socket")
        self.assertIn(f"\nvm1 is away: {self.away()}\n", self.daemon.ctl("guests")[1])
        channel = self.serve(self.accept(self.listen()))
        self.assertIsNone(self.away())
        self.assertNotIn("away", self.daemon.ctl("guests")[1])
        channel.driver.ping()

    def test_clean_stop_while_waiting(self):
        self.daemon.start()
        self.daemon.wait_log("no frontend listens")
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(), 0)

    def test_hostile_frontend_does_not_keep_us_busy(self):
        """Dropped at once, it is not called again at once."""
        listener = self.listen()
        self.daemon.start()
        for _ in range(3):
            frontend = self.accept(listener)
            frontend.send(99)
            self.assertTrue(frontend.dropped())
            poller = select.poll()
            poller.register(listener, select.POLLIN)
            self.assertEqual(poller.poll(100), [])


if __name__ == "__main__":
    unittest.main()
