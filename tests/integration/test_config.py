# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsd --check=file, the examples and the schema must agree."""
import copy
import json
import re
import subprocess
import unittest

from ctl_rig import run
from schema import load_commented, refer, valid
from vm import paths
from vm.process import remove_scratch, scratch_dir

SCHEMA = json.loads((paths.ROOT / "conf/okl4fsd.schema.json").read_text(encoding="utf-8"))
TLS = {"cert": "/t/cert", "key": "/t/key", "ca": "/t/ca", "name": "peer"}
# Every key of the schema, and every type of endpoint
GOOD = {"control": {"path": "/c", "mode": "0600", "group": "adm", "idle_seconds": 10,
                    "readers": {"users": ["daemon"], "groups": ["tty"]},
                    "admins": {"users": ["root"], "groups": ["adm"]}},
        "metrics": {"listen": "127.0.0.1:9714"},
        "guests": [{"name": "vm1", "socket": "/s", "socket_mode": "listen", "socket_perm": "0600",
                    "socket_group": "adm", "tail_bytes": 0,
                    "channels": [{"name": "a", "ring_bytes": 4096, "exclusive": True,
                                  "guest_mode": "0640", "guest_uid": 1000, "guest_gid": 0,
                                  "endpoint": {"type": "intervm", "file": "/f", "rounds": 3}},
                                 {"name": "b", "endpoint": {"type": "unix-listen", "path": "/p",
                                                            "mode": "0600", "group": "adm"}},
                                 {"name": "c", "sessions": 4, "endpoint": {"type": "echo"}},
                                 {"name": "d", "packets": True,
                                  "endpoint": {"type": "discard"}},
                                 {"name": "e", "endpoint": {"type": "unix-connect", "path": "/q",
                                                            "proxy": "v2"}},
                                 {"name": "f", "endpoint": {"type": "tcp-listen",
                                                            "address": "[::1]:9"}},
                                 {"name": "g", "endpoint": {"type": "tcp-connect", "tls": TLS,
                                                            "peer_timeout_s": 9,
                                                            "address": "example.org:9"}},
                                 {"name": "j", "sessions": 2,
                                  "endpoint": {"type": "mux-listen", "path": "/m", "mode": "0600",
                                               "group": "adm"}},
                                 {"name": "h", "endpoint": {"type": "channel", "guest": "vm2",
                                                            "channel": "i"}}]},
                   {"name": "vm2", "socket": "/s2", "socket_mode": "connect",
                    "channels": [{"name": "i", "endpoint": {"type": "channel", "guest": "vm1",
                                                            "channel": "h"}}]},
                   {"name": "win", "way": "serial", "socket": "/w",
                    "channels": [{"name": "j", "ring_bytes": 8192, "endpoint": {"type": "echo"}}]}]}
# Values to try in each place. In some places, some of them are right.
TRIES = [None, True, 0, -1, 3, 4, 3600, 3601, 5000, 4096, 67108864, 134217728, 4294967294, 4294967295, 4294967296, 1 << 36,
         (1 << 36) + 1, 1 << 40, 1.5,
         "", "0777", "778", "0888", ".", "..", "a/b", "a b", "ä", "x" * 63, "x" * 64, "/" * 107,
         "/" * 108, "listen", "connect", "echo", "intervm", "unix-listen", "tcp-connect", "channel",
         "example.org:7", "127.0.0.1:65535", "127.0.0.1:65536", "localhost:0", "LocalHost:80",
         "127.0.0.1", "127.0.0.256:1", "128.0.0.1:1", "[::1]:7", "::1:7", "h:07", ":7", "a_b:7",
         "v2", "unix:", "unix:/x", "unix:" + "/" * 107, "unix:" + "/" * 108,
         [], {}, [1], [""], ["root"], {"type": "echo"}, {"x": 1}, {"users": []}, TLS]
# Errors that a schema cannot find
NOT_OF_THE_SCHEMA = re.compile(r" already$|there is no (user|group|channel) |joined to itself$|"
                               r"does not name this one back$|for both, or for neither$|"
                               r"has a path of more than 107 bytes$")


