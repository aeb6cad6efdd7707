# SPDX-License-Identifier: BSD-3-Clause
"""The module okl4fs for Python, against the daemon and against daemons that misbehave."""
import inspect
import json
import os
import re
import select
import socket
import subprocess
import threading
import unittest
from contextlib import contextmanager

from ctl_rig import TIMEOUT_S, DaemonPerTest, DaemonTest, free_port  # which says where okl4fs is
from control_page import Page
from guest_end import Channel
from messages import put, take
from vm import paths
from vm.daemon import guest_config
from vm.process import scratch_dir

import okl4fs

ECHO = {"type": "echo"}


class Made(unittest.TestCase):
    """The part of the module that is made from the manual page."""

    def test_it_is_up_to_date(self):
        done = subprocess.run([paths.ROOT / "python/make-methods", "--check"], text=True,
                              stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), "run python/make-methods")

    def test_every_method_has_a_function(self):
        page = Page()
        for name, method in page.methods.items():
            function = getattr(okl4fs.Client, name.replace(".", "_").replace("_subscribe", ""))
            params = inspect.signature(function).parameters
            self.assertEqual({key: param.default is None for key, param in params.items()
                              if key not in ("self", "timeout")},
                             {key: param.optional for key, param in method.params.items()}, name)
            self.assertTrue(function.__doc__, name)
        self.assertEqual({int(code) for code in okl4fs.Code}, set(page.codes))
        self.assertEqual(set(okl4fs.KINDS), set(page.kinds))

    def test_no_text_has_rests_of_macros(self):
        text = (paths.ROOT / "python/okl4fs.py").read_text(encoding="utf-8")
        made = text[text.index("# --- begin"):text.index("# --- end")]
        self.assertEqual(re.findall(r"\b(?:Xr|Dq|Cm|Ql|Pq|Va|Ic|Pp|Sx|Dv|No|Em)\b|\\[-&e]| [,.;:] ", made), [])


