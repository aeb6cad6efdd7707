# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl config show, config save and --save: the running configuration becomes a file."""
import copy
import grp
import json
import os
import unittest

from ctl_rig import DaemonPerTest, run
from test_config import GOOD
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir

ECHO = '{"name": "more", "endpoint": {"type": "echo"}}'


def moved(value, folder):
    """The same configuration with all paths below a folder, and groups that the daemon may use."""
    if isinstance(value, dict):
        return {key: moved(member, folder) for key, member in value.items()}
    if isinstance(value, list):
        return [moved(member, folder) for member in value]
    if isinstance(value, str) and value.startswith("/"):
        return str(folder) + value
    return grp.getgrgid(os.getgid()).gr_name if value == "adm" else value


class Show(unittest.TestCase):
    """config show."""

    def test_every_key(self):
        """With all keys that there are: the same comes out, is accepted, and comes out again."""
        scratch = scratch_dir()
        config = moved(copy.deepcopy(GOOD), scratch)
        config["metrics"] = {"listen": f"unix:{scratch}/metrics"}  # no fixed port
        daemon = Daemon(copy.deepcopy(config), scratch=scratch)
        self.addCleanup(daemon.stop)
        status, text, errors = daemon.ctl("config", "show")
        self.assertEqual((status, errors), (0, ""))
        del config["guests"][0]["socket_mode"]  # as by default
        self.assertEqual(json.loads(text), config)
        daemon.config_path.write_text(text, encoding="utf-8")
        done = run("okl4fsd", "--config", daemon.config_path, "--check=file")
        self.assertEqual(done.returncode, 0, done.stderr)
        daemon.restart()
        self.assertEqual(daemon.ctl("config", "show"), (0, text, ""))


class Save(DaemonPerTest):
    """What was changed live is kept."""

    def setUp(self):
        super().setUp()
        self.path = self.daemon.config_path
        self.path.chmod(0o640)

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {
            "echo": {"ring_bytes": 4096, "endpoint": {"type": "echo"}}})]}

    def names(self) -> list[str]:
        """guest/channel, as the file has them."""
        return [f"{guest['name']}/{channel['name']}"
                for guest in json.loads(self.path.read_text(encoding="utf-8"))["guests"]
                for channel in guest["channels"]]

    def left(self) -> list[str]:
        """What else lies beside the file."""
        return [path.name for path in self.path.parent.iterdir()
                if path.name.startswith(self.path.name) and path != self.path]

    def test_each_command(self):
        """The file's mode stays; a reload and a restart change nothing."""
        echo = self.channel("echo")
        echo.echo(os.urandom(10000))
        before = self.path.stat()
        self.good("channel-add", "--save", "vm1", ECHO)
        self.assertEqual(self.names(), ["vm1/echo", "vm1/more"])
        after = self.path.stat()
        self.assertNotEqual(after.st_ino, before.st_ino)
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid),
                         (before.st_mode, before.st_uid, before.st_gid))
        self.good("guest-add", "--save", json.dumps(guest_config(
            "vm2", self.scratch / "vm2.sock", {"d": {"type": "discard"}})))
        self.assertEqual(self.names(), ["vm1/echo", "vm1/more", "vm2/d"])
        self.good("channel-remove", "--save", "vm1/more")
        self.good("guest-remove", "--save", "vm2")
        self.assertEqual(self.names(), ["vm1/echo"])
        self.good("channel-add", "vm1", ECHO)
        self.assertEqual(self.names(), ["vm1/echo"])
        self.good("config", "save")
        self.assertEqual(self.names(), ["vm1/echo", "vm1/more"])
        since = len(self.daemon.log())
        self.good("reload")
        self.assertNotIn("the reload", self.daemon.wait_log("notice: reloaded,", since=since))
        echo.echo(os.urandom(10000))
        self.assertEqual(self.left(), [])
        shown = self.good("config", "show")
        self.daemon.restart()
        self.assertEqual(self.good("config", "show"), shown)

    def test_a_symbolic_link_stays(self):
        real = self.scratch / "real.json"
        self.path.rename(real)
        self.path.symlink_to(real)
        self.good("channel-add", "--save", "vm1", ECHO)
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(self.names(), ["vm1/echo", "vm1/more"])

    def test_comments(self):
        text = "// mine\n" + self.path.read_text(encoding="utf-8")
        self.path.write_text(text, encoding="utf-8")
        self.good("reload")
        status, output, errors = self.daemon.ctl("config", "save")
        self.assertEqual((status, output), (0, ""))
        self.assertEqual(errors, f"okl4fsctl: note: {self.path} has no comments now; the former file "
                                 f"is {self.path}~\n")
        self.assertEqual((self.scratch / (self.path.name + "~")).read_text(encoding="utf-8"), text)
        self.good("config", "save")

    def test_a_file_that_was_edited_is_left_alone(self):
        self.daemon.config["guests"][0]["channels"][0]["name"] = "edited"
        self.daemon.write_config()
        self.bad(1, f"nothing was changed: {self.path} was changed since the daemon has read it",
                 "channel-add", "--save", "vm1", ECHO)
        self.assertEqual(self.names(), ["vm1/edited"])
        self.assertEqual(self.good("channels", "--names"), "vm1/echo\n")
        self.good("reload")
        self.good("channel-add", "--save", "vm1", ECHO)
        self.assertEqual(self.names(), ["vm1/edited", "vm1/more"])

    def same_file(self) -> tuple:
        """What changes when the file is written or replaced; not its last access."""
        found = self.path.stat()
        return found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns

    def test_a_change_that_is_refused(self):
        before = self.same_file()
        self.bad(1, 'guest vm1 has a channel "echo" already', "channel-add", "--save", "vm1",
                 ECHO.replace("more", "echo"))
        self.assertEqual(self.same_file(), before)
        self.assertEqual(self.left(), [])

    def test_half_of_a_pair(self):
        """What no daemon would start with is not saved until its other half is there."""
        def half(name: str, other: str) -> str:
            return json.dumps({"name": name, "endpoint": {"type": "channel", "guest": "vm1",
                                                          "channel": other}})
        self.bad(1, "the change was made and works until the next reload, but "
                 f"{self.path} is not saved, since no daemon would start with it: "
                 "running configuration:", "channel-add", "--save", "vm1", half("a", "b"))
        self.assertEqual(self.names(), ["vm1/echo"])
        self.assertEqual(self.good("channels", "--names"), "vm1/echo\nvm1/a\n")
        status, text, errors = self.daemon.ctl("config", "show")
        self.assertEqual(status, 1)
        self.assertIn('there is no channel "b" of a guest "vm1"', errors)
        self.assertIn('"a"', text)
        self.good("channel-add", "--save", "vm1", half("b", "a"))
        self.assertEqual(self.names(), ["vm1/echo", "vm1/a", "vm1/b"])

    def test_without_a_file(self):
        self.path.unlink()
        self.bad(1, "was changed since the daemon has read it", "config", "save")
        self.assertFalse(self.path.exists())
