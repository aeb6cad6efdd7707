# SPDX-License-Identifier: BSD-3-Clause
"""Domains of libvirt as `okl4fsctl qemu-args --libvirt` prints them, under a private libvirtd.

These tests run the steps of docs/libvirt.md.
"""
import json
import os
import re
import select
import socket
import subprocess
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from vm import (Daemon, Deadline, detectors, guest_config, manual, paths, remove_scratch,
                scratch_dir, until)
from vm.base import VmTest, echo, listens
from vm.hostend import HostTool, moved
from vm.manager import ManagedDaemon, Manager

from domain import Domain
from libvirtd import Libvirtd, VirshFailed

TIMEOUT_S = 600
MIB = 1 << 20
MANUAL = "libvirt.md"
SOCKET = "/run/okl4fs/vm1.sock"
SEQ = "okl4test seq /okl4/echo records=20000 progress=500"


def setUpModule():
    """One libvirtd for all: its first domain waits for it to ask QEMU what it can do."""
    folder = scratch_dir()
    unittest.addModuleCleanup(remove_scratch, folder)
    LibvirtTest.libvirtd = Libvirtd(folder, manual.examples(MANUAL, "text")[0])
    unittest.addModuleCleanup(LibvirtTest.libvirtd.stop)


def mine(path: Path) -> dict:
    """An endpoint that belongs to another user and that everyone may connect to."""
    return {**listens(path), "mode": "0666"}


class LibvirtTest(VmTest):
    """A daemon like the service, beside libvirtd, with a guest `vm1`."""
    libvirtd: Libvirtd

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.virsh = cls.libvirtd.virsh
        cls.scratch.chmod(0o755)
        cls.run_folder = cls.scratch / "run"  # as /run/okl4fs
        cls.run_folder.mkdir()
        cls.run_folder.chmod(0o777)

    @classmethod
    def start_daemon_of(cls, socket_path, **more) -> None:
        """Start it with the channels that the tests want."""
        channels = {"echo": echo(), "quiet": echo(),
                    "intervm_test": mine(cls.run_folder / "intervm_test.sock"),
                    "kept": mine(cls.run_folder / "kept.sock")}
        cls.daemon = cls.make_daemon({
            "control": {"path": str(cls.run_folder / "control.sock"), "mode": "0666"},
            "guests": [guest_config("vm1", socket_path, channels, **more)]},
            scratch=cls.run_folder, prefix=cls.libvirtd.service)
        cls._stack.callback(cls.daemon.stop)

    def as_in_the_manual(self, commands: str) -> None:
        """Run commands of docs/libvirt.md in a shell, unchanged."""
        ctl = f"okl4fsctl() {{ {paths.BUILD}/okl4fsctl -s {self.daemon.control_path} \"$@\"; }}\n"
        done = subprocess.run(["sh", "-ex"], input=ctl + commands, text=True, capture_output=True,
                              timeout=120, cwd=self.scratch, check=False,
                              env={**os.environ, "LIBVIRT_DEFAULT_URI": self.libvirtd.uri})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @classmethod
    def printed(cls, *args) -> str:
        """What `okl4fsctl qemu-args vm1` prints."""
        status, output, errors = cls.daemon.ctl("qemu-args", "vm1", *args)
        if status:
            raise AssertionError(errors)
        return output

    @classmethod
    def printed_file(cls, name: str, *args) -> Path:
        """The same in a file."""
        path = cls.scratch / name
        path.write_text(cls.printed(*args), encoding="utf-8")
        return path

    @classmethod
    def boot(cls) -> None:
        """Start a domain of the class as printed."""
        folder = cls.scratch / "domain"
        folder.mkdir()
        cls.domain = Domain(cls.libvirtd, "vm1", cls.printed("--libvirt"), folder)
        cls._stack.callback(cls.domain.close)
        cls._stack.callback(cls._judge_domain)
        cls.domain.start()

    @classmethod
    def _judge_domain(cls) -> None:
        """Its kernel must have found nothing."""
        said = detectors.complaint(cls.domain.console())
        if said:
            raise detectors.Complaint(f"the domain's kernel complains:\n{said}")

    def tearDown(self) -> None:
        super().tearDown()
        result = self._outcome.result
        if any(test is self for test, _ in result.errors + result.failures):
            print(f"-- libvirtd said:\n{self.libvirtd.log()[-3000:]}")
            if hasattr(self, "domain"):
                print(f"-- the domain said:\n{self.domain.console()[-3000:]}")

    def refused(self, pattern: str, *args) -> None:
        """virsh must fail with these words."""
        with self.assertRaisesRegex(VirshFailed, pattern):
            self.virsh(*args)

    def crash(self) -> None:
        """The daemon is killed, and another one starts."""
        self.daemon.kill()
        self.daemon.start()

    def no_save(self) -> None:
        """QEMU cannot save the device; nothing happens to the domain."""
        self.refused("cannot migrate domain: .*vhost-user-fs", "managedsave", "vm1")
        self.assertEqual(self.virsh("domstate", "vm1"), "running")

    def connected(self) -> bool:
        """QEMU has a connection to the daemon."""
        return self.daemon.rpc("guest.list")["guests"][0]["connected"]

    def wait_channels(self) -> None:
        """Wait until the driver offers the channels."""
        deadline = Deadline(60)
        while self.domain.run("test -p /okl4/echo || mkfifo /okl4/echo; : <>/okl4/echo")[0]:
            deadline.check("the device in the guest")


