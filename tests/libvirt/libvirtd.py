# SPDX-License-Identifier: BSD-3-Clause
"""A private libvirtd for a test."""
import os
import select
import subprocess
from pathlib import Path

from vm.process import Deadline, Process, Timeout

ALONE = Path(__file__).with_name("alone")


class VirshFailed(Exception):
    """virsh or libvirtd has refused a command."""


class Libvirtd:
    """A libvirtd in name spaces of its own (see `alone`); stop() ends it with all its domains.

    folder: for its socket and its log
    tmpfile: a line of tmpfiles.d(5) for a folder to make
    uri: its connection URI
    service: the first words of a command that is to be run there as okl4fsd.service is
    """

    def __init__(self, folder: Path, tmpfile: str):
        self._log = folder / "libvirtd.log"
        self.uri = f"qemu:///system?socket={folder}/libvirt-sock"
        alone = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"]
        enter = ["nsenter", "--mount"]
        if os.getuid():
            alone += ["--map-auto", "--map-root-user"]
            enter += ["--user"]
        out_read, out_write = os.pipe()
        in_read, self._hold = os.pipe()
        with open(folder / "alone.log", "wb") as log:
            self._process = Process([*alone, ALONE, folder, tmpfile], stdin=in_read, stdout=out_write,
                                    stderr=log)
        os.close(in_read)
        os.close(out_write)
        try:
            self._wait_ready(out_read)
        except BaseException:
            self._process.kill()
            raise
        finally:
            os.close(out_read)
        pid = self._process.pid
        first, = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        self._enter = [*enter, "--target", first, "--"]
        self.service = [*self._enter, "setpriv", "--reuid=okl4fs", "--regid=okl4fs",
                        "--groups=kvm", "--pdeathsig=KILL", "--"]

    def _wait_ready(self, out: int) -> None:
        """Wait until it is ready."""
        deadline = Deadline(60)
        poller = select.poll()
        poller.register(out, select.POLLIN)
        if not poller.poll(deadline.left_s() * 1000):
            raise Timeout(f"libvirtd: not ready within {deadline.seconds:g} s\n{self.log()}")
        if os.read(out, 64) != b"ready\n":
            raise VirshFailed(f"libvirtd did not start\n{self.log()}")

    def log(self) -> str:
        """Its output so far."""
        paths = (self._log.with_name("alone.log"), self._log)
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def run(self, *argv) -> int:
        """Run a short command there, as root; its status."""
        return subprocess.run([*self._enter, *argv], stdin=subprocess.DEVNULL, timeout=60,
                              check=False).returncode

    def virsh(self, *args, timeout: float = 60) -> str:
        """Run virsh; its output. If libvirt refuses, a VirshFailed has its message."""
        done = subprocess.run(["virsh", "--quiet", "--connect", self.uri, *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout * Deadline.slower, check=False)
        if done.returncode:
            raise VirshFailed(done.stderr.strip())
        return done.stdout.strip()

    def stop(self) -> None:
        """End it, and all that it has started."""
        os.close(self._hold)
        try:
            self._process.wait(20)
        except Timeout:
            self._process.kill()