class Calls(DaemonTest):
    """A daemon with a guest, and a client."""

    @classmethod
    def config(cls):
        cls.port = free_port()
        return {"guests": [guest_config("vm1", "vm1.sock", {
            "echo": ECHO, "sock": {"type": "unix-listen", "path": "sock"},
            "tcp": {"type": "tcp-listen", "address": f"127.0.0.1:{cls.port}"}})]}

    def setUp(self):
        self.client = okl4fs.Client(self.daemon.control_path)
        self.addCleanup(self.client.close)

    def test_results(self):
        """Each function returns what the page says."""
        page, client = Page(), self.client
        results = {
            "version": client.version(), "status": client.status(), "guest.list": client.guest_list("vm1"),
            "guest.add": client.guest_add(guest_config("new", self.scratch / "new.sock", {})),
            "channel.add": client.channel_add("new", {"name": "c", "endpoint": ECHO}),
            "channel.list": client.channel_list("new", limit=1),
            "channel.reset": client.channel_reset("new", "c"),
            "channel.remove": client.channel_remove("new", "c"),
            "guest.remove": client.guest_remove("new"), "config.reload": client.config_reload(),
            "log.set": client.log_set("debug"), "metrics.get": client.metrics_get(),
            "config.get": client.config_get()}
        self.daemon.config_path.write_text(results["config.get"]["text"], encoding="utf-8")
        results["config.saved"] = client.config_saved()
        self.assertEqual({*results, "events.subscribe"}, set(page.methods))
        for name, result in results.items():
            members = page.methods[name].result
            self.assertEqual(page.wrong(members, result, name) if members else result,
                             [] if members else None, name)

    def test_errors(self):
        with self.assertRaisesRegex(okl4fs.Error, '^guest.remove: there is no guest "vm9"$') as refused:
            self.client.guest_remove("vm9")
        error = refused.exception
        self.assertEqual((error.code, error.message, error.data, error.method),
                         (okl4fs.Code.INVALID_PARAMS, 'there is no guest "vm9"', None, "guest.remove"))
        with self.assertRaises(okl4fs.Error) as refused:
            self.client.call("no.such", x=1)
        self.assertEqual(refused.exception.code, okl4fs.Code.METHOD_NOT_FOUND)
        with self.assertRaises(okl4fs.Error) as refused:
            self.client.call("version", method=1)
        self.assertEqual(refused.exception.code, okl4fs.Code.INVALID_PARAMS)
        with self.assertRaisesRegex(okl4fs.Error, "65536 bytes") as refused:
            self.client.log_set("x" * 300000)
        self.assertEqual((refused.exception.code, refused.exception.method),
                         (okl4fs.Code.INVALID_REQUEST, None))
        self.assertEqual(self.client.version()["name"], "okl4fsd")

    def test_no_daemon(self):
        with self.assertRaises(FileNotFoundError) as missing:
            okl4fs.Client(self.scratch / "none").version()
        self.assertEqual(missing.exception.filename, str(self.scratch / "none"))

    def test_channels_in_parts(self):
        """The list is asked for a part at a time, and gives each channel once."""
        names = [f"c{i}" for i in range(5)]
        self.client.guest_add(guest_config("many", self.scratch / "many.sock",
                                           {name: ECHO for name in names}))
        self.addCleanup(self.client.guest_remove, "many")
        asked, call = [], self.client.call
        self.client.call = lambda method, **params: asked.append(method) or call(method, **params)
        self.addCleanup(setattr, okl4fs, "PAGE_CHANNELS", okl4fs.PAGE_CHANNELS)
        okl4fs.PAGE_CHANNELS = 2
        self.assertEqual([c["name"] for c in self.client.channels("many")], names)
        self.assertEqual(asked, ["channel.list"] * 3)
        self.assertEqual(len(list(self.client.channels())), 8)

    def test_events(self):
        with self.client.events(kinds=["log", "guest"], timeout=TIMEOUT_S) as events:
            before = events.seq
            self.client.log_set("info")
            self.client.guest_add(guest_config("told", self.scratch / "told.sock", {}))
            first, second = next(events), next(events)
            self.assertEqual((first["kind"], first["level"], second["kind"], second["guest"]),
                             ("log.changed", "info", "guest.added", "told"))
            self.assertLess(before, first["seq"])
            self.assertEqual(events.seq, second["seq"])
            self.client.guest_remove("told")
            self.assertEqual(select.select([events], [], [], TIMEOUT_S)[0], [events])
            self.assertEqual(next(events)["kind"], "guest.removed")
        with self.client.events(guest="told", since=first["realtime_us"], timeout=TIMEOUT_S) as events:
            self.assertTrue(events.past_complete)
            self.assertTrue(events.pending())
            self.assertEqual([next(events)["kind"] for _ in range(2)],
                             ["guest.added", "guest.removed"])
            self.assertFalse(events.pending())

    def test_events_end_after_a_while_and_go_on(self):
        """A time limit ends the iteration and loses nothing."""
        with self.client.events(guest="later", timeout=0.05) as events:
            self.assertEqual(list(events), [])
            self.client.guest_add(guest_config("later", self.scratch / "later.sock", {}))
            self.client.guest_remove("later")
            events.timeout = TIMEOUT_S
            self.assertEqual([next(events)["kind"] for _ in range(2)],
                             ["guest.added", "guest.removed"])
            self.assertFalse(events.pending())

    def test_open(self):
        """Bytes both ways by a unix socket, with an end of file each; and by TCP."""
        driver = self.driver()
        for name in ("sock", "tcp"):
            with self.subTest(name):
                channel = Channel(driver, name, instance=ord(name[0])).attach().open()
                with self.client.open(f"vm1/{name}") as sock:
                    self.assertIsNone(sock.gettimeout())
                    sock.settimeout(TIMEOUT_S)
                    sock.sendall(b"to the guest")
                    self.assertEqual(channel.read(12), b"to the guest")
                    channel.write(b"to the host")
                    self.assertEqual(sock.recv(100), b"to the host")

    def test_open_for_messages(self):
        """Each send is a message, and each recv returns one."""
        self.client.channel_add("vm1", {"name": "messages", "packets": True, "endpoint": {
            "type": "unix-listen", "path": str(self.scratch / "messages.sock")}})
        channel = Channel(self.driver(), "messages").attach().open()
        with self.client.open("vm1/messages") as sock:
            sock.settimeout(TIMEOUT_S)
            for data in (b"one", b"", b"three"):
                sock.send(data)
                put(channel, data)
            self.assertEqual(take(channel, 3), [b"one", b"", b"three"])
            self.assertEqual([sock.recv(100) for _ in range(3)], [b"one", b"", b"three"])
        self.client.channel_remove("vm1", "messages")

    def test_what_cannot_be_opened(self):
        for error, sentence, name in (
                (ValueError, "GUEST/CHANNEL", "vm1"), (LookupError, "guest vm1 has no channel no", "vm1/no"),
                (okl4fs.Error, 'there is no guest "vm9"', "vm9/echo"),
                (ValueError, "its endpoint is echo", "vm1/echo")):
            with self.subTest(name), self.assertRaisesRegex(error, sentence):
                self.client.open(name)