class Define(LibvirtTest):
    """Tests that do not need a guest that boots."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon_of(cls.run_folder / "vm1.sock", socket_group="kvm")
        cls.path = cls.printed_file("printed.xml", "--libvirt")

    def define(self) -> None:
        """Define it, for a test."""
        self.addCleanup(self.undefine)
        self.virsh("define", self.path)

    def undefine(self) -> None:
        """Forget it, if it is known."""
        if self.virsh("list", "--all", "--name"):
            self.virsh("undefine", "vm1")

    def change_guest(self, guest: dict) -> None:
        """Start the daemon again with another configuration of the guest."""
        self.daemon.config["guests"] = [guest]
        self.daemon.write_config()
        self.daemon.restart()

    @contextmanager
    def other_guest(self, **changes):
        """Meanwhile the guest's configuration is another one; None takes a key away."""
        before, = self.daemon.config["guests"]
        self.change_guest({key: value for key, value in {**before, **changes}.items()
                           if value is not None})
        try:
            yield
        finally:
            self.change_guest(before)

    def validate(self, xml: str) -> None:
        """virt-xml-validate must accept it."""
        done = subprocess.run(["virt-xml-validate", "-", "domain"], input=xml, text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_printed_is_valid(self):
        """The domain is valid in both modes, and an invalid domain is found."""
        self.validate(self.printed("--libvirt"))
        with self.assertRaises(AssertionError):
            self.validate(self.printed("--libvirt").replace("'mount'", "'mounted'"))
        with self.other_guest(socket_mode="connect", socket_group=None):
            self.validate(self.printed("--libvirt"))

    def test_starts_as_printed(self):
        """Unchanged; QEMU is then connected, though its firmware finds nothing to boot."""
        self.addCleanup(self.undefine)
        self.as_in_the_manual(manual.examples(MANUAL, "sh", "The domain")[0])
        try:
            self.assertEqual(self.virsh("domstate", "vm1"), "running")
            self.assertTrue(self.connected())
        finally:
            self.virsh("destroy", "vm1")

    def test_manual(self):
        """The XML in the manual is what is printed; its JSON is a guest."""
        words = self.printed("--libvirt").replace(f"{self.run_folder}/vm1.sock", SOCKET).split()
        guest, = manual.examples(MANUAL, "json")
        with self.other_guest(socket_mode="connect", socket_group=None):
            self.daemon.rpc("guest.add", {"guest": {**json.loads(guest), "name": "manual"}})
            status, listens, errors = self.daemon.ctl("qemu-args", "manual", "--libvirt")
            self.assertEqual((status, errors), (0, ""))
        memory, device, commandline = manual.examples(MANUAL, "xml")
        for example, whole in ((memory, words), (device, words), (commandline, listens.split())):
            self.assertIn(" ".join(example.split()), " ".join(whole))

    def test_odd_path(self):
        """A socket whose name is special in XML and to QEMU."""
        with self.other_guest(socket=str(self.run_folder / "a, 'b'=\"c\" & <d>.sock")):
            other = self.printed_file("odd.xml", "--libvirt")
            self.validate(other.read_text(encoding="utf-8"))
            self.virsh("create", other)
            self.assertTrue(self.connected())
            self.virsh("destroy", "vm1")

    def test_ports(self):
        """A guest without the driver: the domain as printed has a port for each channel.

        After a kill of the daemon QEMU connects to the next one.
        """
        with self.other_guest(way="serial", socket=str(self.run_folder / "ports")):
            status, printed, _ = self.daemon.ctl("qemu-args", "vm1", "--libvirt")
            self.assertEqual(status, 0)
            self.validate(printed)
            self.virsh("create", self.printed_file("ports.xml", "--libvirt"))
            try:
                until(self.all_attached, "the ports to be connected", 20)
                self.crash()
                until(self.all_attached, "the ports to be connected again", 20)
            finally:
                self.virsh("destroy", "vm1")
            until(lambda: not self.connected(), "the ports to be let go", 20)

    def all_attached(self) -> bool:
        """Every channel is."""
        return {channel["state"] for channel in self.daemon.rpc("channel.list")["channels"]} == \
            {"attached"}

    def test_without_shared_memory(self):
        """libvirt refuses it."""
        xml = self.path.read_text(encoding="utf-8")
        other = self.scratch / "other.xml"
        other.write_text(xml.replace("<access mode='shared'/>", ""), encoding="utf-8")
        self.refused("'virtiofs' requires shared memory", "define", other)

    def test_without_a_daemon(self):
        """The start is refused, and works when the daemon is there."""
        self.define()
        self.daemon.kill()
        try:
            self.refused("Failed to connect to '.*/vm1.sock': Connection refused", "start", "vm1")
            self.assertEqual(self.virsh("domstate", "vm1"), "shut off")
        finally:
            self.daemon.start()
        self.virsh("start", "vm1")
        self.virsh("destroy", "vm1")

    def test_permissions(self):
        """A socket that QEMU's user may not write to is refused: 0660 without a group."""
        self.define()
        with self.other_guest(socket_group=None):
            self.refused("Failed to connect to '.*/vm1.sock': Permission denied", "start", "vm1")


class Listen(LibvirtTest):
    """A <filesystem>: the daemon listens."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon_of(cls.run_folder / "vm1.sock", socket_group="kvm")
        cls.device = cls.printed_file("filesystem.xml", "--libvirt=filesystem")
        cls.boot()

    def replug(self) -> None:
        """What the manual says to do after a kill, when the daemon is there again."""
        self.as_in_the_manual(manual.examples(MANUAL, "sh", "When the daemon restarts")[0])
        self.wait_channels()

    def test_bytes_both_ways(self):
        """The hashes of what is written are those of what is read."""
        host = HostTool(self.scratch, "stream", f"unix:{self.run_folder}/intervm_test.sock",
                        f"write={8 * MIB}", f"read={8 * MIB}", "seed=1", "read_seed=2")
        self.addCleanup(host.kill)
        in_guest = moved(self.domain.check(
            f"test -p /okl4/intervm_test || mkfifo /okl4/intervm_test; okl4test stream "
            f"/okl4/intervm_test write={8 * MIB} read={8 * MIB} seed=2 read_seed=1", 120))
        status, output = host.wait(60)
        self.assertEqual(status, 0, output)
        self.assertEqual(in_guest["written"], moved(output)["read"])
        self.assertEqual(in_guest["read"], moved(output)["written"])
        self.assertEqual(in_guest["read"][0], 8 * MIB)

    def test_echo_and_cat(self):
        """The fifo in a shell."""
        self.domain.check("test -p /okl4/intervm_test || mkfifo /okl4/intervm_test")
        with socket.socket(socket.AF_UNIX) as host:
            host.settimeout(60)
            host.connect(str(self.run_folder / "intervm_test.sock"))
            host.sendall(b"from the host\n")
            host.shutdown(socket.SHUT_WR)
            self.assertEqual(self.domain.check("cat /okl4/intervm_test"), "from the host\n")
            self.domain.check("echo from the guest > /okl4/intervm_test")
            self.assertEqual(host.makefile("r").read(), "from the guest\n")

    def test_suspend_and_resume(self):
        """A stream stops, and goes on."""
        self.wait_channels()
        command = self.domain.spawn("okl4test seq /okl4/echo records=3000 progress=500")
        command.wait_output("progress 500.", 60)
        self.virsh("suspend", "vm1")
        self.assertEqual(self.virsh("domstate", "vm1"), "paused")
        self.virsh("resume", "vm1")
        status, output = command.wait(60)
        self.assertEqual(status, 0, output)

    def test_no_save(self):
        self.no_save()
        self.wait_channels()

    def test_destroyed_and_started(self):
        """The daemon keeps running, and a new QEMU connects to it."""
        self.crash()
        self.domain.destroy()
        self.domain.start()
        self.wait_channels()
        self.domain.check("okl4test seq /okl4/echo records=500")

    def test_killed_daemon(self):
        """Unplugged and plugged in again, the guest finds the new daemon; what was written and
        closed before is delivered."""
        self.wait_channels()
        self.domain.check("mkfifo /okl4/kept /okl4/quiet; okl4test stream /okl4/kept write=500000 seed=4")
        reader = self.domain.spawn("cat /okl4/quiet")
        writer = self.domain.spawn(SEQ)
        writer.wait_output("progress 500.", 60)
        since = len(self.domain.console())
        self.crash()
        self.domain.wait_console("the host does not answer; setting up again", since)
        self.assertFalse(self.connected() or reader.done() or writer.done())
        self.replug()
        for command in (reader, writer):
            status, output = command.wait(60)
            self.assertNotEqual(status, 0, output)
            self.assertRegex(output.lower(), "i/o error|input/output error")
        status, output = HostTool(self.scratch, "stream", f"unix:{self.run_folder}/kept.sock",
                                  "read=eof", "seed=4").wait(60)
        self.assertEqual(status, 0, output)
        self.assertEqual(moved(output)["read"][0], 500000)
        self.domain.check("okl4test seq /okl4/echo records=500")

    def test_killed_daemon_and_reset(self):
        """A reset of the guest alone does not make QEMU reconnect; the steps of the manual work after it."""
        self.crash()
        since = len(self.domain.console())
        self.domain.reset()
        self.domain.wait_console("the host does not answer yet", since)
        self.assertFalse(self.connected())
        self.replug()
        self.domain.check("okl4test seq /okl4/echo records=500")

    def test_plugged_in_too_early_or_twice(self):
        """Without a daemon, or where the device is already, nothing is plugged in."""
        self.virsh("detach-device", "vm1", self.device, "--live")
        self.daemon.kill()
        self.refused("Failed to connect to .*: Connection refused",
                     "attach-device", "vm1", self.device, "--live")
        self.daemon.start()
        self.virsh("attach-device", "vm1", self.device, "--live")
        self.refused("vhost_backend_init failed", "attach-device", "vm1", self.device, "--live")
        self.wait_channels()
        self.domain.check("okl4test seq /okl4/echo records=500")


class Kept(LibvirtTest):
    """A <filesystem> of a daemon whose service manager keeps its connections."""

    @classmethod
    def make_daemon(cls, config: dict, **options) -> Daemon:
        manager = Manager(cls.run_folder / "notify")
        cls._stack.callback(manager.close)
        os.chmod(manager.path, 0o777)
        return ManagedDaemon(config, manager, **options)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon_of(cls.run_folder / "vm1.sock", socket_group="kvm")
        cls.boot()

    def test_killed_daemon_is_not_noticed(self):
        """A stream goes on, and neither QEMU nor the guest's driver sets anything up again."""
        self.wait_channels()
        since = len(self.domain.console())
        command = self.domain.spawn(SEQ)
        for progress in (500, 5000, 10000):
            command.wait_output(f"progress {progress}.", 60)
            self.daemon.kill()
            self.daemon.start()
        status, output = command.wait(120)
        self.assertEqual(status, 0, output)
        self.assertEqual(self.domain.console()[since:], "")
        self.assertEqual(self.daemon.log().count("the frontend of the former process is taken up"), 3)
        self.assertNotIn("the frontend has left", self.daemon.log())


class FromReadme(LibvirtTest):
    """README.md, "With libvirt": typed as it stands there, with the package's configuration."""

    # What the system's programs are here; the files and the service of /etc are those of this test
    PROGRAMS = """\
okl4fsctl() { "$BUILD/okl4fsctl" -s "$RUN/control.sock" "$@"; }
systemctl() { [ "$*" = "reload okl4fsd" ] && okl4fsctl reload; }
sudo() { "${@/\\/etc\\/okl4fs/$RUN}"; }
"""

    def typed(self, commands: str) -> str:
        """Type commands; what they print."""
        done = subprocess.run(["bash", "-e", "-c", self.PROGRAMS + commands], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                              cwd=self.scratch, check=False,
                              env={**os.environ, "LIBVIRT_DEFAULT_URI": self.libvirtd.uri,
                                   "BUILD": str(paths.BUILD), "RUN": str(self.run_folder)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_first_channel(self):
        """A domain that knows nothing of okl4fs gets it; its QEMU runs as libvirt-qemu."""
        path = self.run_folder / "okl4fsd.json"
        shipped = (paths.ROOT / "conf/okl4fsd.json").read_text(encoding="utf-8")
        path.write_text(shipped.replace("/run/okl4fs", str(self.run_folder)), encoding="utf-8")
        type(self).daemon = self.make_daemon({"control": {"path": f"{self.run_folder}/control.sock"}},
                                             scratch=self.run_folder, prefix=self.libvirtd.service)
        self._stack.callback(self.daemon.stop)
        status, domain, errors = self.daemon.ctl("qemu-args", "default", "--libvirt")
        self.assertEqual((status, errors), (0, ""))
        for element in ("memoryBacking", "filesystem"):
            domain = re.sub(rf"(?s)\s*<{element}.*?</{element}>", "", domain)
        folder = self.scratch / "domain"
        folder.mkdir()
        type(self).domain = Domain(self.libvirtd, "vm1", domain.replace(">default<", ">vm1<"), folder)
        self._stack.callback(self.domain.close)

        install, let_in, give = manual.examples("README.md", "sh", "With libvirt")
        self.assertEqual(install, manual.examples("README.md", "sh", "With QEMU")[0])
        _, write, read = manual.examples("README.md", "sh", "In the guest")
        self.typed(let_in)
        self.typed(give)
        self.domain.started()
        self.domain.check("mknod /okl4/intervm_test p")  # the package mounts with `populate`
        self.domain.check(write)
        self.assertEqual(self.typed(read), "hello\n")


class Connect(LibvirtTest):
    """A <qemu:commandline>: QEMU listens, in a folder that both can use, as in the manual."""
    SOCKET = "/run/okl4fs-qemu/vm1.sock"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.start_daemon_of(cls.SOCKET, socket_mode="connect")
        cls.boot()

    def test_killed_daemon(self):
        """The stream goes on by itself, and nothing is lost."""
        self.wait_channels()
        command = self.domain.spawn(SEQ)
        command.wait_output("progress 500.", 60)
        self.crash()
        status, output = command.wait(120)
        self.assertEqual(status, 0, output[-500:])
        self.assertIn("records 20000 ", output)

    def test_no_save(self):
        self.no_save()

    def test_start_before_the_daemon(self):
        """virsh waits."""
        self.domain.destroy()
        self.daemon.signal(15)
        self.assertEqual(self.daemon.wait(), 0)
        self.assertEqual(self.libvirtd.run("rm", "-f", self.SOCKET), 0)
        deadline = Deadline(60)
        with ThreadPoolExecutor(1) as pool:
            started = pool.submit(self.domain.start)
            while self.libvirtd.run("test", "-S", self.SOCKET) and not started.done():
                deadline.check("QEMU to listen")
                select.select([], [], [], 0.02)
            self.daemon.start()
            started.result()
        self.wait_channels()

    def test_reset(self):
        """After a kill, too."""
        self.crash()
        self.domain.reset()
        self.wait_channels()
        self.domain.check("okl4test seq /okl4/echo records=500")
