# SPDX-License-Identifier: BSD-3-Clause
"""Rights on the control socket: readers and admins, users and groups, also after a reload."""
import grp
import json
import os
import pwd
import signal
import subprocess
import unittest

from ctl_rig import DaemonPerTest  # which says where control_page is
from control_page import Page
from vm.control import Connection

DENIED = -32002
needs_root = unittest.skipIf(os.geteuid(), "needs root: other users connect")
# Another user's client: sends lines and reads an answer to each, or sends one line and reads on
CLIENT = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(20)
sock.connect(sys.argv[1])
lines = sock.makefile("rb")
for request in iter(sys.stdin.buffer.readline, b""):
    sock.sendall(request)
    while line := lines.readline():
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        if len(sys.argv) == 2:
            break
    if len(sys.argv) > 2:
        break
"""
CHANGES = {"guest.add", "guest.remove", "channel.add", "channel.remove", "channel.reset",
           "config.reload", "config.get", "config.saved", "log.set"}


def request(method: str, params: dict | None = None) -> bytes:
    """A request as a line."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                       "params": params or {}}).encode() + b"\n"


class Rights(DaemonPerTest):
    """A daemon whose socket anyone may open."""

    @classmethod
    def config(cls):
        cls.scratch.chmod(0o711)
        return {"control": {"path": str(cls.scratch / "control.sock"), "mode": "0666"},
                "guests": []}

    def give(self, **control) -> None:
        """Reload with other rights."""
        self.daemon.config["control"] = {**self.config()["control"], **control}
        self.reload()

    def client(self, user: str, groups=(), *more) -> subprocess.Popen:
        """A client of another user."""
        entry = pwd.getpwnam(user)
        client = subprocess.Popen(
            ["/usr/bin/python3", "-c", CLIENT, self.daemon.control_path, *more], cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=entry.pw_uid,
            group=entry.pw_gid, extra_groups=[grp.getgrnam(group).gr_gid for group in groups])
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.stdin.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        return client

    def ask(self, client: subprocess.Popen, method: str, params: dict | None = None) -> int | None:
        """Call a method; return the code of the error, or None."""
        client.stdin.write(request(method, params))
        client.stdin.flush()
        return json.loads(client.stdout.readline()).get("error", {}).get("code")

    def may(self, client: subprocess.Popen) -> str:
        """What the client may do, judged by the answers it gets."""
        looked, changed = self.ask(client, "version"), self.ask(client, "config.reload")
        self.assertIn((looked, changed), ((DENIED, DENIED), (None, DENIED), (None, None)))
        return "nothing" if looked else "look" if changed else "change"

    @needs_root
    def test_users_and_groups(self):
        """tests/unit/control has what may be configured; this is a real user's process."""
        self.give(readers={"users": ["daemon"], "groups": ["tty"]},
                  admins={"users": ["bin"], "groups": ["adm"]})
        for user, groups, may in (
                ("nobody", (), "nothing"), ("daemon", (), "look"), ("bin", (), "change"),
                ("nobody", ("audio", "tty"), "look"), ("nobody", ("adm",), "change"),
                ("daemon", ("adm", "tty"), "change"), ("root", (), "change")):
            with self.subTest(user=user, groups=groups):
                self.assertEqual(self.may(self.client(user, groups)), may)

    @needs_root
    def test_each_method_takes_the_right_that_the_manual_says(self):
        self.give(admins={}, readers={"users": ["daemon"]})
        reader, stranger = self.client("daemon"), self.client("nobody")
        methods = Page().methods
        self.assertEqual({name for name, method in methods.items() if method.admin}, CHANGES)
        for name, method in methods.items():
            with self.subTest(name):
                self.assertEqual(self.ask(stranger, name), DENIED)
                # Parameters are looked at only after the right.
                self.assertEqual(self.ask(reader, name, {"nonsense": 1}),
                                 DENIED if method.admin else -32602)

    @needs_root
    def test_a_right_that_is_taken_away(self):
        """A reload changes the rights of connected clients, too; a subscription ends."""
        told, asks = self.client("daemon", (), "all that comes"), self.client("daemon")
        self.assertIsNone(self.ask(told, "events.subscribe"))
        self.assertEqual(self.may(asks), "change")
        self.give(admins={})
        self.assertEqual(self.may(asks), "look")
        self.give(readers={"users": ["bin"]})
        self.assertEqual(self.may(asks), "nothing")
        self.daemon.wait_log("uid 1 calls config.reload")
        *events, last = [json.loads(line) for line in told.stdout]
        self.assertEqual([event["params"]["kind"] for event in events], ["config.reloaded"] * 2)
        self.assertEqual((last["error"]["code"], last["id"]), (DENIED, None))

    @needs_root
    def test_a_client_takes_its_own_rights_away(self):
        """It has subscribed to events and calls the reload; it gets its answers and must go."""
        client = self.client("daemon", (), "all that comes")
        self.daemon.config["control"]["readers"] = {"users": ["bin"]}
        self.daemon.write_config()
        lines = [{"jsonrpc": "2.0", "id": i, "method": method} for i, method in
                 enumerate(("events.subscribe", "config.reload", "version", "channel.list"))]
        client.stdin.write(json.dumps(lines).encode() + b"\n")
        client.stdin.flush()
        answers = json.loads(client.stdout.readline())
        self.assertEqual([answer.get("error", {}).get("code") for answer in answers],
                         [None, None, DENIED, DENIED])
        self.assertEqual(client.stdout.readline(), b"")

    def test_the_daemon_s_own_user_may_everything(self):
        self.give(admins={}, readers={})
        self.daemon.rpc("version")
        self.daemon.rpc("config.reload")

    def test_who_asks_nothing_is_sent_away(self):
        with Connection(self.daemon.control_path) as idle:
            self.give(idle_seconds=1)
            self.assertEqual(idle.line()["error"], {"code": -32003,
                                                    "message": "no request came for 1 s"})
            self.assertIsNone(idle.line())

    def test_unknown_names_change_nothing(self):
        with self.assertRaisesRegex(Exception, r"okl4fsd.json:\d+:\d+: control.readers.groups\[0\]: "
                                               'there is no group "no such"'):
            self.give(readers={"groups": ["no such"]})
        self.daemon.rpc("version")

    def test_what_takes_a_restart_is_told(self):
        before = len(self.daemon.log())
        self.daemon.config["control"]["mode"] = "0600"
        self.daemon.write_config()
        self.daemon.signal(signal.SIGHUP)
        log = self.daemon.wait_log("reloaded", since=before)
        self.assertIn("restart the daemon to apply that", log)
        self.assertEqual(os.stat(self.daemon.control_path).st_mode & 0o777, 0o666)
