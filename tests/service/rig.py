# SPDX-License-Identifier: BSD-3-Clause
"""A host that runs systemd and has the package okl4fs; our guests run beside it.

The host is a container. Guests are frontends in this program, which reach the daemon in the container
through a unix socket and memfds, as QEMU does.
"""
import json
import os
import re
import shutil
import sys
import unittest
from pathlib import Path

from container import Container, image as images
from vm.process import Deadline, remove_scratch, scratch_dir

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "package"), str(TESTS / "frontend")]

import debs  # noqa: E402
import image  # noqa: E402
from guest_end import Channel, Driver  # noqa: E402
from memory import Memory  # noqa: E402
from vhost_user import Dropped, Frontend, Ring  # noqa: E402

RING_BYTES = 65536
CONFIG = "/etc/okl4fs/okl4fsd.json"
CHANNELS = [{"name": "echo", "ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}},
            {"name": "out", "ring_bytes": RING_BYTES, "endpoint": {
                "type": "unix-listen", "path": "/run/okl4fs/out.sock", "mode": "0660"}}]


def guest(name: str, folder: str = "/run/okl4fs", channels=None, **more) -> dict:
    """A guest of a configuration."""
    return {"name": name, "socket": f"{folder}/{name}.sock",
            "channels": CHANNELS[:1] if channels is None else channels, **more}


class GuestEnd:
    """A guest: a frontend, its driver, and channel ends; daemons come and go."""

    def __init__(self, socket_path: Path):
        self.path = socket_path
        self.memory = Memory()
        self.frontend = self._connect(20)
        if self.frontend.set_memory():
            raise RuntimeError("the memory table was refused")
        self.frontend.rings = [Ring(self.memory) for _ in range(2)]
        self.frontend.start_rings()
        self.driver = Driver(self.frontend)
        self.driver.on_greet = self._greet
        self._greeted = 0
        self.driver.hello()
        self.channels: list[Channel] = []

    def _connect(self, limit_s: float) -> Frontend:
        """Connect a frontend as soon as there is a daemon that has noticed that the last one left."""
        deadline = Deadline(limit_s)
        while True:
            try:
                frontend = Frontend(self.path, self.memory)
                frontend.handshake()
                return frontend
            except (OSError, Dropped):
                deadline.check("the daemon to take a frontend")

    def channel(self, name: str) -> Channel:
        """An open channel."""
        self.channels.append(Channel(self.driver, name, instance=len(self.channels) + 1)
                             .attach().open())
        return self.channels[-1]

    def _greet(self) -> None:
        """The host is another process: HELLO, and all channels are attached again."""
        self._greeted += 1
        self.driver.hello()
        for channel in self.channels:
            channel.attach()

    def come_back(self, limit_s: float = 20) -> None:
        """Do what a driver does that has a new daemon, which has taken up this connection."""
        deadline, before = Deadline(limit_s), self._greeted
        while self._greeted == before:
            deadline.check("the new daemon's greeting")
            try:
                self.driver.wait_event(deadline.left_s())
            except TimeoutError:
                continue
            self.driver.rung.clear()

    def close(self) -> None:
        """Disconnect."""
        self.frontend.close()


class HostTest(unittest.TestCase):
    """A class of tests on one host; okl4fs is not installed yet.

    BINDS: folders of this machine that the host sees
    """
    BINDS: dict[Path, str] = {}

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, cls.scratch)
        made = debs.build()
        root = images.unpack(image.base(made), cls.scratch / "root")
        for name in ("okl4fs", "python3-okl4fs"):
            shutil.copy(made[name], root / f"srv/{name}.deb")
        cls.debs = made
        cls.host = Container(root, cls.BINDS)
        cls.addClassCleanup(cls.host.close)
        cls.host.boot()

    # The host

    def show(self, prop: str, unit: str = "okl4fsd.service") -> str:
        """A property of a unit."""
        return self.host.check(f"systemctl show --value -p {prop} '{unit}'").strip()

    def wait_show(self, prop: str, value: str, unit: str = "okl4fsd.service",
                  limit_s: float = 30) -> None:
        """Wait until a property has a value (a regular expression)."""
        deadline = Deadline(limit_s)
        while not re.fullmatch(value, now := self.show(prop, unit)):
            deadline.check(f"{prop} of {unit} to be {value!r} and not {now!r}")

    def leader(self) -> str:
        """The host's first process, as we see it."""
        return self.host._leader

    def pid(self, unit: str = "okl4fsd.service") -> int:
        """A service's main process, as we see it and not as the host does."""
        inside = self.show("MainPID", unit)
        space = os.stat(f"/proc/{self.leader()}/ns/pid").st_ino
        for process in Path("/proc").glob("[0-9]*"):
            try:
                text = (process / "status").read_text(encoding="utf-8")
                if (f"\t{inside}\n" in text[text.index("\nNSpid:"):].split("\nNSpgid")[0] + "\n" and
                        os.stat(process / "ns/pid").st_ino == space):
                    return int(process.name)
            except (OSError, ValueError):
                continue
        raise ProcessLookupError(f"{unit} has no process {inside}")

    def status(self, unit: str = "okl4fsd.service") -> dict[str, str]:
        """/proc/PID/status of a service."""
        lines = Path(f"/proc/{self.pid(unit)}/status").read_text(encoding="utf-8").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def journal(self, *matches: str, unit: str = "okl4fsd.service") -> list[dict]:
        """The daemon's journal entries."""
        self.host.check("journalctl --sync")
        out = self.host.check(f"journalctl -o json --no-pager _SYSTEMD_UNIT={unit} "
                              f"SYSLOG_IDENTIFIER=okl4fsd {' '.join(matches)}")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def wait_journal(self, text: str, *matches: str, unit: str = "okl4fsd.service") -> dict:
        """Wait for an entry whose message holds a text; the last one."""
        deadline = Deadline(20)
        while True:
            found = [entry for entry in self.journal(*matches, unit=unit)
                     if text in entry["MESSAGE"]]
            if found:
                return found[-1]
            deadline.check(f"the journal to hold {text!r}")

    def configure(self, config: dict, path: str = CONFIG) -> None:
        """Write a configuration."""
        self.host.path(path).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")

    def drop_in(self, text: str | None, unit: str = "okl4fsd.service") -> None:
        """Change a unit, or undo the change; restart its service."""
        folder = self.host.path(f"/etc/systemd/system/{unit}.d")
        shutil.rmtree(folder, ignore_errors=True)
        if text is not None:
            folder.mkdir(parents=True)
            (folder / "test.conf").write_text(text, encoding="utf-8")
        self.host.check(f"systemctl daemon-reload && systemctl restart '{unit}'")

    # Guests

    def guest(self, name: str = "vm1", folder: str = "/run/okl4fs") -> GuestEnd:
        """A guest with its driver."""
        end = GuestEnd(Path(f"/proc/{self.leader()}/root{folder}/{name}.sock"))
        self.addCleanup(end.close)
        return end


__all__ = ["CHANNELS", "CONFIG", "GuestEnd", "HostTest", "RING_BYTES", "guest"]
