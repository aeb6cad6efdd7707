# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsctl against a running daemon, and `attach` with a guest at the other end."""
import json
import os
import select
import subprocess
import threading
from pathlib import Path

from ctl_rig import TIMEOUT_S, DaemonTest, cpu_ns_of_a_while, free_port
from vm import paths
from vm.daemon import guest_config

from terminal import Terminal, width


class Ctl(DaemonTest):
    """A daemon with two guests."""

    @classmethod
    def config(cls):
        return {"guests": [
            guest_config("vm1", "vm1.sock", {
                "host": {"ring_bytes": 65536, "endpoint": {"type": "unix-listen",
                                                           "path": "host.sock"}},
                "echo": {"type": "echo"}}),
            guest_config("vm2", "vm2.sock", {"bell\u0007": {"type": "discard"}},
                         socket_mode="connect")]}

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
        for column in ("CHANNEL", "STATE", "ENDPOINT", "CONNECTED"):
            at = lines[0].index(column)
            for line in lines[1:]:
                self.assertEqual(line[at - 1], " ", line)
                self.assertNotEqual(line[at], " ", line)
        for column in ("RING", "TO HOST", "TO GUEST"):  # numbers, at the right
            end = lines[0].index(column) + len(column)
            for line in lines[1:]:
                self.assertEqual(line[end:end + 1].strip(), "", line)
                self.assertNotEqual(line[end - 1], " ", line)
        self.assertIn("64.0 KiB", lines[1])
        self.assertIn("bell\\x07", lines[3])
        lines = self.good("guests").splitlines()
        self.assertEqual([line.split()[0] for line in lines[:3]], ["GUEST", "vm1", "vm2"])
        self.assertRegex("\n".join(lines[3:]), r"^\nvm2 is away: connect /.*: No such file or directory$")

    def on_terminal(self, columns: int, *args: str) -> list[str]:
        """The lines of a command on a terminal so wide."""
        terminal = Terminal([paths.BUILD / "okl4fsctl", "-s", self.daemon.control_path, *args],
                            columns=columns)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.end(), 0)
        return terminal.text.replace("\r\n", "\n").splitlines()

    def test_tables_fit_a_terminal(self):
        """What is less important is left out, then paths and names are cut in the middle."""
        for command, rows, left_out in (("guests", 3, "QUEUES, REQUESTS"),
                                        ("channels", 4, "ENDPOINT, RING")):
            full = self.good(command).splitlines()
            for columns in (200, 100, 80, 60, 45):
                lines = self.on_terminal(columns, command)
                self.assertLessEqual(max(map(width, lines[:rows])), columns, lines)
                self.assertEqual([line.split()[0] for line in lines[:rows]],
                                 [line.split()[0] for line in full[:rows]])
            lines = self.on_terminal(78, command)
            self.assertRegex(lines[rows + 1], rf"^\(not shown: {left_out}.*; --wide shows all\)$")
            for column in left_out.split(", "):
                self.assertNotIn(column, lines[0])
            self.assertEqual(self.on_terminal(60, command, "--wide"), full)
            self.assertEqual(self.good(command, "--wide").splitlines(), full)
        host = next(line for line in self.on_terminal(80, "channels") if " host " in line)
        self.assertRegex(host, r" /\S+\.\.\.\S*st\.sock$")

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
        guest = self.channel("host")
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
            if key not in ("type", "connected", "fill_bytes", "host_phase", "guest_phase", "guest_opener"):
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
        channel = {"name": "a b", "endpoint": {"type": "echo"}}
        self.assertEqual(self.good("channel-add", "vm1", json.dumps(channel)), "")
        self.bad(1, 'guest vm1 has a channel "a b" already', "channel-add", "vm1",
                 json.dumps(channel))
        self.good("channel-reset", "vm1/a b")
        self.good("channel-remove", "vm1/a b")
        self.bad(1, 'guest vm1 has no channel "a b"', "channel-remove", "vm1/a b")
        self.bad(1, "README.md: Socket operation on non-socket",
                 "channel-add", "vm1", json.dumps({"name": "file", "endpoint": {
                     "type": "unix-listen", "path": str(paths.ROOT / "README.md")}}))
        status, output, errors = self.daemon.ctl("--json", "channel-add", "vm1", "-",
                                                 stdin=json.dumps(channel).encode())
        self.assertEqual((status, json.loads(output), errors), (0, {"id": 2}, ""))
        self.good("channel-remove", "vm1/a b")

    def test_what_is_no_json(self):
        """okl4fsctl itself reports text that is not JSON, with the place."""
        for text, message in (("{nonsense", "the argument is not JSON: byte 2: "),
                              ('{"name": "x"} }', "the argument: byte 15: something follows"),
                              ('{"name": "\udcff"}', "the argument is not JSON: byte ")):
            self.bad(2, message, "channel-add", "vm1", text)
        self.bad(2, "stdin: byte 5: neither a guest nor a channel", "channel-add", "vm1", "-",
                 stdin=b"null")
        self.bad(2, "okl4fsctl: stdin: longer than 65536 bytes\n",
                 "guest-add", "-", stdin=b" " * 65537)
        self.bad(2, "okl4fsctl: stdin: a UTF-8 byte order mark stands before the JSON: remove it "
                 '(editors call that "UTF-8 without BOM")\n', "channel-add", "vm1", "-",
                 stdin=b"\xef\xbb\xbf{}")
        commented = b'{ // as in the file\n"name": "c", "endpoint": { "type": "echo" } }\n\n'
        self.assertEqual(self.daemon.ctl("channel-add", "vm1", "-", stdin=commented)[0], 0)
        self.good("channel-remove", "vm1/c")

    def test_guests_come_and_go(self):
        guest = {"name": "vm3", "socket": str(self.scratch / "vm3.sock"), "channels": []}
        self.good("guest-add", json.dumps(guest))
        self.assertTrue((self.scratch / "vm3.sock").is_socket())
        self.good("guest-remove", "vm3")
        self.bad(1, 'there is no guest "vm3"', "guest-remove", "vm3")
        self.good("guest-add", json.dumps(guest))
        self.good("reload")
        self.bad(1, 'there is no guest "vm3"', "guest-remove", "vm3")

    def test_guests_and_channels_without_json(self):
        """Each option becomes the member of the configuration."""
        socket = self.scratch / "vm3.sock"
        self.good("guest-add", "vm3", "--socket", str(socket))
        self.addCleanup(self.good, "reload")
        self.assertTrue(socket.is_socket())
        self.good("guest-add", "vm4", "--socket", str(self.scratch / "vm4.sock"), "--mode=connect")
        self.assertEqual(self.daemon.rpc("guest.list", {"guest": "vm4"})["guests"][0][
            "socket_mode"], "connect")
        group = str(self.scratch / "vm5.sock")
        self.good("guest-add", "vm5", "--socket", group, "--group", "games")
        self.assertEqual(Path(group).group(), "games")
        (self.scratch / "file").write_bytes(b"x")
        (self.scratch / "channel.json").write_text(
            '{ "name": "from file", "endpoint": { "type": "echo" } } // as in the file\n',
            encoding="utf-8")
        for name, *options in (
                ("listen", "--endpoint", f"unix-listen:{self.scratch}/listen.sock", "--mode=0620",
                 "--ring-bytes", "64K", "--exclusive", "--packets"),
                ("connect", "--endpoint", f"unix-connect:{self.scratch}/a:b.sock"),
                ("tcp", f"--endpoint=tcp-listen:127.0.0.1:{free_port()}"),
                ("dial", f"--endpoint=tcp-connect:localhost:{free_port()}"),
                ("file", "--endpoint", f"intervm:{self.scratch}/file"),
                ("echo", "--endpoint", "echo"), ("a b", "--endpoint", "discard"),
                ("far", "--endpoint", "channel:vm3/back"),
                (f"@{self.scratch}/channel.json",)):
            with self.subTest(name):
                self.assertEqual(self.good("channel-add", "vm3", name, *options), "")
        channels = {channel["name"]: channel for channel in
                    self.daemon.rpc("channel.list", {"guest": "vm3"})["channels"]}
        self.assertEqual([channel["endpoint"]["type"] for channel in channels.values()],
                         ["unix-listen", "unix-connect", "tcp-listen", "tcp-connect", "intervm",
                          "echo", "discard", "channel", "echo"])
        self.assertEqual([channels["listen"][key] for key in ("ring_bytes", "exclusive", "packets")],
                         [65536, True, True])
        self.bad(1, f"UNIX-CONNECT:{self.scratch}/listen.sock,socktype=5", "attach", "vm3/listen")
        self.assertEqual((self.scratch / "listen.sock").stat().st_mode & 0o777, 0o620)
        self.assertEqual(channels["connect"]["endpoint"]["path"], f"{self.scratch}/a:b.sock")
        self.assertEqual((channels["far"]["endpoint"]["guest"],
                          channels["far"]["endpoint"]["channel"]), ("vm3", "back"))
        self.assertIn("from file", channels)

    def test_what_cannot_be_added(self):
        for message, *args in (
                ('there is no endpoint "unix" (did you mean unix-listen?)', "--endpoint", "unix:x"),
                ("expected unix-listen:PATH\n", "--endpoint", "unix-listen"),
                ("--endpoint echo:x: expected echo\n", "--endpoint=echo:x"),
                ("expected GUEST/CHANNEL, not \"x\"", "--endpoint", "channel:x"),
                ("--mode is for the endpoints unix-listen and mux-listen, not for echo", "--endpoint=echo",
                 "--mode=0660"),
                ('--ring-bytes must be a size such as 65536, 64K or 1M, not "64X"',
                 "--endpoint=echo", "--ring-bytes=64X"),
                ('"new" is not JSON, and a name needs --endpoint; see okl4fsctl help channel-add\n',
                 "--exclusive")):
            self.bad(2, message, "channel-add", "vm1", "new", *args)
        self.bad(2, "options go with a name, not with JSON", "channel-add", "vm1", "{}",
                 "--endpoint=echo")
        self.bad(2, '"vm3" is not JSON, and a name needs --socket', "guest-add", "vm3")
        self.bad(2, "okl4fsctl: /nonexistent/x: No such file or directory\n", "guest-add",
                 "@/nonexistent/x")
        self.bad(1, "ring_bytes: must be a power of two", "channel-add", "vm1", "new",
                 "--endpoint=echo", "--ring-bytes=5000")

    # attach

    def endpoint(self) -> dict:
        """What `channel.list` says of the endpoint."""
        return self.daemon.rpc("channel.list", {"guest": "vm1"})["channels"][0]["endpoint"]

    def attach(self) -> subprocess.Popen:
        """Run okl4fsctl attach and wait until it is connected; it ends with the test."""
        self.wait_for(lambda: not self.endpoint()["connected"], "the client to be gone")
        process = self.start("attach", "vm1/host")
        self.wait_for(lambda: self.endpoint()["connected"], "the client to be there")
        return process

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
        guest = self.channel("host")
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
        guest = self.channel("host")
        process = self.attach()
        guest.write(b"hello")
        guest.close_writer()
        self.assertEqual(self.read(process.stdout, 5), b"hello")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 0)

    def test_attach_is_idle_when_nothing_comes(self):
        self.channel("host")
        process = self.attach()
        self.assertLess(cpu_ns_of_a_while(process.pid, process.stdout), 100_000_000)
        process.stdin.close()
        self.wait_for(lambda: self.endpoint()["connected"], "the client to be there")
        process.kill()
        self.wait_for(lambda: not self.endpoint()["connected"], "the client to be gone")

    def test_attach_twice(self):
        self.channel("host")
        first = self.attach()
        refused = self.endpoint()["clients_refused"]
        self.bad(1, "vm1/host: another client is attached already", "attach", "vm1/host")
        self.assertEqual(self.endpoint()["clients_refused"], refused + 1)
        self.assertIsNone(first.poll())

    def test_attach_ends_with_the_channel(self):
        """If the channel is removed before a byte came, that is an error, not an empty stream."""
        process = self.attach()
        self.addCleanup(self.good, "reload")
        self.good("channel-remove", "vm1/host")
        self.assertEqual(process.wait(timeout=TIMEOUT_S), 1)
        self.assertIn('guest "vm1" has no channel "host"', process.stderr.read().decode())

    def test_attach_to_what_cannot_be(self):
        self.bad(1, "vm1/echo: its endpoint is echo; only unix-listen can be attached to",
                 "attach", "vm1/echo")
        self.bad(1, 'guest "vm1" has no channel "nope"', "attach", "vm1/nope")
        self.bad(1, 'there is no guest "vm3"', "attach", "vm3/host")
