# SPDX-License-Identifier: BSD-3-Clause
"""Many sessions in a real guest, and what becomes of them when the device or the daemon goes away.

What single calls do is in okl4test/rows_session.c (test_rows).
"""
import contextlib
import os
import re
import socket
import threading
import unittest

from vm import guest_config, until
from vm.base import HotPlugged, VmTest, echo, pairs

LIMIT_S = 60
FLOOD_S = int(os.environ.get("OKL4FS_FLOOD_S", "3"))


class EchoServer:
    """Echoes to all its clients, each of which has a thread."""

    def __init__(self, path):
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen(512)
        self._clients = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._sock.accept()
                self._clients.append(client)
                threading.Thread(target=self._echo, args=(client,), daemon=True).start()

    @staticmethod
    def _echo(client):
        with client, contextlib.suppress(OSError):
            while piece := client.recv(65536):
                client.sendall(piece)

    def close(self):
        """Take no more clients."""
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Sessions(VmTest):
    """One guest."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        server = EchoServer(cls.scratch / "server.sock")
        cls.addClassCleanup(server.close)
        cls.one_guest({
            "echo": {"sessions": 600, "endpoint": echo()},
            "few": {"sessions": 3, "ring_bytes": 4096, "endpoint": echo()},
            "calls": {"sessions": 600, "endpoint": {"type": "unix-connect",
                                                    "path": str(cls.scratch / "server.sock")}}})

    def sessions_left(self) -> str:
        """How many sessions the driver has."""
        return pairs(self.guest.check("cat /sys/kernel/debug/okl4fs/*/device"))["sessions"]

    def wait_none(self) -> None:
        """All sessions are closed, on both sides."""
        until(lambda: self.sessions_left() == "0", "the guest's sessions to end", LIMIT_S)
        for name in ("echo", "few", "calls"):
            until(lambda name=name: self.channel(name)["sessions"]["live"] == 0,
                  f"the daemon's sessions of {name} to end", LIMIT_S)

    def test_500_at_once(self):
        """Each has its own bytes, to a program on the host and back, and its own end."""
        self.assertIn("ok 500 sessions", self.guest.check("okl4test sessions /okl4/calls opens=500",
                                                          LIMIT_S))
        self.wait_none()

    def test_shells(self):
        """Two descriptors of one node do not see each other's bytes."""
        self.guest.check("test -p /okl4/echo || mkfifo /okl4/echo")
        self.assertEqual(self.guest.check(
            "exec 3<>/okl4/echo 4<>/okl4/echo; echo three >&3; echo four >&4; "
            "head -n1 <&4; head -n1 <&3"), "four\nthree\n")

    def footprint(self) -> tuple[int, int, int]:
        """Memory of the guest that cannot be reclaimed, in KiB; the daemon's descriptors, and memory."""
        seen = dict(re.findall(r"^(\w+): +(\d+) kB", self.guest.check("cat /proc/meminfo"), re.M))
        with open(f"/proc/{self.daemon.pid}/statm", encoding="ascii") as statm:
            resident = int(statm.read().split()[1]) * 4
        return (int(seen["SUnreclaim"]), len(os.listdir(f"/proc/{self.daemon.pid}/fd")), resident)

    def test_flood(self):
        """Opened, used and closed as fast as it goes, also more than there can be at once."""
        for channel in ("echo", "few"):
            self.guest.check(f"okl4test flood /okl4/{channel} seconds=1")  # caches and pools are full
        self.wait_none()
        before = self.footprint()
        for channel in ("few", "echo"):
            print(channel, self.guest.check(f"okl4test flood /okl4/{channel} seconds={FLOOD_S}",
                                            LIMIT_S + FLOOD_S), end="")
        self.wait_none()
        after = self.footprint()
        self.assertLess(after[0], before[0] + 2048, (before, after))
        self.assertEqual(after[1], before[1])
        self.assertLess(after[2], before[2] + 2048, (before, after))

    def test_debugfs_counts_all(self):
        """The channel's file counts what its sessions, also those that have ended, have moved."""
        def seen():
            return next(found for text in self.guest.check(
                "for f in /sys/kernel/debug/okl4fs/*/channels/*; do cat $f; echo .; done").split(".\n")
                        if (found := pairs(text)).get("name") == "few")
        before = seen()
        self.guest.check("test -p /okl4/few || mkfifo /okl4/few")
        self.guest.check("echo hello 1<>/okl4/few")
        live = self.guest.spawn("exec okl4test live /okl4/few opens=2", stdin=True)
        live.wait_output("ready", LIMIT_S)
        during = seen()
        live.close_input()
        self.ends_well(live)
        self.assertEqual(during["sessions"], "2")
        self.assertEqual(during["max_sessions"], "3")
        self.assertEqual(int(during["tx.bytes"]) - int(before["tx.bytes"]), 8)
        self.assertEqual(int(during["rx.bytes"]) - int(before["rx.bytes"]), 2)


