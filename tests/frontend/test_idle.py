# SPDX-License-Identifier: BSD-3-Clause
"""A connected guest with nothing to do costs nothing: no thread of the daemon runs at all."""
import os
import re
import select
import unittest
from pathlib import Path

from memory import Memory
from rig import FrontendTest

WINDOW_S = 4  # DPDK, left to itself, would wake once a second


class Idle(FrontendTest):
    """Counted as context switches of every thread."""

    def switches(self) -> dict[str, int]:
        """Context switches of each thread, wanted and unwanted."""
        found = {}
        for task in Path(f"/proc/{self.daemon.pid}/task").iterdir():
            status = (task / "status").read_text(encoding="utf-8")
            name = re.search(r"^Name:\s*(.*)$", status, re.M)[1]
            found[f"{name} {task.name}"] = sum(
                int(n) for n in re.findall(r"voluntary_ctxt_switches:\s*(\d+)", status))
        return found

    def assert_idle(self) -> None:
        """Nobody runs during the window. Its beginning waits until what was asked for is done."""
        poller = select.poll()
        poller.register(self.daemon._process.pidfd, select.POLLIN)
        poller.poll(300)
        before = self.switches()
        self.assertEqual(poller.poll(WINDOW_S * 1000), [], "the daemon has ended")
        self.assertEqual(self.switches(), before)

    def test_waiting_for_frontends(self):
        self.assert_idle()

    def test_connected(self):
        channel = self.echo_channel()
        channel.echo(os.urandom(100000))
        channel.driver.ping()
        self.assert_idle()

    def test_full_ring(self):
        """Back-pressure: both rings full, nobody reads."""
        channel = self.echo_channel()
        for _ in range(20):
            channel.write_some(os.urandom(65536))
            channel.ring()
            channel.driver.ping()
            channel.driver.take_events()
        self.assertEqual(channel.rx.peer_cursor.value, 65536)
        self.assert_idle()

    def test_after_a_frontend_was_dropped(self):
        frontend = self.connect(memory=Memory(size=4096))
        frontend.send(99, b"")
        self.assertTrue(frontend.dropped())
        frontend.close()
        self.wait_free("vm1")
        self.assert_idle()


if __name__ == "__main__":
    unittest.main()
