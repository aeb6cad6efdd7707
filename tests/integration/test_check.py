# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsd --check finds what a start would find, and disturbs nobody.

What only the service's user and sandbox can show is in tests/service.
"""
import json
import os
import pwd
import re
import socket
import unittest

from ctl_rig import free_port, run
from certificates import Certificates  # after ctl_rig, which says where it is
from vm.daemon import Daemon, guest_config
from vm.process import remove_scratch, scratch_dir


class Check(unittest.TestCase):
    """Configurations that are well-formed."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, cls.scratch)
        cls.certs = Certificates(cls.scratch / "tls")
        cls.certs.make("old", dates=["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"])
        (cls.scratch / "empty").touch()
        (cls.scratch / "file").write_bytes(b"x")

    def config(self, channels: dict, **more) -> str:
        """Write a configuration, one value per line."""
        config = {"control": {"path": str(self.scratch / "control.sock")},
                  "guests": [guest_config("vm1", "vm1.sock", channels)]} | more
        self.file = self.scratch / "okl4fsd.json"
        self.file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        return self.file

    def check(self, channels: dict, *args, **more) -> tuple[int, str, str]:
        """Check it: status, errors, and the rest, without the name of the file."""
        done = run("okl4fsd", "--config", self.config(channels, **more), "--check", *args)
        return (done.returncode, done.stderr.replace(f"{self.file}:", ""),
                done.stdout.replace(f"{self.file}:", ""))

    def line_of(self, key: str, value) -> int:
        """The only line of the configuration with a value."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        text = f'"{key}": {json.dumps(value)}'
        return next(n for n, line in enumerate(lines, 1) if text in line)

    def refused(self, endpoint: dict, key: str, sentence: str) -> None:
        """Check that there is one error: in a value of an endpoint, with its place."""
        status, errors, said = self.check({"c": endpoint})
        self.assertEqual(status, 1, said)
        self.assertEqual(errors.count("\n"), 1, errors)
        value = endpoint
        for part in key.split("."):
            value = value[part]
        self.assertRegex(errors, rf"^{self.line_of(key.split('.')[-1], value)}:\d+: "
                                 rf"guests\[0\]\.channels\[0\]\.endpoint\.{re.escape(key)}: ")
        self.assertIn(sentence, errors)
        self.assertRegex(said, r"1 guest, 1 error, \d not tried; as user ")

    def test_good(self):
        status, errors, said = self.check({
            "a": {"type": "unix-listen", "path": "a.sock"}, "b": {"type": "intervm", "file": "file"},
            "c": {"type": "tcp-listen", "address": f"127.0.0.1:{free_port()}",
                  "tls": self.certs.tls("left")},
            "d": {"type": "unix-connect", "path": "not-there"},
            "e": {"type": "tcp-connect", "address": "localhost:9"}})
        self.assertEqual((status, errors), (0, ""))
        self.assertIn("endpoint.path: well-formed, not tried: ", said)
        self.assertIn("not-there does not exist yet", said)
        self.assertIn("endpoint.address: well-formed, not tried: ", said)
        self.assertTrue(said.endswith(f"1 guest, no errors, 2 not tried; as user {self.user()}\n"), said)
        self.assertEqual({path.name for path in self.scratch.iterdir()} - {"tls"},
                         {"empty", "file", "okl4fsd.json"})

    @staticmethod
    def user() -> str:
        """The user that this runs as."""
        return pwd.getpwuid(os.geteuid()).pw_name

    def test_files(self):
        for name, sentence in (("missing", "No such file or directory"), ("empty", "is empty"),
                               ("tls", "is not a regular file")):
            with self.subTest(name):
                self.refused({"type": "intervm", "file": str(self.scratch / name)}, "file", sentence)

    def test_certificates(self):
        tls = self.certs.tls("left")
        for key, value, sentence in (("cert", "missing", "No such file or directory"),
                                     ("cert", "left.key", "there is no PEM certificate in it"),
                                     ("key", "right.key", "it is not the key of the certificate"),
                                     ("ca", "ca.cnf", "there is no PEM certificate in it")):
            with self.subTest(key=key, value=value):
                self.refused({"type": "tcp-connect", "address": "a.example:9",
                              "tls": {**tls, key: self.certs.path(value)}}, f"tls.{key}", sentence)
        self.refused({"type": "tcp-listen", "address": f"127.0.0.1:{free_port()}",
                      "tls": self.certs.tls("old")}, "tls.cert", "it has expired")

    def test_sockets(self):
        path = str(self.scratch / "missing/x.sock")
        self.refused({"type": "unix-listen", "path": path}, "path", "make it first")
        self.refused({"type": "unix-listen", "path": str(self.scratch / "file")}, "path",
                     "a file that is not a socket is there")
        self.refused({"type": "unix-connect", "path": str(self.scratch / "file")}, "path",
                     "Socket operation on non-socket")
        path = str(self.scratch / "other.sock")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            other.setblocking(False)
            self.refused({"type": "unix-listen", "path": path}, "path", "Address already in use")
            with self.assertRaises(BlockingIOError, msg="nobody has connected"):
                other.accept()
        os.unlink(path)

    def test_ports(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = f"127.0.0.1:{other.getsockname()[1]}"
            self.refused({"type": "tcp-listen", "address": address}, "address",
                         "Address already in use (end the program")
            status, errors, _ = self.check({}, metrics={"listen": address})
            self.assertEqual(status, 1)
            self.assertRegex(errors, r"^\d+:\d+: metrics\.listen: .*Address already in use")
        self.refused({"type": "tcp-listen", "address": f"192.0.2.1:{free_port()}",
                      "tls": self.certs.tls("left")}, "address", "Cannot assign requested address")

    def test_folder_of_the_control_socket(self):
        """DPDK has a socket there whose path must fit, too; a start says the same."""
        folder = self.scratch / ("x" * (92 - len(f"{self.scratch}/")))
        folder.mkdir()
        status, errors, _ = self.check({}, control={"path": f"{folder}/c.sock"})
        self.assertEqual(status, 1)
        sentence = "its folder has 92 bytes; at most 91 leave room for a socket of DPDK's beside"
        self.assertRegex(errors, rf"(?m)^\d+:\d+: control\.path: {sentence}")
        done = run("okl4fsd", "--config", self.file)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(sentence, done.stderr.replace(f"{folder} ", ""))
        self.assertEqual([path.name for path in folder.glob(".vhost*")], [])
        folder.rmdir()

    def test_groups(self):
        """A group exists, but the daemon's user is not a member; root needs none."""
        if os.geteuid():
            args = []
        else:
            os.chmod(self.scratch, 0o777)
            args = ["--user", "nobody"]
        self.config({})
        status, errors, said = self.check(
            {"c": {"type": "unix-listen", "path": "a.sock", "group": "shadow"}}, *args,
            control={"path": str(self.scratch / "control.sock"), "group": "shadow"})
        self.assertEqual(status, 1, said)
        for key in ("control.group", "guests[0].channels[0].endpoint.group"):
            self.assertRegex(errors, rf"(?m)^\d+:\d+: {re.escape(key)}: user \S+ is not a member of the "
                                     rf'group "shadow", .*\(adduser \S+ shadow')
        if not os.geteuid():
            self.assertEqual(self.check({"c": {"type": "unix-listen", "path": "a.sock",
                                               "group": "shadow"}}, "--user", "root")[0], 0)
            os.chmod(self.scratch, 0o700)

    def test_a_daemon_that_runs(self):
        """What it holds is its own; another configuration cannot have it."""
        channels = {"a": {"type": "unix-listen", "path": "a.sock"},
                    "t": {"type": "tcp-listen", "address": f"127.0.0.1:{free_port()}"}}
        more = {"metrics": {"listen": f"127.0.0.1:{free_port()}"}}
        with open(self.config(channels, **more), encoding="utf-8") as file:
            config = json.load(file)
        scratch = scratch_dir()
        config["control"]["path"] = str(scratch / "control.sock")
        with Daemon(config, scratch=scratch) as daemon:
            before = daemon.rpc("channel.list")["channels"]
            done = run("okl4fsd", "--config", daemon.config_path, "--check")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("no errors, 0 not tried", done.stdout)
            self.assertEqual(daemon.rpc("channel.list")["channels"], before)
            other = {"a": {"type": "unix-listen", "path": str(scratch / "a.sock")}, "t": channels["t"]}
            status, errors, said = self.check(other, **more)
            self.assertEqual(status, 1, said)
            self.assertIn(f"another okl4fsd, process {daemon.pid}, listens there", errors)
            self.assertEqual(errors.count("Address already in use (end the program"), 2, errors)
            self.assertEqual(errors.count("\n"), 3, errors)

    def test_command_line(self):
        for args, sentence in ((["--check=files"], "it is --check or --check=file"),):
            done = run("okl4fsd", *args)
            self.assertEqual(done.returncode, 2)
            self.assertIn(sentence, done.stderr)
        if not os.geteuid():
            done = run("okl4fsd", "--config", self.config({}), "--check", "--user", "nobody-here")
            self.assertEqual(done.returncode, 1)
            self.assertIn("--check as user nobody-here: there is no such user", done.stderr)


if __name__ == "__main__":
    unittest.main()
