# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsd --check, the examples, and the schema: all three must agree."""
import copy
import json
import subprocess
import unittest

from schema import load_commented, valid
from vm import paths
from vm.process import remove_scratch, scratch_dir

SCHEMA = json.loads((paths.ROOT / "conf/okl4fsd.schema.json").read_text(encoding="utf-8"))
GOOD = {"control": {"path": "/c", "mode": "0600", "group": "adm"},
        "guests": [{"name": "vm1", "socket": "/s", "socket_mode": "listen", "socket_perm": "0600",
                    "socket_group": "adm",
                    "channels": [{"name": "a", "ring_bytes": 4096, "exclusive": True,
                                  "endpoint": {"type": "intervm", "file": "/f", "rounds": 3}},
                                 {"name": "b", "endpoint": {"type": "unix-listen", "path": "/p",
                                                            "mode": "0600"}},
                                 {"name": "c", "endpoint": {"type": "echo"}},
                                 {"name": "d", "endpoint": {"type": "discard"}}]}]}
# Values to try in each place. Some are right in some places.
TRIES = [None, True, 0, -1, 5000, 4096, 1 << 40, 1.5, "", "0777", "778", ".", "..", "a/b", "a b",
         "x" * 63, "x" * 64, "/" * 107, "/" * 108, "listen", "connect", "echo", "intervm",
         "unix-listen", [], {}, [1], {"type": "echo"}, {"x": 1}]


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


class Config(unittest.TestCase):
    """What okl4fsd --check says."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.file = cls.scratch / "okl4fsd.json"

    @classmethod
    def tearDownClass(cls):
        remove_scratch(cls.scratch)

    def check(self, path) -> subprocess.CompletedProcess:
        """okl4fsd --check."""
        return subprocess.run([paths.BUILD / "okl4fsd", "--config", path, "--check"],
                              capture_output=True, text=True, timeout=60, check=False)

    def test_examples(self):
        examples = sorted(path for path in (paths.ROOT / "conf").glob("*.json")
                          if not path.name.endswith(".schema.json")
                          and not path.name.startswith("grafana-"))
        self.assertGreaterEqual(len(examples), 3)
        for path in examples:
            with self.subTest(path.name):
                done = self.check(path)
                self.assertEqual(done.returncode, 0, done.stderr)
                config = load_commented(path.read_text(encoding="utf-8"))
                self.assertTrue(valid(SCHEMA, config, SCHEMA))

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

    def agree(self, config) -> None:
        """The schema and the daemon must be of one opinion."""
        self.file.write_text(json.dumps(config), encoding="utf-8")
        done = self.check(self.file)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(valid(SCHEMA, config, SCHEMA), done.returncode == 0,
                         f"{json.dumps(config)}: {done.stderr}")

    def test_schema_says_what_the_daemon_says(self):
        self.agree(GOOD)
        n = 0
        for path in places(GOOD):
            if not path:
                continue
            self.agree(changed(path, None, remove=True))
            # What is refused for being there twice is nothing that a schema can know.
            for what in TRIES:
                config = changed(path, what)
                if not self.twice(config):
                    self.agree(config)
                    n += 1
            if isinstance(path[-1], str):
                self.agree(changed(path[:-1] + ("unknown",), 1))
        self.assertGreater(n, 500)

    @staticmethod
    def twice(config) -> bool:
        """Whether a name or a path is there twice."""
        try:
            channels = config["guests"][0]["channels"]
            names = [channel["name"] for channel in channels]
            used = [config["control"].get("path"), config["guests"][0]["socket"]] + [
                channel["endpoint"].get("path") for channel in channels]
            used = [path for path in used if path]
            return len(set(names)) < len(names) or len(set(used)) < len(used)
        except (AttributeError, KeyError, IndexError, TypeError):
            return False


if __name__ == "__main__":
    unittest.main()
