# SPDX-License-Identifier: BSD-3-Clause
"""okl4fs-control(7) against the daemon: methods, parameters, results, events and error codes."""
import json
import re
import socket
import unittest
from contextlib import suppress

from ctl_rig import DaemonTest, free_port  # which says where control_page is
from control_page import BASIC, Page
from schema import load_commented, valid
from vm import paths
from vm.control import Connection, RpcError
from vm.daemon import guest_config

INVALID_PARAMS = -32602
ECHO = {"type": "echo"}
WRONG = {"string": 1, "array of string": {"x": 1}, "object": "x", "number": "x"}
# Members that appear only with a guest that breaks the rules, or with TLS
ELSEWHERE = {"failure.status", "failure.text", "endpoint.handshakes_failed",
             "endpoint.connections_torn",
             *(f"opener.{name}" for name in ("comm", "pid", "uid", "gid"))}
SCHEMA = load_commented((paths.ROOT / "conf/okl4fsd.schema.json").read_text(encoding="utf-8"))


def source(path: str) -> str:
    """A source file of the daemon whose tables are compared with the page."""
    return (paths.ROOT / "daemon" / path).read_text(encoding="utf-8")


class Tables(unittest.TestCase):
    """The page has what the daemon's tables have, and nothing else."""

    def setUp(self):
        self.page = Page()

    def test_methods_and_their_rights(self):
        rows = re.findall(r'^\t\{ "([\w.]+)", CONTROL_(READER|ADMIN),', source("control/methods.c"),
                          re.M)
        self.assertGreater(len(rows), 10)
        self.assertEqual({name: method.admin for name, method in self.page.methods.items()},
                         {name: right == "ADMIN" for name, right in rows})

    def test_kinds_of_events_and_their_members(self):
        names = dict(re.findall(r'X\((\w+), "([\w.]+)"', source("util/event_kinds.h")))
        self.assertEqual(set(self.page.kinds), set(names.values()))
        text = source("control/subscribers.c")
        for name, body in re.findall(r"^#define (TYPE|ID)\s+(MEMBER\(.*\))$", text, re.M):
            text = re.sub(rf"\{{ {name}\b", f"{{ {body}", text)
        rows = dict(re.findall(r"\[EVENTS_(\w+)\] = \{ (MEMBER.*?) \},\n", text, re.S))
        self.assertGreater(len(rows), 10)
        for key, kind in names.items():
            told = {name: member.type for name, member in self.page.kinds[kind].items()}
            self.assertEqual(told, {name: kind.lower() for name, kind in re.findall(
                r'MEMBER\("(\w+)", (\w+), \w+\)', rows.get(key, ""))}, kind)

    def test_error_codes(self):
        codes = re.findall(r"^\tCONTROL_\w+ =\s*(-\d+),", source("control/call.h"), re.M)
        self.assertEqual(set(self.page.codes), set(map(int, codes)))
        for code, about in self.page.codes.items():
            self.assertRegex(about, r"\w", code)

    def test_what_is_required_stands_first(self):
        for name, method in self.page.methods.items():
            optional = [param.optional for param in method.params.values()]
            self.assertEqual(optional, sorted(optional), name)
            for param in method.params.values():
                self.assertIn(param.type, WRONG, name)

    def test_types_are_described(self):
        for members in (*self.page.types.values(), *self.page.kinds.values(),
                        *(method.result for method in self.page.methods.values())):
            for name, member in members.items():
                self.assertIn(member.type.removeprefix("array of "), {*BASIC, *self.page.types}, name)


