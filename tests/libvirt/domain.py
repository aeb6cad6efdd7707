# SPDX-License-Identifier: BSD-3-Clause
"""A domain that boots our guest: what okl4fsctl prints, with a kernel and an agent pasted into it."""
import os
import signal
import socket
from pathlib import Path

from vm import initramfs, kernel as kernels
from vm.agent import Agent, Command, CommandFailed
from vm.process import Deadline, Timeout
from vm.pump import Pump

from libvirtd import Libvirtd


def paste(domain: str, before: str, lines: str) -> str:
    """Put lines into a text, before a line of it."""
    at = domain.index(before)
    return domain[:at] + lines + domain[at:]


class Domain:
    """A domain with our kernel, initramfs and agent. start() and destroy() as often as wanted.

    printed: a domain as okl4fsctl prints it
    folder: for its files; the user that runs QEMU may read them
    """

    def __init__(self, libvirtd: Libvirtd, name: str, printed: str, folder: Path):
        self.name = name
        self.console_path = folder / "console"
        self.path = folder / "domain.xml"
        self._libvirtd = libvirtd
        self._agent: Agent | None = None
        self._pump: Pump | None = None
        kernel = kernels.get(kernels.DEFAULT)
        (folder / "vmlinuz").write_bytes(kernel.vmlinuz.read_bytes())
        (folder / "initrd").write_bytes(initramfs.build(kernel, kernels.module(kernel), ()))
        self.console_path.touch()
        self.console_path.chmod(0o666)  # libvirt makes QEMU's user its owner
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "agent.sock"))
        os.chmod(folder / "agent.sock", 0o666)
        self._listener.listen()
        self.path.write_text(self._bootable(printed, folder), encoding="utf-8")
        libvirtd.virsh("define", self.path)

    @staticmethod
    def _bootable(printed: str, folder: Path) -> str:
        """The printed domain, with a kernel, a console and a port for the agent added; no line is changed."""
        printed = paste(printed, "  </os>", f"""\
    <kernel>{folder}/vmlinuz</kernel>
    <initrd>{folder}/initrd</initrd>
    <cmdline>console=ttyS0 loglevel=7 oops=panic panic=-1</cmdline>
""")
        return paste(printed, "  </devices>", f"""\
    <serial type='file'>
      <source path='{folder}/console' append='on'/>
    </serial>
    <channel type='unix'>
      <source mode='connect' path='{folder}/agent.sock'/>
      <target type='virtio' name='okl4fs.agent'/>
    </channel>
""")

    def start(self) -> None:
        """Start it and wait until it has mounted /okl4."""
        self._libvirtd.virsh("start", self.name)
        self.started()

    def started(self) -> None:
        """Somebody has started it: wait until it has mounted /okl4."""
        self._pump = Pump()
        self._agent = Agent(self._pump)
        self._listener.settimeout(Deadline(30).left_s())
        self._pump.add(self._agent, self._listener.accept()[0])
        self._agent.synchronise()
        self._pump.start()
        self._wait_ready()

    def _wait_ready(self) -> None:
        """Wait until it runs commands, then load the driver and mount /okl4."""
        try:
            self._agent.wait(lambda: self._agent.ready, 120, "boot")
        except Timeout as error:
            raise Timeout(f"{error}\n{self.console()[-3000:]}") from None
        self.check("insmod /lib/okl4fs.ko && mkdir -p /okl4 && mount -t okl4fs okl4fs /okl4")

    def reset(self) -> None:
        """Press its reset button, and wait until it has mounted /okl4 again."""
        since = len(self.console())
        self._libvirtd.virsh("reset", self.name)
        self.wait_console("Linux version", since)
        self._agent.synchronise()
        self._wait_ready()

    def destroy(self) -> None:
        """Power it off hard."""
        if self._pump:
            self._pump.close()
            self._pump = None
            self._libvirtd.virsh("destroy", self.name)

    def close(self) -> None:
        """Remove it."""
        self.destroy()
        self._listener.close()
        self._libvirtd.virsh("undefine", self.name)

    def spawn(self, command: str) -> Command:
        """Start a command; it runs beside others until Command.wait()."""
        return self._agent.start(command, False, False, None)

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """Run a command with sh; (status, output). One that takes too long is killed."""
        handle = self.spawn(command)
        try:
            return handle.wait(timeout)
        except Timeout:
            handle.signal(signal.SIGKILL)
            raise

    def check(self, command: str, timeout: float = 60) -> str:
        """Run a command that must succeed; its output."""
        status, output = self.run(command, timeout)
        if status:
            raise CommandFailed(f"`{command}`: status {status}: {output}")
        return output

    def console(self) -> str:
        """The output of its kernel so far."""
        return self.console_path.read_text(errors="replace").replace("\r", "")

    def wait_console(self, text: str, since: int, timeout: float = 60) -> None:
        """Wait until its kernel has printed `text` after the first `since` characters."""
        deadline = Deadline(timeout)
        while text not in self.console()[since:]:
            deadline.check(f"console to show {text!r}")
            with self._pump.changed:  # there is no event when a file grows: look again soon
                self._pump.changed.wait(min(0.05, deadline.left_s()))
