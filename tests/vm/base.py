# SPDX-License-Identifier: BSD-3-Clause
"""Common parts of the tests on real guests."""
import contextlib
import re
import socket
import unittest
from pathlib import Path

from . import Command, Daemon, Guest, detectors, guest_config, remove_scratch, scratch_dir, until
from .hostend import HostTool, moved

SYSFS = "/sys/bus/virtio/drivers/okl4fs"
IO_ERROR = "(?i)i/o error|input/output error"
# Records of a transfer that never ends by itself
ENDLESS = 1000000000


def echo() -> dict:
    """An endpoint."""
    return {"type": "echo"}


def listens(path: Path) -> dict:
    """An endpoint."""
    return {"type": "unix-listen", "path": str(path)}


def pairs(text: str) -> dict[str, str]:
    """Lines of a key, a space and a value, as the driver's files in debugfs have them."""
    return dict(line.split(" ", 1) for line in text.splitlines())


def add_tests(cls: type, prefix: str, names, run) -> None:
    """Make a test method of each name, which calls run(self, name)."""
    for name in names:
        def test(self, name=name):
            run(self, name)
        setattr(cls, f"test_{prefix}{name}", test)


class VmTest(unittest.TestCase):
    """Daemons and guests of a class: they are started by setUpClass, and end with the class.

    A test that fails shows what the daemon and the guests said meanwhile. At the end the guests'
    kernels must not have complained, and the daemon must end cleanly.
    """
    daemon: Daemon
    guest: Guest
    scratch: Path
    _guests: list[Guest]
    _stack: contextlib.ExitStack

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.scratch = scratch_dir()
        cls._guests = []
        cls._stack = contextlib.ExitStack()
        cls.addClassCleanup(cls._end_class)

    @classmethod
    def make_daemon(cls, config: dict, **options) -> Daemon:
        """Start the daemon of this class."""
        return Daemon(config, **options)

    @classmethod
    def start_daemon(cls, guests: list[dict], **options) -> Daemon:
        """Start the class's daemon; its configuration's control socket lies in `scratch`."""
        cls.daemon = cls.make_daemon({"guests": guests}, **options)
        cls._stack.callback(cls.daemon.stop)
        return cls.daemon

    @classmethod
    def one_guest(cls, channels: dict[str, dict], **options) -> None:
        """A daemon with one guest `vm`, as most tests want it."""
        socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", socket, channels)])
        cls.guest = cls.start_guest(socket, **options)

    @classmethod
    def start_guest(cls, socket: Path | None, **options) -> Guest:
        """Start a guest of the class."""
        guest = cls._stack.enter_context(Guest(socket, **{"smp": 2, **options}))
        cls._guests.append(guest)
        return guest

    @staticmethod
    def _judge(guest: Guest) -> None:
        """A guest's kernel must have found nothing."""
        found = []
        if guest.kernel and guest.kernel.detects and guest.running():
            try:
                detectors.check(guest)
            except detectors.Complaint as error:
                found.append(str(error))
        said = detectors.complaint(guest.console()[guest.judged_from:])
        if said:
            found.append(f"a guest's kernel complains:\n{said}")
        if found:
            raise detectors.Complaint("\n".join(found))

    @classmethod
    def _end_class(cls) -> None:
        """Daemons and guests must end cleanly; whatever happens, all of them are ended."""
        try:
            for guest in cls._guests:
                cls._judge(guest)
            daemon = getattr(cls, "daemon", None)
            if daemon and daemon.running():
                daemon.signal(15)
                status = daemon.wait(20)
                if status:
                    raise AssertionError(f"okl4fsd ended with status {status}\n"
                                         + daemon.log()[-3000:])
        finally:
            cls._stack.close()
            remove_scratch(cls.scratch)

    # The daemon's side

    @classmethod
    def channel(cls, name: str, guest: str | None = None) -> dict:
        """A channel's entry in `channel.list`."""
        listed = cls.daemon.rpc("channel.list", {"guest": guest} if guest else None)["channels"]
        return next(channel for channel in listed if channel["name"] == name)

    def wait_fill(self, channel: str, fill_bytes: int, limit_s: float, *, guest: str | None = None,
                  way: str = "fwd") -> None:
        """Wait until so many bytes lie in a ring (`fwd` is the one to the host)."""
        until(lambda: self.channel(channel, guest)[way]["fill_bytes"] == fill_bytes,
              lambda: f"{fill_bytes} bytes in {self.channel(channel, guest)}", limit_s)

    def client(self, path: Path, limit_s: float = 60) -> socket.socket:
        """A client of a unix socket."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(limit_s)
        client.connect(str(path))
        return client

    # Commands in the guest

    def fails(self, command: str, why: str = ".*", timeout: float = 60) -> None:
        """A command must fail with this (a regular expression) in its output."""
        status, output = self.guest.run(command, timeout)
        self.assertNotEqual(status, 0, output)
        self.assertRegex(output, why)

    def cut_off(self, command: Command, timeout: float = 60) -> None:
        """A running command must end with EIO."""
        status, output = command.wait(timeout)
        self.assertNotEqual(status, 0, output)
        self.assertRegex(output, IO_ERROR)

    def ends_well(self, command, timeout: float = 60) -> str:
        """A running command (or HostTool) must end with status 0; its output."""
        status, output = command.wait(timeout)
        self.assertEqual(status, 0, output[-500:])
        return output

    @classmethod
    def start_seq(cls, channel: str = "echo", guest: Guest | None = None, *,
                  records: int = ENDLESS, progress: int = 500) -> Command:
        """Records through an echo, in full swing."""
        command = (guest or cls.guest).spawn(
            f"exec okl4test seq /okl4/{channel} records={records} progress={progress}")
        command.wait_output("progress 1000.", 60)
        return command

    def goes_on(self, stream: Command, records: int = 1000, timeout: float = 60) -> None:
        """A transfer moves on, from now."""
        self.assertFalse(stream.done(), stream.output[-500:])
        seen = int(re.findall(rb"progress (\d+)\.", stream.output)[-1])
        stream.wait_output(f"progress {seen + records}.", timeout)

    def sleep_through(self, event, timeout: float) -> None:
        """A reader of `quiet`, an echo, and a writer on the full ring of `out` sleep through an event."""
        self.guest.check("rm -f /okl4/quiet; mkfifo /okl4/quiet")
        reader = self.guest.spawn("exec head -c 6 /okl4/quiet")
        writer = self.guest.spawn("exec okl4test stream /okl4/out write=5M seed=9")
        self.wait_fill("out", 1 << 20, timeout)  # nobody reads: the ring is full
        event()
        self.assertFalse(reader.done() or writer.done())
        self.guest.check("echo hello > /okl4/quiet", timeout)
        self.assertEqual(reader.wait(timeout), (0, "hello\n"))
        output = self.ends_well(HostTool(self.scratch, "stream", f"unix:{self.scratch}/out.sock",
                                         "read=5M", "seed=9"), timeout)
        self.assertEqual(moved(self.ends_well(writer, timeout))["written"], moved(output)["read"])

    # The driver

    @classmethod
    def unbind(cls, and_bind: bool = False) -> None:
        """Take the device from the driver through sysfs."""
        cls.guest.check(f"cd {SYSFS} && echo virtio* > /tmp/device && cat /tmp/device > unbind"
                        + (" && cat /tmp/device > bind" if and_bind else ""), 120)

    @classmethod
    def bind(cls) -> None:
        """Give it back to the driver."""
        cls.guest.check(f"cat /tmp/device > {SYSFS}/bind", 120)

    @classmethod
    def wait_offered(cls, name: str = "echo") -> None:
        """Wait until the driver offers a channel."""
        until(lambda: cls.guest.run(f"rm -f /okl4/{name}; mkfifo /okl4/{name}")[0] == 0,
              "the device in the guest", 120)

    def setUp(self) -> None:
        self._log_from = len(self.daemon.log()) if hasattr(self, "daemon") else 0
        self._console_from = [len(guest.console()) for guest in self._guests]

    def tearDown(self) -> None:
        result = self._outcome.result
        if not any(test is self for test, _ in result.errors + result.failures):
            return
        if hasattr(self, "daemon"):
            print(f"-- {self.id()}: the daemon said:")
            print(self.daemon.log()[self._log_from:][-3000:])
        for i, guest in enumerate(self._guests):
            start = self._console_from[i] if i < len(self._console_from) else 0
            print(f"-- guest {i} said:\n{guest.console()[start:][-3000:]}")


class HotPlugged(VmTest):
    """A guest into which the device is plugged while it runs: start_guest(None, hotplug=True)."""
    socket: Path
    n_plugged = 0

    @classmethod
    def plug(cls) -> None:
        """Attach the guest to the daemon, and wait until the driver offers its channels."""
        until(lambda: not cls.daemon.rpc("guest.list")["guests"][0]["connected"],
              "the daemon to see that the device before has left", 120)
        cls.n_plugged += 1
        cls.guest.plug(cls.socket, f"c{cls.n_plugged}")
        cls.wait_offered()

    @classmethod
    def unplug(cls) -> None:
        """Ask for the device as an administrator does, and wait until it is gone."""
        cls.guest.unplug(f"c{cls.n_plugged}")