class Ends(DaemonPerTest):
    """Connections end, and the client makes another one."""

    @classmethod
    def config(cls):
        return {"control": {"path": str(cls.scratch / "control.sock"), "idle_seconds": 1}, "guests": []}

    def test_after_a_restart(self):
        client = okl4fs.Client(self.daemon.control_path)
        self.addCleanup(client.close)
        events = client.events(timeout=TIMEOUT_S)
        before = client.status()
        self.daemon.kill()
        with self.assertRaises(ConnectionResetError):
            next(events)
        self.daemon.start()
        self.assertNotEqual(client.status()["instance"], before["instance"])

    def test_after_a_silence(self):
        """A client that is dismissed for its silence connects again; one that wants events stays."""
        client = okl4fs.Client(self.daemon.control_path)
        self.addCleanup(client.close)
        events = client.events(timeout=TIMEOUT_S)
        self.addCleanup(events.close)
        client.version()
        first = client._connection
        self.assertTrue(select.select([first], [], [], TIMEOUT_S)[0])
        client.log_set("info")
        self.assertIsNot(client._connection, first)
        self.assertEqual(next(events)["kind"], "log.changed")


@contextmanager
def daemon(*connections):
    """A stand-in for the daemon: a function for each connection, called with what was received and the
    socket."""
    path = scratch_dir() / "control.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(TIMEOUT_S)

    def serve() -> None:
        for serve_one in connections:
            client, _ = listener.accept()
            with client:
                client.settimeout(TIMEOUT_S)
                serve_one(client.recv(65536), client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        thread.join()
        listener.close()
        path.unlink()
        path.parent.rmdir()


def answer(*texts: str):
    """Answer with these lines; %d is the request's id."""
    def serve(received: bytes, client: socket.socket) -> None:
        ident = json.loads(received)["id"]
        for text in texts:
            client.sendall(text.replace("%d", str(ident)).encode() + b"\n")
    return serve


RESULT = '{"jsonrpc":"2.0","id":%d,"result":{"version":"7"}}'
DISMISSED = '{"jsonrpc":"2.0","id":null,"error":{"code":-32003,"message":"silent"}}'


class Misbehaviour(unittest.TestCase):
    """What a daemon may do in the middle of a request, and what no daemon should do."""

    def test_dismissed_while_the_request_was_on_its_way(self):
        """It was not carried out, so it is sent once more; but not for ever."""
        with daemon(answer(DISMISSED), answer(RESULT)) as path, okl4fs.Client(path) as client:
            self.assertEqual(client.version()["version"], "7")
        with daemon(answer(DISMISSED), answer(DISMISSED)) as path, okl4fs.Client(path) as client:
            with self.assertRaisesRegex(okl4fs.Error, "^silent$"):
                client.version()

    def test_ends_without_an_answer(self):
        """It may have been carried out, so it is not sent again."""
        with daemon(answer(), answer(RESULT)) as path, okl4fs.Client(path) as client:
            with self.assertRaisesRegex(ConnectionError, str(path)):
                client.version()
            self.assertEqual(client.version()["version"], "7")

    def test_is_slow(self):
        """An answer that comes too late is not taken for that of the next request."""
        def late(received: bytes, client: socket.socket) -> None:
            self.assertEqual(client.recv(1), b"")  # the client has given up
        with daemon(late, answer(RESULT)) as path, okl4fs.Client(path, timeout=0.05) as client:
            with self.assertRaisesRegex(TimeoutError, "version: .* within 0.05 s"):
                client.version()
            client.timeout = TIMEOUT_S
            self.assertEqual(client.version()["version"], "7")

    def test_answers_something_else(self):
        with daemon(answer(RESULT.replace("%d", "77")), answer(RESULT)) as path, \
                okl4fs.Client(path) as client:
            with self.assertRaisesRegex(ConnectionError, "id 77"):
                client.version()
            self.assertEqual(client.version()["version"], "7")

    def test_error_with_data(self):
        said = '{"jsonrpc":"2.0","id":%d,"error":{"code":-32001,"message":"no","data":{"a":[1]}}}'
        with daemon(answer(said)) as path, okl4fs.Client(path) as client:
            with self.assertRaisesRegex(okl4fs.Error, "config.reload: no") as refused:
                client.config_reload()
        self.assertEqual((refused.exception.code, refused.exception.data),
                         (okl4fs.Code.REFUSED, {"a": [1]}))

    def test_events_in_pieces_and_lost_ones(self):
        event = ('{"jsonrpc":"2.0","method":"event","params":{"seq":%s,"kind":"lost","count":2}}')

        def serve(received: bytes, client: socket.socket) -> None:
            answer('{"jsonrpc":"2.0","id":%d,"result":{"seq":4}}' + "\n" + event % 5)(received, client)
            text = (event % 6).encode() + b"\n"
            for at in range(len(text)):
                client.send(text[at:at + 1])
            client.sendall(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32002,"message":"gone"}}\n')
        with daemon(serve) as path, okl4fs.Client(path).events(timeout=TIMEOUT_S) as events:
            self.assertEqual([next(events)["count"] for _ in range(2)], [2, 2])
            self.assertEqual(events.seq, 6)
            with self.assertRaisesRegex(okl4fs.Error, "^gone$"):
                next(events)

    def test_where_it_looks(self):
        """A user's daemon first, then the system's, as okl4fsctl does."""
        before = os.environ.get("XDG_RUNTIME_DIR")
        self.addCleanup(lambda: os.environ.pop("XDG_RUNTIME_DIR") if before is None
                        else os.environ.update(XDG_RUNTIME_DIR=before))
        os.environ["XDG_RUNTIME_DIR"] = "/run/user/7"
        system = ["/run/okl4fs/control.sock"]
        self.assertEqual(okl4fs.default_sockets(), system if os.geteuid() == 0 else [
            "/run/user/7/okl4fs/control.sock", *system])


