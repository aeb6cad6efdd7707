# SPDX-License-Identifier: BSD-3-Clause
"""What a reload changes apart from guests and channels: where metrics are served."""
import socket
import unittest

from vm.daemon import Daemon
from vm.process import scratch_dir


class Metrics(unittest.TestCase):
    """A daemon whose metrics come, move and go."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.daemon = Daemon({"guests": []}, scratch=self.scratch)
        self.addCleanup(self.daemon.stop)

    def reload(self, listen: str | None) -> str:
        """Reload with another configuration; return what is logged."""
        before = len(self.daemon.log())
        self.daemon.config.pop("metrics", None)
        if listen:
            self.daemon.config["metrics"] = {"listen": listen}
        self.daemon.write_config()
        self.daemon.rpc("config.reload")
        return self.daemon.wait_log("notice: reloaded,", since=before)

    def served(self, path) -> bool:
        """Whether metrics are served at a unix socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            try:
                sock.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return sock.recv(16).startswith(b"HTTP/1.0 200 OK")

    def test_come_move_and_go(self):
        one, two = self.scratch / "one.sock", self.scratch / "two.sock"
        self.assertFalse(self.served(one))
        self.reload(f"unix:{one}")
        self.assertTrue(self.served(one))
        inode = one.stat().st_ino
        self.reload(f"unix:{one}")
        self.assertEqual(one.stat().st_ino, inode, "what is as before is left alone")
        self.reload(f"unix:{two}")
        self.assertEqual((self.served(one), self.served(two)), (False, True))
        self.assertFalse(one.exists())
        self.reload(None)
        self.assertEqual((two.exists(), self.served(two)), (False, False))

    def test_a_place_that_is_taken(self):
        """Metrics are served as before, and the next reload tries again."""
        one = self.scratch / "one.sock"
        self.reload(f"unix:{one}")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            log = self.reload(listen)
            self.assertIn(f"metrics: {listen}: Address already in use", log)
            self.assertIn(f"metrics are served as before: unix:{one}", log)
            self.assertTrue(self.served(one))
        self.reload(listen)
        self.assertFalse(self.served(one))
        with socket.create_connection(("127.0.0.1", int(listen.split(":")[1])), 20) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            self.assertTrue(sock.recv(16).startswith(b"HTTP/1.0 200 OK"))


if __name__ == "__main__":
    unittest.main()
