# SPDX-License-Identifier: BSD-3-Clause
"""okl4fs on a host that runs: installed, upgraded, removed and installed again under a running guest.

The host is a Debian with systemd in a container. The guest's QEMU runs beside it and shares a folder of
sockets with it; it listens, and the daemon reconnects (socket_mode `connect`).
"""
import hashlib
import json
import os
import random
import shutil
import socket
import threading
import unittest

from container import Container, image as images
from vm import Guest, guest_config
from vm.base import VmTest, echo
from vm.process import Deadline

import debs
import image

TIMEOUT_S = 1200
APT = "apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold"
OLD = "0.0.1-1"

# Small, so that what a test has written has also come out again
RING_BYTES = 65536

# A guest goes on within this: the driver looks once a second, and backs off
HEALING_S = 60


class Pump(threading.Thread):
    """Writes bytes to a command in the guest until end(); keeps their hash."""

    def __init__(self, command):
        super().__init__(daemon=True)
        self.sum, self.bytes = hashlib.sha256(), 0
        self._command, self._random = command, random.Random(7)
        self._last, self._error = threading.Event(), None
        self.start()

    def run(self):
        try:
            while not self._last.is_set():
                piece = self._random.randbytes(8192)
                self._command.write(piece, HEALING_S)
                self.sum.update(piece)
                self.bytes += len(piece)
            self._command.close_input()
        except Exception as error:  # told by end()
            self._error = error

    def end(self) -> None:
        """No more bytes."""
        self._last.set()
        self.join()
        if self._error:
            raise self._error


