# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl against a running daemon, and `attach` with a guest at the other end."""
import json
import os
import select
import socket
import subprocess
import sys
import threading
import unittest

from vm import paths
from vm.daemon import Daemon, guest_config
from vm.process import scratch_dir

sys.path.insert(0, str(paths.ROOT / "tests/frontend"))
# pylint: disable=wrong-import-position
from guest_end import Channel, Driver  # noqa: E402
from vhost_user import Frontend  # noqa: E402

RING_BYTES = 65536
TIMEOUT_S = 30


class Ctl(unittest.TestCase):
    """A daemon with two guests."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.daemon = Daemon({"guests": [
            guest_config("vm1", cls.scratch / "vm1.sock",
                         {"host": {"ring_bytes": RING_BYTES, "endpoint": {
                             "type": "unix-listen", "path": str(cls.scratch / "host.sock")}},
                          "echo": {"type": "echo"}}),
            guest_config("vm2", cls.scratch / "vm2.sock", {"bell\u0007": {"type": "discard"}},
                         socket_mode="connect")]}, scratch=cls.scratch)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, f"okl4fsd ended with status {status}: {cls.daemon.log()[-4000:]}"

    def good(self, *args) -> str:
        """Run okl4fsctl, which must succeed; return its output."""
        status, output, errors = self.daemon.ctl(*args)
        self.assertEqual((status, errors), (0, ""), args)
        return output

    def bad(self, wanted: int, sentence: str, *args) -> None:
        """Run okl4fsctl, which must fail with a status and a sentence."""
        status, output, errors = self.daemon.ctl(*args)
        self.assertEqual((status, output), (wanted, ""), errors)
        self.assertIn(sentence, errors)

    # Commands

    def test_status(self):
        output = self.good("status")
        self.assertIn(f"process {self.daemon.pid}\n", output)
        self.assertIn("guests    2: ", output)

    def test_version(self):
        lines = self.good("version").splitlines()
        self.assertRegex(lines[0], r"^okl4fsctl \d+\.\d+\.\d+$")
        self.assertRegex(lines[1], r"^okl4fsd \d+\.\d+\.\d+, ABI 1$")

    def test_tables_are_aligned(self):
        lines = self.good("channels").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines, [line.rstrip() for line in lines])
        for column in ("CHANNEL", "STATE", "ENDPOINT", "RING", "TO HOST"):
            at = lines[0].index(column)
            for line in lines[1:]:
                self.assertEqual(line[at - 1], " ", line)
                self.assertNotEqual(line[at], " ", line)
        self.assertIn("64.0 KiB", lines[1])
        self.assertIn("bell\\x07", lines[3])
        lines = self.good("guests").splitlines()
        self.assertEqual([line.split()[0] for line in lines[:3]], ["GUEST", "vm1", "vm2"])
        self.assertRegex("\n".join(lines[3:]), r"^\nvm2 is away: connect /.*: No such file or directory$")

    def test_channels_of_a_guest(self):
        self.assertEqual(len(self.good("channels", "vm1").splitlines()), 3)
        self.bad(1, 'there is no guest "vm3"', "channels", "vm3")

    def test_json(self):
        self.assertEqual([channel["name"] for channel in
                          json.loads(self.good("--json", "channels"))["channels"]],
                         ["host", "echo", "bell\u0007"])
        self.assertEqual(json.loads(self.good("--json", "status"))["pid"], self.daemon.pid)
        self.assertEqual(len(json.loads(self.good("--json", "guests"))["guests"]), 2)

    def test_channel_tells_everything(self):
        """It shows everything that channel.list says about the channel."""
        guest = self.guest()
        guest.write(b"x" * 1000)
        output = self.good("channel", "vm1/host")
        listed = self.daemon.rpc("channel.list", {"guest": "vm1"})["channels"][0]
        for line in (r"channel +vm1/host", r"state +attached", r"ring +64\.0 KiB each way",
                     r"endpoint +unix-listen, not connected", rf"path +{self.scratch}/host\.sock",
                     rf"instance +{listed['instance']}", rf"attaches +{listed['attaches']}",
                     r"errors +none", r" +TO HOST +TO GUEST", rf"bytes +{listed['fwd']['bytes']} +{listed['bwd']['bytes']}",
                     r"in the ring +1000 B, 2 % +0 B, 0 %", r"guest's end +open, 1 so far +open, 1 so far",
                     r"host's end +(never opened|closed, \d so far) +(never opened|closed, \d so far)"):
            self.assertRegex(output, rf"(?m)^{line}$")
        for key in list(listed["fwd"]) + list(listed["endpoint"]):
            if key not in ("type", "connected", "fill_bytes", "host_phase", "guest_phase"):
                self.assertIn("\n" + key.replace("_", " ") + " ", output)
        self.assertEqual(json.loads(self.good("--json", "channel", "vm1/host"))["name"], "host")
        self.assertIn("vm2/bell\\x07", self.good("channel", "vm2/bell\u0007"))
        self.bad(1, 'guest "vm1" has no channel "nope"', "channel", "vm1/nope")

    def test_names(self):
        self.assertEqual(self.good("guests", "--names"), "vm1\nvm2\n")
        self.assertEqual(self.good("channels", "--names"), "vm1/host\nvm1/echo\nvm2/bell\\x07\n")
        self.assertEqual(self.good("channels", "vm1", "--names"), "vm1/host\nvm1/echo\n")

    def test_log_level(self):
        before = self.good("log-level").strip()
        self.assertEqual(self.good("log-level", "debug"), "")
        self.assertEqual(self.good("log-level"), "debug\n")
        self.assertEqual(json.loads(self.good("log-level", "--json", before)), {"level": before})
        self.bad(1, 'there is no log level "loud"', "log-level", "loud")

    def test_options_may_follow_the_command(self):
        self.assertEqual(json.loads(self.good("status", "--json"))["pid"], self.daemon.pid)
        self.assertEqual(self.good("channels", "--names", "--", "vm1"), "vm1/host\nvm1/echo\n")

    def test_channels_come_and_go(self):
        channel = {"name": "a/b", "endpoint": {"type": "echo"}}
        self.bad(1, "name: must be 1 to 63 bytes without '/'", "channel-add", "vm1",
                 json.dumps(channel))
        channel["name"] = "a b"
        self.assertEqual(self.good("channel-add", "vm1", json.dumps(channel)), "")
        self.bad(1, 'guest vm1 has a channel "a b" already', "channel-add", "vm1",
                 json.dumps(channel))
        self.good("channel-reset", "vm1/a b")
        self.bad(1, "channel file: cannot be offered: Socket operation on non-socket",
                 "channel-add", "vm1", json.dumps({"name": "file", "endpoint": {
                     "type": "unix-listen", "path": str(paths.ROOT / "README.md")}}))
        self.good("channel-remove", "vm1/a b")
        self.bad(1, 'guest vm1 has no channel "a b"', "channel-remove", "vm1/a b")
        status, output, errors = self.daemon.ctl("--json", "channel-add", "vm1", "-",
                                                 stdin=json.dumps(channel).encode())
        self.assertEqual((status, json.loads(output), errors), (0, {"id": 2}, ""))
        self.good("channel-remove", "vm1/a b")
        self.bad(1, 'there is no guest "vm3"', "channel-reset", "vm3/x")
        self.bad(2, "expected GUEST/CHANNEL", "channel-remove", "vm1")
        self.bad(2, "the argument is not JSON", "channel-add", "vm1", "{")
        self.bad(2, "an argument is missing", "channel-add", "vm1")

    def test_what_is_no_json(self):
        """okl4fsctl itself reports text that is not JSON, with the place."""
        for text, message in (("nonsense", "the argument is not JSON: byte 2: "),
                              ('{"name": "x"} }', "the argument: byte 15: something follows"),
                              ("null", "the argument: byte 5: neither a guest nor a channel"),
                              ('{"name": "\udcff"}', "the argument is not JSON: byte ")):
            self.bad(2, message, "channel-add", "vm1", text)
        status, _, errors = self.daemon.ctl("guest-add", "-", stdin=b" " * 65537)
        self.assertEqual((status, errors), (2, "okl4fsctl: stdin: cannot be read, or is longer "
                                            "than 65536 bytes\n"))
        status, _, errors = self.daemon.ctl("channel-add", "vm1", "-", stdin=b"\xef\xbb\xbf{}")
        self.assertEqual((status, errors), (2, "okl4fsctl: stdin: a UTF-8 byte order mark stands "
                                            "before the JSON: remove it (editors call that "
                                            '"UTF-8 without BOM")\n'))
        commented = b'{ // as in the file\n"name": "c", "endpoint": { "type": "echo" } }\n\n'
        self.assertEqual(self.daemon.ctl("channel-add", "vm1", "-", stdin=commented)[0], 0)
        self.good("channel-remove", "vm1/c")

    def test_guests_come_and_go(self):
        guest = {"name": "vm3", "socket": str(self.scratch / "vm3.sock"), "channels": []}
        self.good("guest-add", json.dumps(guest))
        self.assertTrue((self.scratch / "vm3.sock").is_socket())
        self.bad(1, 'there is a guest "vm3" already', "guest-add", json.dumps(guest))
        self.good("guest-remove", "vm3")
        self.bad(1, 'there is no guest "vm3"', "guest-remove", "vm3")
        self.good("guest-add", json.dumps(guest))
        self.good("reload")
        self.bad(1, 'there is no guest "vm3"', "guest-remove", "vm3")

    def test_usage(self):
        self.bad(2, "usage: okl4fsctl")
        self.bad(2, 'there is no command "stat"', "stat")
        self.bad(2, "status: too many arguments", "status", "x")
        self.bad(2, "expected GUEST/CHANNEL", "attach", "vm1")
        self.bad(2, "expected GUEST/CHANNEL", "attach", "/host")
        self.bad(2, "okl4fsctl: unrecognized option or value: --jsno\n", "--jsno", "status")
        self.bad(2, "okl4fsctl: option -s needs a value\n", "-s")
        self.assertIn("usage: okl4fsctl", self.good("help"))
        self.assertIn("usage: okl4fsctl", self.good("--help"))

    def test_no_daemon(self):
        env = dict(os.environ, XDG_RUNTIME_DIR=str(self.scratch / "none"))
        for args in (["-s", self.scratch / "none.sock", "status"], ["status"]):
            if "-s" not in args and os.path.exists("/run/okl4fs/control.sock"):
                continue
            done = subprocess.run([paths.BUILD / "okl4fsctl", *args], env=env, text=True,
                                  capture_output=True, timeout=TIMEOUT_S, check=False)
            self.assertEqual(done.returncode, 3)
            self.assertIn("no daemon at", done.stderr)

    def test_a_daemon_that_hangs_up(self):
        """An answer that a daemon would not give is reported, and okl4fsctl does not crash."""
        path = self.scratch / "other.sock"
        for answer, status in ((b"", 3), (b"no json\n", 1), (b"{}\n", 1), (b"[]\n", 1)):
            with self.subTest(answer=answer), socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen()
                thread = threading.Thread(target=self.serve_once, args=(listener, answer))
                thread.start()
                done = subprocess.run([paths.BUILD / "okl4fsctl", "-s", path, "status"], text=True,
                                      capture_output=True, timeout=TIMEOUT_S, check=False)
                thread.join()
                self.assertEqual(done.returncode, status, done.stderr)
                path.unlink()

    @staticmethod
    def serve_once(listener: socket.socket, answer: bytes) -> None:
        """Answer one client with these bytes."""
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            client.sendall(answer)

    # attach

    def guest(self) -> Channel:
        """A guest that has attached `host` and opened both of its ends."""
        self.wait_for(lambda: not self.daemon.rpc("guest.list")["guests"][0]["connected"])
        frontend = Frontend(self.scratch / "vm1.sock")
        self.addCleanup(frontend.close)
        driver = Driver(frontend.setup(2, 128))
        driver.hello()
        return Channel(driver, "host").attach().open()

    def wait_for(self, condition) -> None:
        """Wait until a condition holds; each look is a call to the daemon."""
        for _ in range(2000):
            if condition():
                return
        self.fail("the condition never held")

    def endpoint(self) -> dict:
        """What `channel.list` says of the endpoint."""
        return self.daemon.rpc("channel.list", {"guest": "vm1"})["channels"][0]["endpoint"]

    def attach(self) -> subprocess.Popen:
        """Run okl4fsctl attach and wait until it is connected; it ends with the test."""
        self.wait_for(lambda: not self.endpoint()["connected"])
        process = subprocess.Popen([paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path,
                                    "attach", "vm1/host"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.addCleanup(self.end, process)
        self.wait_for(lambda: self.endpoint()["connected"])
        return process

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        """End a program, if it has not ended yet."""
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def read(self, stream, size: int) -> bytes:
        """Read exactly that many bytes of a program's output."""
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([stream], [], [], TIMEOUT_S)
            self.assertTrue(ready, f"{len(data)} of {size} bytes came")
            piece = os.read(stream.fileno(), size - len(data))
            self.assertTrue(piece, f"it ended after {len(data)} of {size} bytes")
            data += piece
        return data

    def test_attach_both_ways(self):
        guest = self.guest()
        process = self.attach()
        sent, data = os.urandom(1000), os.urandom(300000)
        process.stdin.write(sent)
        process.stdin.flush()
        self.assertEqual(guest.read(1000), sent)
        # More than the ring and all buffers, both ways
        back = []
        reader = threading.Thread(target=lambda: back.append(self.read(process.stdout, len(data))))
        reader.start()
        guest.write(data)
        reader.join()
        self.assertEqual(back, [data])
        writer = threading.Thread(target=lambda: (process.stdin.write(data),
                                                  process.stdin.close()))
        writer.start()
        self.assertEqual(guest.read(len(data)), data)
        writer.join()
        # The end of stdin is end-of-file for the guest; the other direction goes on until its end.
        while (phase := guest.rx.peer_phase.value) % 2:
            guest.sleep_read(phase=phase)
        guest.write(b"bye")
        guest.close_writer()
        self.assertEqual(self.read(process.stdout, 3), b"bye")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)

    def test_attach_ends_with_the_guest(self):
        guest = self.guest()
        process = self.attach()
        guest.write(b"hello")
        guest.close_writer()
        self.assertEqual(self.read(process.stdout, 5), b"hello")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)

    def test_attach_is_idle_when_nothing_comes(self):
        self.guest()
        process = self.attach()
        with open(f"/proc/{process.pid}/schedstat", encoding="ascii") as stat:
            before = int(stat.read().split()[0])
        select.select([process.stdout], [], [], 0.3)
        with open(f"/proc/{process.pid}/schedstat", encoding="ascii") as stat:
            self.assertLess(int(stat.read().split()[0]) - before, 100_000_000)
        process.stdin.close()
        self.wait_for(lambda: self.endpoint()["connected"])
        process.kill()
        self.wait_for(lambda: not self.endpoint()["connected"])

    def test_attach_twice(self):
        self.guest()
        first = self.attach()
        refused = self.endpoint()["clients_refused"]
        self.bad(1, "vm1/host: another client is attached already", "attach", "vm1/host")
        self.assertEqual(self.endpoint()["clients_refused"], refused + 1)
        self.assertIsNone(first.poll())

    def test_attach_ends_with_the_channel(self):
        """If the channel is removed before a byte came, that is an error, not an empty stream."""
        process = subprocess.Popen([paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path,
                                    "attach", "vm1/host"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(self.end, process)
        self.wait_for(lambda: self.endpoint()["connected"])
        self.addCleanup(self.good, "reload")
        self.good("channel-remove", "vm1/host")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 1)
        self.assertIn('guest "vm1" has no channel "host"', process.stderr.read().decode())

    def test_attach_to_what_cannot_be(self):
        self.bad(1, "vm1/echo: its endpoint is echo; only unix-listen can be attached to",
                 "attach", "vm1/echo")
        self.bad(1, 'guest "vm1" has no channel "nope"', "attach", "vm1/nope")
        self.bad(1, 'there is no guest "vm3"', "attach", "vm3/host")


if __name__ == "__main__":
    unittest.main()