class Examples(DaemonTest):
    """The examples of okl4fs-control(7) do what it says."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("default", "default.sock", {
            "intervm_test": {"type": "unix-listen", "path": "sock"}})]}

    @classmethod
    def examples(cls) -> list[str]:
        """The blocks, with the socket of this daemon."""
        text = Page().text
        text = text[text.index(".Sh EXAMPLES"):]
        return [block.replace("\\e", "\\").replace("/run/okl4fs/control.sock", cls.daemon.control_path)
                for block in re.findall(r"^\.Bd -literal\n(.*?)^\.Ed", text, re.M | re.S)]

    def shell(self, command: str) -> subprocess.Popen:
        """Start a command."""
        process = subprocess.Popen(["bash", "-c", command], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        return process

    @staticmethod
    def split(block: str) -> tuple[str, list[str]]:
        """The command of an example, and the lines that it prints."""
        command, _, printed = block.removeprefix("$ ").partition("\n{")
        return command, ("{" + printed).replace("\n ", "").splitlines()

    def test_requests(self):
        version = okl4fs.Client(self.daemon.control_path).version()["version"]
        for block in self.examples()[:2]:
            command, printed = self.split(block)
            process = self.shell(command)
            process.stdin.close()
            self.assertEqual([line.rstrip("\n") for line in process.stdout],
                             [re.sub(r'("version":")[^"]*', rf"\g<1>{version}", line) for line in printed])
            self.assertEqual(process.wait(), 0)

    def test_events(self):
        command, (subscribed, event) = self.split(self.examples()[2])
        process = self.shell(command)

        def like(said: str, wanted: str) -> None:
            numbers = re.compile(r"(seq|_us)\":\d+")
            self.assertEqual(numbers.sub(r"\1", said.rstrip("\n")), numbers.sub(r"\1", wanted))
        like(process.stdout.readline(), subscribed)
        self.daemon.rpc("log.set", {"level": "debug"})
        like(process.stdout.readline(), event)

    def test_python(self):
        program = self.examples()[3].replace("Client()", f"Client({self.daemon.control_path!r})") \
            .replace("timeout=60", "timeout=0.05")
        channel = self.channel_of_default()
        done = subprocess.run(["/usr/bin/python3", "-c", program], text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": str(paths.ROOT / "python")},
                              timeout=TIMEOUT_S, check=True)
        self.assertIn("default is ready\n", done.stdout)
        self.assertEqual(channel.read(6), b"hello\n")

    def channel_of_default(self):
        """The guest, with its channel open."""
        return Channel(self.driver("default"), "intervm_test").attach().open()


if __name__ == "__main__":
    unittest.main()