class Methods(DaemonTest):
    """A daemon with a guest of many channels."""

    @classmethod
    def config(cls):
        cls.page = Page()
        (cls.scratch / "file").write_bytes(b"x" * 1000)
        return {"guests": [guest_config("vm1", "vm1.sock", {
            "intervm_test": {"type": "intervm", "file": "file"},
            "sock": {"type": "unix-listen", "path": "sock"},
            "other": {"type": "unix-connect", "path": "other"},
            "tcp": {"type": "tcp-connect", "address": "127.0.0.1:9"}, "echo": {"sessions": 4, "endpoint": ECHO}})]}

    def setUp(self):
        self.connection = Connection(self.daemon.control_path)
        self.addCleanup(self.connection.close)

    def call(self, name: str, params: dict | None = None):
        """Call a method; its parameters and its result must be as the page says."""
        method = self.page.methods[name]
        self.assertEqual(self.page.wrong(method.params, params or {}, name), [])
        for part, value in (params or {}).items():
            if isinstance(value, dict):
                self.assertTrue(valid(SCHEMA["$defs"][part], value, SCHEMA), value)
        result = self.connection.call(name, params)
        self.assertEqual(self.page.wrong(method.result, result, f"{name}:"), [])
        return result

    def refused(self, name: str, params: dict) -> int:
        """Call a method that must refuse; return the code, which the page must have for it."""
        with self.assertRaises(RpcError) as refused:
            self.connection.call(name, params)
        self.assertTrue(self.page.cites(refused.exception.code, name), refused.exception)
        self.assertRegex(refused.exception.message, r"\w")
        return refused.exception.code

    def add_all(self) -> None:
        """Add guests and channels of all kinds, list them, and remove them."""
        self.test_every_type_of_endpoint_is_added_live()
        self.test_channels_that_are_joined_are_added_live()
        self.call("channel.add", {"guest": "vm1", "channel": {
            "name": "c", "endpoint": ECHO, "guest_mode": "0600", "guest_uid": 1,
            "guest_gid": 2}})
        self.call("channel.list", {"limit": 1})
        self.call("channel.list")
        self.call("channel.remove", {"guest": "vm1", "channel": "c"})

    def test_methods_that_tell(self):
        for name, method in self.page.methods.items():
            if not method.admin:
                with self.subTest(name):
                    self.call(name)
        self.call("guest.list", {"guest": "vm1"})
        self.call("events.subscribe", {"since": 0})
        self.assertEqual(len(self.call("channel.list", {"guest": "vm1"})["channels"]), 5)

    def test_framing(self):
        """What the page says about lines, ids, batches and the order of answers."""
        sock = self.connection.sock

        def ask(*lines: bytes) -> list:
            sock.sendall(b"".join(lines))
            return [self.connection.line() for line in lines if line.strip()]
        ok = b'{"jsonrpc":"2.0","id":1,"method":"version"}'
        for ident in ("x", 7, 1.5, None):
            request = json.dumps({"jsonrpc": "2.0", "id": ident, "method": "version"}).encode()
            self.assertEqual(ask(request + b"\r\n", b"\n")[0]["id"], ident)
        for wrong in (ok.replace(b"version", b"\xff"), ok.replace(b"version", b"\0"), b"\xef\xbb\xbf" + ok,
                      ok.replace(b'"id"', b'"id":2,"id"')):
            self.assertEqual(ask(wrong + b"\n")[0]["error"]["code"], -32700, wrong)
        batch = b"[" + b",".join([ok] * 16) + b"]\n"
        silent = ok.replace(b'"id":1,', b"")
        self.assertEqual(len(ask(batch)[0]), 16)
        self.assertEqual(ask(b"[" + b",".join([ok] * 17) + b"]\n")[0]["error"]["code"], -32600)
        sock.sendall(silent + b"\n")
        self.assertEqual([answer["id"] for answer in ask(
            *(ok.replace(b"1,", b"%d," % i) + b"\n" for i in range(20)))], list(range(20)))
        self.assertIn("result", ask(ok + b" " * (65536 - len(ok)) + b"\n")[0])
        self.assertEqual(ask(ok + b" " * (65537 - len(ok)) + b"\n")[0]["error"]["code"], -32600)
        with suppress(ConnectionResetError):  # the newline was not read
            self.assertIsNone(self.connection.line())
        with Connection(self.daemon.control_path) as other:
            other.sock.sendall(ok + b"\n" + ok)
            other.sock.shutdown(socket.SHUT_WR)
            self.assertEqual([bool(other.line()) for _ in range(3)], [True, True, False])

    def test_methods_that_change(self):
        self.call("guest.add", {"guest": guest_config("new", self.scratch / "new.sock", {})})
        self.call("channel.add", {"guest": "new", "channel": {"name": "c", "endpoint": ECHO}})
        self.call("channel.reset", {"guest": "new", "channel": "c"})
        self.call("channel.remove", {"guest": "new", "channel": "c"})
        self.call("guest.remove", {"guest": "new"})
        self.call("log.set", {"level": "debug"})
        self.call("config.reload")

    def test_members_that_the_page_has_are_seen(self):
        """Every member on the page was seen in some result."""
        self.test_methods_that_tell()
        self.add_all()
        lists = {kind: members for kind, members in self.page.types.items()
                 if kind not in ("event", "lost")}
        lists |= {f"{name}:": method.result for name, method in self.page.methods.items()
                  if not method.admin}
        for kind, members in lists.items():
            for name in members:
                if f"{kind}.{name}" not in ELSEWHERE:
                    self.assertIn(f"{kind}.{name}", self.page.seen)

    def test_every_type_of_endpoint_is_added_live(self):
        other = str(self.scratch / "nobody")
        for endpoint in ({"type": "intervm", "file": str(self.scratch / "file")},
                         ECHO, {"type": "discard"},
                         {"type": "unix-listen", "path": str(self.scratch / "s1")},
                         {"type": "unix-connect", "path": other, "proxy": "v2"},
                         {"type": "tcp-listen", "address": f"127.0.0.1:{free_port()}"},
                         {"type": "tcp-connect", "address": "[::1]:9"},
                         {"type": "mux-listen", "path": str(self.scratch / "s2")}):
            with self.subTest(endpoint["type"]):
                channel = {"endpoint": endpoint}
                if endpoint["type"] == "mux-listen":
                    channel["sessions"] = 2
                guest = guest_config("live", self.scratch / "live.sock", {"c": channel})
                self.call("guest.add", {"guest": guest})
                listed = self.call("channel.list", {"guest": "live"})["channels"][0]["endpoint"]
                self.assertEqual({key: listed[key] for key in endpoint}, endpoint)
                self.call("guest.remove", {"guest": "live"})
                self.call("channel.add", {"guest": "vm1",
                                          "channel": {"name": "c", **channel}})
                self.call("channel.remove", {"guest": "vm1", "channel": "c"})

    def test_channels_that_are_joined_are_added_live(self):
        def to(channel):
            return {"type": "channel", "guest": "pair", "channel": channel}
        guest = guest_config("pair", self.scratch / "pair.sock", {"a": to("b"), "b": to("a")})
        self.call("guest.add", {"guest": guest})
        listed = self.call("channel.list", {"guest": "pair"})["channels"]
        self.assertEqual([channel["endpoint"]["channel"] for channel in listed], ["b", "a"])
        self.call("guest.remove", {"guest": "pair"})

    def test_parameters(self):
        """For each method: an unknown parameter, each parameter with a wrong type, and each left out."""
        good = {"guest": "vm1", "channel": "echo", "level": "info"}
        n = 0
        for name, method in self.page.methods.items():
            self.assertEqual(self.refused(name, {"nonsense": 1}), INVALID_PARAMS)
            for key, param in method.params.items():
                others = {k: good.get(k) for k, p in method.params.items()
                          if k != key and not p.optional}
                with self.subTest(method=name, param=key):
                    wrong = {**others, key: WRONG[param.type]}
                    self.assertEqual(self.refused(name, wrong), INVALID_PARAMS)
                    if not param.optional:
                        self.assertEqual(self.refused(name, others), INVALID_PARAMS)
                    n += 1
        self.assertGreater(n, 10)

    def test_refusals_have_codes_that_the_page_has(self):
        self.refused("guest.add", {"guest": guest_config("vm1", "/nowhere/x", {})})
        self.refused("guest.add", {"guest": guest_config("vm9", "/nowhere/x", {})})
        self.refused("guest.remove", {"guest": "vm9"})
        self.refused("channel.add", {"guest": "vm1", "channel": {"name": "echo", "endpoint": ECHO}})
        self.refused("channel.reset", {"guest": "vm1", "channel": "no"})
        self.refused("log.set", {"level": "loud"})

    def test_words(self):
        """The daemon accepts each level and each kind of event that the page has."""
        said = re.search(r"^\.It Va level Pq string\n\.Cm (.*?)\n\.El", self.page.text, re.M | re.S)
        levels = re.findall(r"\b(?!or\b|Cm\b)[a-z]+", said[1])
        self.assertEqual(levels, ["err", "warning", "notice", "info", "debug"])
        for word in levels:
            self.call("log.set", {"level": word})
        self.assertEqual(self.call("status")["log_level"], "debug")
        for word in {*self.page.kinds, *(kind.split(".")[0] for kind in self.page.kinds)}:
            self.call("events.subscribe", {"kinds": [word]})

    def test_notifications(self):
        """An event has the members that the page has for its kind, and no others."""
        self.call("events.subscribe")
        guest = guest_config("told", self.scratch / "told.sock", {})
        self.call("guest.add", {"guest": guest})
        ident = self.call("channel.add", {"guest": "told", "channel": {
            "name": "c", "endpoint": ECHO}})["id"]
        self.call("channel.remove", {"guest": "told", "channel": "c"})
        self.call("log.set", {"level": "debug"})
        self.call("guest.remove", {"guest": "told"})
        told = [self.connection.event() for _ in range(5)]
        past = self.call("events.subscribe", {"since": told[0]["realtime_us"], "guest": "told"})
        self.assertEqual((past["past"], past["past_complete"]), (told[:3] + told[4:], True))
        self.assertEqual([event["kind"] for event in told],
                         ["guest.added", "channel.added", "channel.removed", "log.changed",
                          "guest.removed"])
        self.assertEqual(told[1]["id"], ident)
        for event in told:
            members = {**self.page.types["event"], **self.page.kinds[event["kind"]]}
            self.assertEqual(self.page.wrong(members, event, "event"), [])
