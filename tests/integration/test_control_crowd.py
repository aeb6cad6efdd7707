# SPDX-License-Identifier: BSD-3-Clause
"""A crowd at the control socket: it does not lock out others, hold up main, or use up memory."""
import json
import os
import pwd
import select
import socket
import subprocess
import time
import unittest

from ctl_rig import DaemonTest, memory_bytes
from vm.control import Connection
from vm.daemon import guest_config

N_CHANNELS = 1024
needs_root = unittest.skipIf(os.geteuid(), "needs root: other users connect")
# Another user's clients: argv has their number and what each one sends. They print a line when
# all are connected, and stay.
CROWD = """
import socket, sys
clients = []
for _ in range(int(sys.argv[2])):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(sys.argv[1])
    try:
        client.sendall(sys.argv[3].encode())
    except (BrokenPipeError, ConnectionResetError):
        pass
    clients.append(client)
print("there", flush=True)
sys.stdin.read()
"""


def batch(method: str) -> str:
    """A line with as many calls as a batch can have."""
    return json.dumps([{"jsonrpc": "2.0", "id": i, "method": method} for i in range(16)]) + "\n"


class Crowd(DaemonTest):
    """A daemon with many channels, whose socket anyone may open; daemon and bin are readers."""

    @classmethod
    def config(cls):
        cls.scratch.chmod(0o711)
        return {"control": {"path": str(cls.scratch / "control.sock"), "mode": "0666", "admins": {},
                            "readers": {"users": ["daemon", "bin", "sys"]}},
                "guests": [guest_config("vm1", "vm1.sock", {f"channel-{i:04}": {"type": "echo"}
                                                            for i in range(N_CHANNELS)})]}

    def crowd(self, n: int, says: str = "", user: str | None = None) -> subprocess.Popen:
        """Clients of a user (by default the one that runs the test) that read no answers."""
        more = {}
        if user:
            entry = pwd.getpwnam(user)
            more = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        crowd = subprocess.Popen(["/usr/bin/python3", "-c", CROWD, self.daemon.control_path, str(n),
                                  says], cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 **more)
        self.addCleanup(crowd.wait)
        self.addCleanup(crowd.stdout.close)
        self.addCleanup(crowd.stdin.close)
        self.assertEqual(crowd.stdout.readline(), b"there\n")
        return crowd

    def admin_is_answered(self, what: str) -> None:
        """Ask several times as an admin; print how long the longest answer took."""
        longest = 0.0
        for _ in range(20):
            begin = time.monotonic()
            self.daemon.rpc("version", timeout=20)
            longest = max(longest, time.monotonic() - begin)
        print(f"{what}: an admin's answer took at most {longest * 1000:.1f} ms; "
              f"the daemon has {memory_bytes(self.daemon.pid) >> 20} MiB")

    def test_a_thousand_that_sit_there(self):
        self.crowd(1000)
        self.admin_is_answered("1000 silent clients")
        self.assertLess(len(os.listdir(f"/proc/{self.daemon.pid}/fd")), 200)

    @needs_root
    def test_a_user_without_rights(self):
        with Connection(self.daemon.control_path) as before:
            before.call("version")
            self.crowd(64, user="nobody")
            self.admin_is_answered("64 clients of a user without rights")
            self.crowd(1000, batch("channel.list"), user="nobody")
            self.admin_is_answered("1000 more of them, each with a batch")
            before.call("version")

    @needs_root
    def test_users_that_hold_all_they_can(self):
        for user in ("daemon", "bin", "sys"):
            self.crowd(64, batch("channel.list"), user=user)
        self.admin_is_answered("three users with as many clients as they get")

    def test_batches_that_nobody_takes(self):
        """Each costs as much memory as its socket holds, not as much as all its answers."""
        for method in ("channel.list", "metrics.get", "guest.list"):
            with self.subTest(method):
                before = memory_bytes(self.daemon.pid)
                crowd = self.crowd(63, batch(method))
                self.admin_is_answered(f"63 clients with batches of {method}")
                self.assertLess(memory_bytes(self.daemon.pid) - before, 32 << 20)
                crowd.kill()
                crowd.wait()

    def test_batches_are_served_side_by_side(self):
        """A quick question is answered before a batch that came earlier, which is then finished."""
        with Connection(self.daemon.control_path) as slow, \
                Connection(self.daemon.control_path) as quick:
            slow.sock.sendall(batch("channel.list").encode())
            self.assertEqual(quick.call("version")["name"], "okl4fsd")
            answers = slow.line()
            self.assertEqual([answer["id"] for answer in answers], list(range(16)))
            for answer in answers:
                self.assertEqual(len(answer["result"]["channels"]), N_CHANNELS)

    def test_metrics_of_a_user_follow_each_other(self):
        """A client that does not read its metrics holds up others of its user until it leaves."""
        with Connection(self.daemon.control_path) as other:
            with Connection(self.daemon.control_path) as first:
                request = b'{"jsonrpc":"2.0","id":1,"method":"metrics.get"}\n'
                first.sock.sendall(request)
                self.assertTrue(first.sock.recv(1))
                other.sock.sendall(request)
                # When main has answered what came later, it has read that.
                self.daemon.rpc("version")
                self.assertEqual(select.select([other.sock], [], [], 0)[0], [])
            self.assertTrue(other.line()["result"]["text"].endswith("# EOF\n"))

    def test_events_follow_the_answer_that_is_being_told(self):
        with Connection(self.daemon.control_path) as told:
            told.call("events.subscribe", {"kinds": ["channel"]})
            told.sock.sendall(batch("channel.list").encode())
            self.assertTrue(told.sock.recv(1, socket.MSG_PEEK))
            self.daemon.rpc("channel.remove", {"guest": "vm1", "channel": "channel-0000"})
            self.daemon.rpc("channel.add", {"guest": "vm1", "channel": {
                "name": "channel-0000", "endpoint": {"type": "echo"}}})
            self.assertEqual(len(told.line()), 16)
            self.assertEqual([told.event()["kind"] for _ in range(2)],
                             ["channel.removed", "channel.added"])

    def test_okl4fsctl_reads_all_pages(self):
        names = [f"vm1/channel-{i:04}" for i in range(N_CHANNELS)]
        self.assertEqual(self.daemon.ctl("channels", "--names")[1].split(), names)
        self.assertEqual(self.daemon.ctl("channels", "vm1", "--names")[1].split(), names)
        status, output, _ = self.daemon.ctl("--json", "channels")
        self.assertEqual((status, [c["name"] for c in json.loads(output)["channels"]]),
                         (0, [name.removeprefix("vm1/") for name in names]))
        self.assertEqual(self.daemon.ctl("channel", names[-1])[0], 0)
        status, output, _ = self.daemon.ctl("--json", "top", "--delay", "0.1", "--count", "1")
        self.assertEqual((status, len(json.loads(output)["channels"])), (0, N_CHANNELS))
        status, _, error = self.daemon.ctl("channels", "vm2")
        self.assertEqual((status, error), (1, 'okl4fsctl: there is no guest "vm2"\n'))

    def test_pages_while_channels_come_and_go(self):
        """A channel that is there all the time is listed exactly once."""
        with Connection(self.daemon.control_path) as client:
            seen, cursor, n = [], {}, 0
            while True:
                page = client.call("channel.list", {"limit": 100, **cursor})
                self.assertLessEqual(len(page["channels"]), 100)
                seen += [c["name"] for c in page["channels"]]
                if "cursor" not in page:
                    break
                cursor = {"cursor": page["cursor"]}
                # A channel before the cursor and one after it are removed and added again.
                for i in (100 * n, (100 * n + 150) % N_CHANNELS):
                    name = f"channel-{i:04}"
                    client.call("channel.remove", {"guest": "vm1", "channel": name})
                    client.call("channel.add", {"guest": "vm1", "channel": {
                        "name": name, "endpoint": {"type": "echo"}}})
                n += 1
                if n == 3:
                    client.call("guest.add", {"guest": guest_config(
                        "late", self.scratch / "late.sock", {"last": {"type": "echo"}})})
            client.call("guest.remove", {"guest": "late"})
        self.assertEqual(seen[-1], "last")
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual(set(seen) - {"last"}, {f"channel-{i:04}" for i in range(N_CHANNELS)})