def places(value, path=()):
    """The path of every value within a value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], path + (key,))


def changed(path, what, remove=False):
    """GOOD with one value replaced, or removed."""
    config = copy.deepcopy(GOOD)
    at = config
    for key in path[:-1]:
        at = at[key]
    if remove:
        del at[path[-1]]
    else:
        at[path[-1]] = what
    return config


def keys_of_schema(schema=SCHEMA, path="") -> set[str]:
    """Every key, as control.readers.users or guests[].channels[].endpoint.tls.cert."""
    found = set()
    schema = {**refer(schema["$ref"], SCHEMA), **schema} if "$ref" in schema else schema
    for key, below in schema.get("properties", {}).items():
        if below is not False:
            found |= {f"{path}{key}"} | keys_of_schema(below, f"{path}{key}.")
    for below in schema.get("oneOf", []):
        found |= keys_of_schema(below, path)
    if "items" in schema:
        found |= keys_of_schema(schema["items"], path[:-1] + "[].")
    return found


def keys_of(value, path="") -> set[str]:
    """Every key of a configuration, likewise."""
    found = set()
    if isinstance(value, list):
        for item in value:
            found |= keys_of(item, path[:-1] + "[].")
    elif isinstance(value, dict):
        for key, below in value.items():
            found |= {f"{path}{key}"} | keys_of(below, f"{path}{key}.")
    return found


class Checked(unittest.TestCase):
    """Files that okl4fsd --check reads."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.file = cls.scratch / "okl4fsd.json"

    @classmethod
    def tearDownClass(cls):
        remove_scratch(cls.scratch)

    @staticmethod
    def check(path) -> subprocess.CompletedProcess:
        """okl4fsd --check=file."""
        return run("okl4fsd", "--config", path, "--check=file")

    def good(self, path) -> None:
        """Check that a file is right for the daemon and by the schema."""
        done = self.check(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        config = load_commented(path.read_text(encoding="utf-8"))
        self.assertTrue(valid(SCHEMA, config, SCHEMA))

    @staticmethod
    def endpoint_types() -> list[str]:
        """All types of endpoints, by the schema."""
        types = []
        for one in SCHEMA["$defs"]["channel"]["properties"]["endpoint"]["oneOf"]:
            kind = refer(one["$ref"], SCHEMA)["properties"]["type"]
            types += kind.get("enum", [kind.get("const")])
        return types


class Config(Checked):
    """What okl4fsd --check=file says."""

    def test_examples(self):
        examples = sorted(path for path in (paths.ROOT / "conf").glob("*.json")
                          if not path.name.endswith(".schema.json")
                          and not path.name.startswith("grafana-"))
        self.assertGreaterEqual(len(examples), 8)
        types = set()
        for path in examples:
            with self.subTest(path.name):
                self.good(path)
                types |= set(re.findall(r'"type": "([a-z-]+)"', path.read_text(encoding="utf-8")))
        self.assertEqual(types, set(self.endpoint_types()))

    def test_errors_come_in_one_go_with_their_places(self):
        self.file.write_text('{\n  "contrl": {},\n  "guests": [\n    { "name": "a b" }\n  ]\n}\n',
                             encoding="utf-8")
        done = self.check(self.file)
        self.assertEqual(done.returncode, 1)
        told = done.stderr.replace(str(self.file), "FILE")
        for line in ('FILE:2:3: contrl: unknown key',
                     'FILE:4:15: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not "a b"',
                     'FILE:4:5: guests[0]: "socket" is missing',
                     'FILE:4:5: guests[0]: "channels" is missing'):
            self.assertIn(line, told)

    def test_no_file(self):
        done = self.check(self.scratch / "nothing.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing.json: No such file or directory", done.stderr)
        self.assertEqual(run("okl4fsd", "--check=file").returncode, 0, "the built-in configuration")

    def test_every_key_is_tried(self):
        self.assertEqual(keys_of(GOOD), keys_of_schema())

    def test_schema_says_what_the_daemon_says(self):
        configs = [GOOD]
        for path in places(GOOD):
            if not path:
                continue
            configs.append(changed(path, None, remove=True))
            configs += [changed(path, what) for what in TRIES]
            if isinstance(path[-1], str):
                configs.append(changed(path[:-1] + ("unknown",), 1))
        text = "".join(json.dumps(config) + "\n" for config in configs)
        done = subprocess.run([paths.BUILD / "tests/config_check"], input=text, text=True,
                              capture_output=True, timeout=120, check=True)
        told = done.stdout.splitlines()
        self.assertEqual(len(told), len(configs))
        compared = {True: 0, False: 0}
        for config, says in zip(configs, told):
            errors = [error for error in says[1:].split("\t") if error]
            self.assertEqual(bool(errors), says[0] == "1", says)
            if errors and all(NOT_OF_THE_SCHEMA.search(error) for error in errors):
                errors = []
            good = valid(SCHEMA, config, SCHEMA)
            self.assertEqual(good, not errors, f"{json.dumps(config)}: {errors}")
            compared[good] += 1
        self.assertGreater(compared[True], 300)
        self.assertGreater(compared[False], 2000)


class Manual(Checked):
    """docs/okl4fsd.json.5 has every key and no other, and its examples work."""

    PAGE = (paths.ROOT / "docs/okl4fsd.json.5").read_text(encoding="utf-8")

    def test_its_examples(self):
        examples = [text for text in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", self.PAGE,
                                                re.M | re.S) if text.lstrip().startswith(("{", "//"))]
        self.assertGreaterEqual(len(examples), 3)
        for text in examples:
            with self.subTest(text[:60]):
                self.file.write_text(text.replace("\\e", "\\").replace("\\&", ""),
                                     encoding="utf-8")
                self.good(self.file)

    def test_its_keys_are_those_of_the_schema(self):
        told = set(re.findall(r'^\.It Cm (?:\\&)?(\S+)', self.PAGE, re.M))
        self.assertEqual(told, keys_of_schema())

    def test_its_types_of_endpoints(self):
        self.assertEqual(set(re.findall(r"^\.It Dq (\S+)", self.PAGE, re.M)),
                         set(self.endpoint_types()))

    def test_its_defaults(self):
        """Where the schema gives a default, the page gives the same."""
        for key in keys_of_schema():
            default = self.schema_of(key).get("default")
            if default is None:
                continue
            item = re.search(rf"^\.It Cm (?:\\&)?{re.escape(key)}$(.*?)^\.(?:It|El)", self.PAGE,
                             re.M | re.S)
            word = json.dumps(default).strip('"')
            self.assertRegex(item[1], rf"(?s)\b{re.escape(word)}\b.*\bdefault\b|"
                                      rf"\bdefault\b.*\b{re.escape(word)}\b", key)

    @staticmethod
    def schema_of(key: str) -> dict:
        """What the schema says about a key."""
        def resolve(schema):
            return {**resolve(refer(schema["$ref"], SCHEMA)), **schema} if "$ref" in schema \
                else schema
        found = [SCHEMA]
        for part in key.split("."):
            name = part.removesuffix("[]")
            found = [resolve(schema) for at in found
                     for schema in (map(resolve, at["oneOf"]) if "oneOf" in at else [at])
                     if name in schema.get("properties", {})]
            found = [resolve(schema["properties"][name]) for schema in found]
            if part.endswith("[]"):
                found = [resolve(schema["items"]) for schema in found]
        return found[0]