class Killed(VmTest):
    """The daemon is killed among live sessions."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = EchoServer(cls.scratch / "server.sock")
        cls.addClassCleanup(cls.server.close)
        socket_path = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", socket_path, {
            "echo": {"sessions": 300, "endpoint": echo()},
            "turns": {"sessions": 2, "endpoint": echo()},
            "listens": {"sessions": 2, "endpoint": {
                "type": "unix-listen", "path": str(cls.scratch / "listens.sock")}},
            "calls": {"sessions": 300, "endpoint": {
                "type": "unix-connect", "path": str(cls.scratch / "server.sock")}}},
            socket_mode="connect")])
        cls.guest = cls.start_guest(socket_path, serve=True, way="fs")

    def test_killed_among_200(self):
        """Those of an echo go on; connections are reset; an open that waits goes on waiting."""
        echoes = self.guest.spawn("exec okl4test live /okl4/echo opens=100", stdin=True)
        calls = self.guest.spawn("exec okl4test live /okl4/calls opens=100", stdin=True)
        self.guest.check("mkfifo /okl4/listens")
        waits = self.guest.spawn("exec 3<>/okl4/listens; head -n1 <&3")
        for command in (echoes, calls):
            command.wait_output("ready", LIMIT_S)
        until(lambda: self.channel("listens")["sessions"]["waiting"] == 1, "the open to wait", LIMIT_S)
        self.daemon.kill()
        self.daemon.start()
        for command, line in ((echoes, "echo"), (calls, "ECONNRESET")):
            command.write(f"{line}\n".encode())
            command.wait_output(f"done {line}", LIMIT_S)
        self.assertFalse(waits.done())
        self.client(self.scratch / "listens.sock").sendall(b"after\n")
        self.assertEqual(waits.wait(LIMIT_S), (0, "after\n"))
        self.guest.check("okl4test sessions /okl4/calls opens=5", LIMIT_S)
        for command in (echoes, calls):
            command.signal(9)
        for name in ("echo", "calls", "listens"):
            until(lambda name=name: self.channel(name)["sessions"]["live"] == 0,
                  f"the sessions of {name} to end", LIMIT_S)


    def test_started_with_messages(self):
        """A session of bytes does not become one of messages: it is reset, and the next one has them."""
        self.guest.check("mkfifo /okl4/turns")
        session = self.guest.spawn("exec 3<>/okl4/turns; echo bytes >&3; head -n1 <&3; "
                                   "head -n1 <&3 2>/dev/null || echo reset")
        session.wait_output("bytes\n", LIMIT_S)
        self.daemon.kill()
        turns = next(channel for channel in self.daemon.config["guests"][0]["channels"]
                     if channel["name"] == "turns")
        turns["packets"] = True
        self.daemon.write_config()
        self.daemon.start()
        self.assertEqual(session.wait(LIMIT_S), (0, "bytes\nreset\n"))
        self.assertEqual(self.guest.check("exec 3<>/okl4/turns; echo 1 >&3; echo 2 >&3; "
                                          "dd bs=100 count=1 <&3 2>/dev/null", LIMIT_S), "1\n")


class Unplugged(HotPlugged):
    """The device goes and comes back among live sessions."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {
            "echo": {"sessions": 100, "endpoint": echo()},
            "listens": {"sessions": 2, "endpoint": {
                "type": "unix-listen", "path": str(cls.scratch / "listens.sock")}}})])
        cls.guest = cls.start_guest(None, hotplug=True, way="fs")
        cls.plug()

    def live(self):
        """Sessions, and an open that waits."""
        command = self.guest.spawn("exec okl4test live /okl4/echo opens=50", stdin=True)
        command.wait_output("ready", LIMIT_S)
        self.guest.check("test -p /okl4/listens || mkfifo /okl4/listens")
        waits = self.guest.spawn("exec 3<>/okl4/listens && head -n1 <&3")
        until(lambda: self.channel("listens")["sessions"]["waiting"] == 1, "the open to wait", LIMIT_S)
        return command, waits

    def ends(self, command, waits) -> None:
        """Reads fail with EIO, the open with ENXIO."""
        command.write(b"EIO\n")
        command.wait_output("done EIO", LIMIT_S)
        status, output = waits.wait(LIMIT_S)
        self.assertNotEqual(status, 0)
        self.assertRegex(output, "(?i)no such device or address")

    def goes_on_again(self, command) -> None:
        """An echo has nothing but its memory, so the sessions go on; then they are closed."""
        command.write(b"echo\n")
        command.wait_output("done echo", LIMIT_S)
        command.signal(9)
        self.guest.check("okl4test sessions /okl4/echo opens=50 bytes=1000", LIMIT_S)
        until(lambda: self.channel("echo")["sessions"]["live"] == 0, "all to end", LIMIT_S)

    def test_unplugged(self):
        """By QMP; also a module without users can go then."""
        command, waits = self.live()
        self.unplug()
        self.ends(command, waits)
        self.plug()
        self.goes_on_again(command)

    def test_unbound(self):
        """Through sysfs."""
        command, waits = self.live()
        self.unbind()
        self.ends(command, waits)
        self.bind()
        self.wait_offered()
        self.goes_on_again(command)
        self.guest.check("umount /okl4 && rmmod okl4fs && insmod /lib/okl4fs.ko && "
                         "mount -t okl4fs okl4fs /okl4 && mkfifo /okl4/echo")


if __name__ == "__main__":
    unittest.main()