class Upgrade(VmTest):
    """The tests are steps, in the order of their numbers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = cls.scratch / "shared"
        cls.shared.mkdir()
        cls.debs = debs.build()
        cls.new = debs.field(cls.debs["okl4fs"], "Version")
        root = images.unpack(image.base(cls.debs), cls.scratch / "root")
        cls.repository = root / "srv/repository"
        cls.repository.mkdir()
        (root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repository ./\n")
        cls.host = cls._stack.enter_context(Container(root, {cls.shared: "/srv/vm"}))
        cls.host.boot()
        # The shipped configuration changes from one version to the next, and so does a document.
        debs.predecessor(cls.debs["okl4fs"], cls.repository, OLD, {
            "etc/okl4fs/okl4fsd.json": "// as the predecessor had it\n",
            "usr/share/doc/okl4fs/qemu.md": "As the predecessor had it.\n"})
        cls.publish()
        cls.host.check(f"{APT} install okl4fs", 120)

    @classmethod
    def publish(cls) -> None:
        """Put packages into the repository that apt uses."""
        cls.host.check("cd /srv/repository && dpkg-scanpackages -m . >Packages 2>/dev/null && "
                       "apt-get -q update", 60)

    def tearDown(self) -> None:
        if any(test is self for test, _ in self._outcome.result.errors + self._outcome.result.failures):
            print(self.host.run("journalctl --no-pager -u 'okl4fsd*' | tail -n 60")[1])
            for guest in self._guests:
                print(guest.console()[-3000:])

    def main_pid(self, unit: str = "okl4fsd.service") -> int:
        """The daemon's process, by systemd; its program is the one that is installed."""
        pid = int(self.host.check(f"systemctl show -P MainPID {unit}"))
        self.assertEqual(self.host.check(f"readlink /proc/{pid}/exe"), "/usr/sbin/okl4fsd\n")
        return pid

    def settled(self) -> None:
        """systemd has finished starting, and nothing has failed."""
        self.assertEqual(self.host.run("systemctl is-system-running --wait"), (0, "running\n"))

    def sends(self) -> None:
        """Bytes still go through the stream: more than all buffers on the way can hold."""
        deadline, before = Deadline(HEALING_S), self.pump.bytes
        while self.pump.bytes < before + 10 * RING_BYTES:
            deadline.check("the stream to go on")
            self.pump.join(0.05)
            self.assertTrue(self.pump.is_alive(), "the stream has ended")

    def test_01_installed(self):
        """The service runs, as its own user, and answers; a user of its group may ask it."""
        self.settled()
        self.host.check("systemctl is-active okl4fsd.service")
        self.assertEqual(self.host.check(f"stat -c %U /proc/{self.main_pid()}"), "okl4fs\n")
        self.host.check("useradd alice && useradd bob && usermod -a -G okl4fs alice")
        self.assertIn("default", self.host.check("runuser -u alice -- okl4fsctl guests"))
        status, said = self.host.run("runuser -u bob -- okl4fsctl guests")
        self.assertIn("Permission denied", said)
        self.assertEqual(status, 3)
        self.assertEqual(self.host.check("stat -c %U:%G /run/okl4fs"), "okl4fs:okl4fs\n")

    def test_02_configuration_of_a_new_version(self):
        """A configuration that was not changed follows the package, without a question."""
        self.assertIn("predecessor", self.host.check("tail -n 1 /etc/okl4fs/okl4fsd.json"))
        shutil.copy(self.debs["okl4fs"], self.repository)
        self.publish()
        self.host.check(f"{APT} upgrade", 120)
        self.assertNotIn("predecessor", self.host.check("tail -n 1 /etc/okl4fs/okl4fsd.json"))
        self.host.check(f"{APT} install --allow-downgrades okl4fs={OLD}", 120)
        self.assertEqual(self.host.check("dpkg-query -W -f '${Version}' okl4fs"), OLD)

    def test_03_start_a_guest(self):
        """By hand: an instance beside the service; a configuration, a reload, a guest, a stream."""
        self.host.path("/etc/okl4fs/two.json").write_text(json.dumps(
            {"control": {"path": "/run/okl4fs/two/control.sock"}, "guests": [guest_config(
                "vm", "/run/okl4fs/two/vm.sock", {"echo": echo()})]}))
        # As a version that keeps no connections has it
        drop_in = self.host.path("/etc/systemd/system/okl4fsd@two.service.d/old.conf")
        drop_in.parent.mkdir()
        drop_in.write_text("[Service]\nFileDescriptorStoreMax=0\n")
        self.host.check("systemctl daemon-reload && systemctl enable --now okl4fsd@two.service")
        config = {"control": {"path": "/run/okl4fs/control.sock"}, "guests": [guest_config(
            "vm", "/srv/vm/vm.sock",
            {"echo": {"ring_bytes": RING_BYTES, "endpoint": echo()}},
            socket_mode="connect")]}
        path = self.host.path("/etc/okl4fs/okl4fsd.json")
        path.write_text(json.dumps(config))
        self.host.check("systemctl reload okl4fsd.service")
        type(self).guest = guest = self._stack.enter_context(
            Guest(self.shared / "vm.sock", serve=True, way="fs", smp=2, wait=False))
        self._guests.append(guest)
        deadline = Deadline(30)
        while not (self.shared / "vm.sock").exists():
            deadline.check("QEMU's socket")
        os.chmod(self.shared / "vm.sock", 0o666)
        guest.wait_ready()
        guest.check("mkfifo /okl4/echo")
        type(self).command = guest.spawn(
            "exec 3<&0; cat <&3 >/okl4/echo & sha256sum </okl4/echo; wait", stdin=True)
        type(self).pump = Pump(self.command)
        self.sends()

    def test_04_upgrade(self):
        """apt upgrade: the new daemon runs, the configuration is as it was, the stream goes on.

        The instance is left as it is, since it has a guest whose QEMU would not reconnect.
        """
        old, two = self.main_pid(), self.main_pid("okl4fsd@two.service")
        frontend = socket.socket(socket.AF_UNIX)
        self.addCleanup(frontend.close)
        frontend.connect(str(self.host.seen("/run/okl4fs/two/vm.sock")))
        deadline = Deadline(30)
        while '"connected": true' not in self.host.check(
                "okl4fsctl -s /run/okl4fs/two/control.sock --json guests"):
            deadline.check("the instance to see its frontend")
        self.assertIn(OLD, self.host.check("apt-get -s -V upgrade"))
        said = self.host.check(f"{APT} upgrade", 120)
        self.assertEqual(self.host.check("dpkg-query -W -f '${Version}' okl4fs"), self.new, said)
        self.assertNotEqual(self.main_pid(), old)
        self.assertEqual(said.count("is not restarted"), 1, said)
        self.assertIn("okl4fs: okl4fsd@two.service is not restarted", said)
        self.assertEqual(self.host.check("pidof okl4fsd").split().count(str(two)), 1)
        self.assertIn("/srv/vm/vm.sock", self.host.check("cat /etc/okl4fs/okl4fsd.json"))
        self.settled()
        self.sends()

    def test_05_upgrade_again(self):
        """When that guest has gone, its instance is restarted like any other."""
        two = self.host.check("systemctl show -P MainPID okl4fsd@two.service")
        shutil.rmtree(self.host.path("/etc/systemd/system/okl4fsd@two.service.d"))
        said = self.host.check(f"{APT} install --reinstall okl4fs", 120)
        self.assertNotIn("is not restarted", said)
        self.assertNotEqual(f"{self.main_pid('okl4fsd@two.service')}\n", two)
        self.sends()

    def test_06_removed_and_installed_again(self):
        """Without a daemon the stream waits; with the next one it goes on."""
        self.host.check(f"{APT} remove okl4fs", 120)
        self.assertEqual(self.host.run("pidof okl4fsd")[0], 1)
        self.assertNotEqual(self.host.run("test -S /run/okl4fs/control.sock")[0], 0)
        self.host.check(f"{APT} install okl4fs", 120)
        self.settled()
        self.sends()

    def test_07_nothing_lost_or_doubled(self):
        """What came out of the stream is what was put in, from the first byte to the last."""
        self.pump.end()
        status, output = self.command.wait(HEALING_S)
        self.assertEqual((status, output.split()[:1]), (0, [self.pump.sum.hexdigest()]), output)
        print(f"{self.pump.bytes >> 20} MiB went through four daemons")

    def test_08_purge(self):
        """Everything stops, and only the administrator's files are left; the host has no failed units."""
        self.host.check("systemctl start okl4fsd@two.service && "
                        "systemctl disable okl4fsd@two.service okl4fsd@two.socket")
        self.host.check(f"{APT} purge okl4fs", 120)
        self.assertEqual(self.host.run("pidof okl4fsd")[0], 1)
        left = self.host.check("find / -xdev -name '*okl4fs*' -not -path '/proc/*' -not -path '/srv/*' "
                               "-not -path '/var/lib/apt/*' -not -path '/var/cache/*'; "
                               "ls -d /run/okl4fs /etc/okl4fs/* 2>/dev/null || true")
        self.assertEqual(left, "/etc/okl4fs\n/etc/okl4fs/two.json\n")
        self.settled()


if __name__ == "__main__":
    unittest.main()
