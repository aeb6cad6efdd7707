# SPDX-License-Identifier: BSD-3-Clause
"""A Debian system in a folder: run commands in it, or boot it with systemd, by systemd-nspawn.

    from container import Container, image

    with Container(image.unpack(image.base(["systemd-sysv"]), scratch / "root")) as system:
        system.check("apt-get install -y /srv/okl4fs.deb")      # as in a chroot
        system.boot()
        system.check("systemctl is-active okl4fsd.service")     # in the running system

It has no network, and needs root.
"""
import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
from pathlib import Path

from vm.process import Deadline, Process, Timeout, remove_scratch, scratch_dir

NSPAWN = Path(__file__).with_name("nspawn")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


class ContainerError(Exception):
    """A command failed in the system, or it did not boot."""


class Entered(Process):
    """A command in a system that runs. nsenter is its parent, outside of the system."""

    def kill(self) -> int:
        """End it before nsenter: only that can reap it, and the system waits for it at its end."""
        if self.poll() is None:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for pid in children.read_text(encoding="ascii").split():
                    os.kill(int(pid), signal.SIGKILL)
                    select.select([self.pidfd], [], [], 10)
        return super().kill()


class Container:
    """The system in the folder `root`, which is kept.

    binds: {folder of the host: where it is seen in the system}; not below /run of the host
    """

    def __init__(self, root: Path, binds: dict[Path, str] | None = None):
        if os.getuid():
            raise ContainerError("systems in containers need root: sudo ./dev test")
        self.root = root
        self.scratch = scratch_dir()
        self._options = ["--directory", str(root), "--resolv-conf=off",
                         "--timezone=off", "--link-journal=no",
                         *(f"--bind={here}:{there}" for here, there in (binds or {}).items())]
        self._process: Process | None = None
        self._leader = ""

    # Commands

    def spawn(self, command: str, **popen_options) -> Process:
        """Start a command of sh as root; by default its output is ours."""
        env = [f"{key}={value}" for key, value in ENVIRONMENT.items()]
        kind = Entered if self._process else Process
        if self._process:
            argv = ["nsenter", "--target", self._leader, "--all", "env", "-i", *env]
        else:
            argv = [NSPAWN, *self._options, "--as-pid2", "--console=pipe",
                    *(f"--setenv={setting}" for setting in env)]
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **popen_options}
        return kind([*argv, "sh", "-c", command], **options)

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Run a command of sh as root; (status, output). One that takes too long is killed."""
        path = self.scratch / "output"
        with open(path, "wb") as file:
            process = self.spawn(command, stdout=file)
        try:
            status = process.wait(timeout)
        except Timeout as error:
            raise Timeout(f"{command}: {error}\n{path.read_text(errors='replace')}") from None
        finally:
            process.kill()
        return status, path.read_text(encoding="utf-8", errors="replace")

    def check(self, command: str, timeout: float = 60) -> str:
        """Run a command that must succeed; its output."""
        status, output = self.run(command, timeout)
        if status:
            raise ContainerError(f"{command}: exit status {status}\n{output[-6000:]}{self.log()}")
        return output

    def path(self, path: str) -> Path:
        """A file of the system, not below what is mounted there when it runs (/run, /tmp): seen()."""
        return self.root / path.lstrip("/")

    def seen(self, path: str) -> Path:
        """A file of the running system, as its processes see it: to open it, or connect to it."""
        return Path(f"/proc/{self._leader}/root{path}")

    # The system

    def boot(self, timeout: float = 120) -> None:
        """Boot it; returns when everything has started."""
        ready = self.scratch / "ready"
        ready.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified, \
                open(self.scratch / "console", "wb") as console:
            notified.bind(str(ready))
            self._process = Process([NSPAWN, *self._options, "--boot", "--notify-ready=yes",
                                     "--console=read-only", "--kill-signal=SIGRTMIN+4"],
                                    stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                    env={**os.environ, "NOTIFY_SOCKET": str(ready)})
            deadline, said = Deadline(timeout), b""
            try:
                while b"\nREADY=1\n" not in b"\n" + said + b"\n":
                    notified.settimeout(max(0.001, deadline.left_s()))
                    said += notified.recv(4096) + b"\n"
            except TimeoutError:
                raise ContainerError(f"the system does not boot{self.log()}") from None
        self._leader, = [line.partition("=")[2] for line in said.decode().splitlines()
                         if line.startswith("X_NSPAWN_LEADER_PID=")]

    def shut_down(self, timeout: float = 60) -> None:
        """Power it off."""
        self.run("systemctl poweroff --no-block")
        self._process.wait(timeout)
        self._process = None

    def log(self) -> str:
        """The console's output, for people."""
        path = self.scratch / "console"
        return "\n-- console:\n" + path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def close(self) -> None:
        """End it."""
        if self._process:
            self._process.stop(30)
            self._process = None
        remove_scratch(self.scratch)

    def __enter__(self) -> "Container":
        return self

    def __exit__(self, *_unused) -> None:
        self.close()


def quoted(*words) -> str:
    """Words of a command of sh."""
    return shlex.join(map(str, words))
