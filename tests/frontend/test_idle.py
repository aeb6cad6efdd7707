# SPDX-License-Identifier: BSD-3-Clause
"""A connected guest with nothing to do costs nothing: no thread of the daemon runs at all."""
import os

from memory import Memory
from rig import FrontendTest, assert_idle


class Idle(FrontendTest):
    """Counted as context switches of every thread."""

    def test_waiting_for_frontends(self):
        assert_idle(self, self.daemon)

    def test_connected(self):
        channel = self.echo_channel()
        channel.echo(os.urandom(100000))
        channel.driver.ping()
        assert_idle(self, self.daemon)

    def test_full_ring(self):
        """Back-pressure: both rings are full and nobody reads."""
        channel = self.echo_channel()
        for _ in range(20):
            channel.write_some(os.urandom(65536))
            channel.ring()
            channel.driver.ping()
            channel.driver.take_events()
        self.assertEqual(channel.rx.peer_cursor.value, 65536)
        assert_idle(self, self.daemon)

    def test_after_a_frontend_was_dropped(self):
        frontend = self.connect(memory=Memory(size=4096))
        frontend.send(99, b"")
        self.assertTrue(frontend.dropped())
        frontend.close()
        self.wait_free("vm1")
        assert_idle(self, self.daemon)
