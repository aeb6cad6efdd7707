# SPDX-License-Identifier: BSD-3-Clause
"""rpc.discover: what it says of the control socket is what the control socket does."""
import socket
import unittest

from schema import valid
from vm.control import Connection, RpcError
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir

INVALID_PARAMS = -32602
METHODS = {"version", "status", "guest.list", "guest.add", "guest.remove", "channel.list",
           "channel.add", "channel.remove", "channel.reset", "log.set", "config.reload",
           "events.subscribe", "metrics.get", "rpc.discover"}
WRONG = {"string": 1, "array": {"x": 1}, "object": "x", "integer": "x", "boolean": 1}


class Discover(unittest.TestCase):
    """A daemon with a guest of many channels."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        (cls.scratch / "file").write_bytes(b"x" * 1000)
        cls.daemon = Daemon({"guests": [guest_config("vm1", cls.scratch / "vm1.sock", {
            "intervm_test": {"type": "intervm", "file": str(cls.scratch / "file")},
            "sock": {"type": "unix-listen", "path": str(cls.scratch / "sock")},
            "other": {"type": "unix-connect", "path": str(cls.scratch / "other")},
            "tcp": {"type": "tcp-connect", "address": "127.0.0.1:9"},
            "echo": {"type": "echo"}})]}, scratch=cls.scratch)
        cls.document = cls.daemon.rpc("rpc.discover")

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, status

    def setUp(self):
        self.connection = Connection(self.daemon.control_path)
        self.addCleanup(self.connection.close)

    def method(self, name: str) -> dict:
        """What is said of a method."""
        return next(m for m in self.document["methods"] if m["name"] == name)

    def call(self, name: str, params: dict | None = None):
        """Call a method whose result must be as it is said, with parameters that are, too."""
        method = self.method(name)
        for param in method["params"]:
            if param["name"] in (params or {}):
                self.assertTrue(valid(param["schema"], params[param["name"]], self.document))
        result = self.connection.call(name, params)
        self.assertTrue(valid(method["result"]["schema"], result, self.document),
                        f"{name}: {result}")
        return result

    def refused(self, name: str, params: dict) -> int:
        """Call a method that must refuse; the code, which must be one that is said."""
        with self.assertRaises(RpcError) as refused:
            self.connection.call(name, params)
        self.assertIn(refused.exception.code,
                      [error["code"] for error in self.method(name)["errors"]])
        self.assertRegex(refused.exception.message, r"\w")
        return refused.exception.code

    def test_the_document(self):
        self.assertRegex(self.document["openrpc"], r"^1\.\d+\.\d+$")
        self.assertEqual(self.document["info"]["version"], self.daemon.rpc("version")["version"])
        names = [method["name"] for method in self.document["methods"]]
        self.assertEqual((len(names), set(names)), (len(METHODS), METHODS))
        for method in self.document["methods"]:
            self.assertTrue(method["summary"])
            self.assertIn(method["x-right"], ("reader", "admin"))
            self.assertEqual(method["paramStructure"], "by-name")
            # What must be there stands before what may be (OpenRPC, Method Object).
            required = [param["required"] for param in method["params"]]
            self.assertEqual(required, sorted(required, reverse=True))
            for param in method["params"]:
                self.assertTrue(param["summary"])

    def test_methods_that_tell(self):
        for method in self.document["methods"]:
            if method["x-right"] == "reader":
                with self.subTest(method["name"]):
                    self.call(method["name"])
        self.call("guest.list", {"guest": "vm1"})
        self.assertEqual(len(self.call("channel.list", {"guest": "vm1"})["channels"]), 5)

    def test_methods_that_change(self):
        echo = {"type": "echo"}
        self.call("guest.add", {"guest": guest_config("new", self.scratch / "new.sock", {})})
        self.call("channel.add", {"guest": "new", "channel": {"name": "c", "endpoint": echo}})
        self.call("channel.reset", {"guest": "new", "channel": "c"})
        self.call("channel.remove", {"guest": "new", "channel": "c"})
        self.call("guest.remove", {"guest": "new"})
        self.call("log.set", {"level": "debug"})
        self.call("config.reload")

    def test_every_type_of_endpoint_is_added_live(self):
        other = str(self.scratch / "nobody")
        with socket.socket() as probe:  # a port that is free
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for endpoint in ({"type": "intervm", "file": str(self.scratch / "file")},
                         {"type": "echo"}, {"type": "discard"},
                         {"type": "unix-listen", "path": str(self.scratch / "s1")},
                         {"type": "unix-connect", "path": other},
                         {"type": "tcp-listen", "address": f"127.0.0.1:{port}"},
                         {"type": "tcp-connect", "address": "[::1]:9"}):
            with self.subTest(endpoint["type"]):
                guest = guest_config("live", self.scratch / "live.sock", {"c": endpoint})
                self.call("guest.add", {"guest": guest})
                listed = self.call("channel.list", {"guest": "live"})["channels"][0]["endpoint"]
                self.assertEqual({key: listed[key] for key in endpoint}, endpoint)
                self.call("guest.remove", {"guest": "live"})
                self.call("channel.add", {"guest": "vm1",
                                          "channel": {"name": "c", "endpoint": endpoint}})
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
        """Of each method: one that is not known, each of a wrong type, each left out."""
        good = {"guest": "vm1", "channel": "echo", "level": "info"}
        n = 0
        for method in self.document["methods"]:
            name, params = method["name"], method["params"]
            self.assertEqual(self.refused(name, {"nonsense": 1}), INVALID_PARAMS)
            for param in params:
                schema = param["schema"]
                kind = schema.get("type", "object")
                others = {p["name"]: good.get(p["name"]) for p in params
                          if p is not param and p["required"]}
                with self.subTest(method=name, param=param["name"]):
                    wrong = {**others, param["name"]: WRONG[kind]}
                    self.assertEqual(self.refused(name, wrong), INVALID_PARAMS)
                    if param["required"]:
                        self.assertEqual(self.refused(name, others), INVALID_PARAMS)
                    n += 1
        self.assertGreater(n, 10)

    def test_refusals_are_among_those_that_are_said(self):
        self.refused("guest.add", {"guest": guest_config("vm1", "/nowhere/x", {})})
        self.refused("guest.add", {"guest": guest_config("vm9", "/nowhere/x", {})})
        self.refused("guest.remove", {"guest": "vm9"})
        self.refused("channel.add", {"guest": "vm1", "channel": {"name": "echo", "endpoint": {
            "type": "echo"}}})
        self.refused("channel.reset", {"guest": "vm1", "channel": "no"})
        self.refused("log.set", {"level": "loud"})

    def test_words(self):
        """Each word of a list is taken."""
        for word in self.method("log.set")["params"][0]["schema"]["enum"]:
            self.call("log.set", {"level": word})
        self.call("log.set", {"level": "debug"})
        kinds = self.method("events.subscribe")["params"][1]["schema"]["items"]["enum"]
        for word in kinds:
            self.call("events.subscribe", {"kinds": [word]})
        listed = self.document["x-notification"]["kinds"]
        self.assertEqual({kind["kind"] for kind in listed} - {"lost"},
                         {word for word in kinds if "." in word})

    def test_notifications(self):
        """An event has the members that are said, and no others."""
        notification = self.document["x-notification"]
        common = notification["params"]
        self.call("events.subscribe")
        guest = guest_config("told", self.scratch / "told.sock", {})
        self.call("guest.add", {"guest": guest})
        ident = self.call("channel.add", {"guest": "told", "channel": {
            "name": "c", "endpoint": {"type": "echo"}}})["id"]
        self.call("channel.remove", {"guest": "told", "channel": "c"})
        self.call("log.set", {"level": "debug"})
        self.call("guest.remove", {"guest": "told"})
        told = [self.connection.event() for _ in range(5)]
        self.assertEqual([event["kind"] for event in told],
                         ["guest.added", "channel.added", "channel.removed", "log.changed",
                          "guest.removed"])
        self.assertEqual(told[1]["id"], ident)
        for event in told:
            own = next(k for k in notification["kinds"] if k["kind"] == event["kind"])["members"]
            members = {key: event.pop(key) for key in own["properties"]}
            self.assertTrue(valid(own, members, self.document))
            self.assertTrue(valid(common, event, self.document), event)


if __name__ == "__main__":
    unittest.main()
