# SPDX-License-Identifier: BSD-3-Clause
"""A guest: QEMU with a stock kernel, our driver, and an agent that runs commands."""
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import accel as accelerators
from . import initramfs, kernel as kernels, qemu
from .agent import Agent, Command, CommandFailed
from .process import Deadline, Process, Timeout, remove_scratch, scratch_dir
from .pump import Pump
from .qmp import Qmp, QmpError


@dataclass(frozen=True)
class Disk:
    """A system to boot instead of ours, with the agent as a service. Its writes are discarded."""
    vmlinuz: Path
    initrd: Path
    image: Path


SELF_TEST = "Running RCU-tasks wait API self tests"
# QEMU 10.0 with TCG: a CPU uses the machine's memory map while another one changes it.
QEMU_RACE = "Assertion `section_index < d->map.sections_nb' failed"


class GuestError(Exception):
    """The guest or its QEMU has failed."""


class Guest:
    """A running guest. Use it as a context manager, or call stop().

    socket: the daemon's vhost-user socket; None boots without our device
    serve: QEMU listens on the socket and waits for the daemon (the daemon's mode `connect`)
    way: the virtio device that carries us (qemu.WAYS); by default OKL4FS_TEST_WAY, or fs
    kernel: a key of kernel.SOURCES; by default OKL4FS_TEST_KERNEL, or Debian's
    driver: load okl4fs.ko; mount: and mount okl4fs on /okl4
    overlays: folders copied over the root file system
    disk: boot this; kernel, driver, mount and overlays are then ignored
    hotplug: there is a slot for plug(); socket is then None
    qmp_path: one more QMP socket, for another program
    program: the command that starts QEMU, if not that of qemu.for_way()
    qemu_args: more arguments of QEMU; append: more arguments of the kernel
    verbose: show the console on stderr
    boot_timeout: seconds to wait for the guest; wait=False returns before that (see wait_ready())
    """

    def __init__(self, socket: str | os.PathLike | None = None, *, serve: bool = False,
                 hotplug: bool = False, way: str | None = None, kernel: str | None = None,
                 driver: bool = True, mount: bool = True, module_args: str = "", overlays=(),
                 disk: Disk | None = None, mem_mib: int = 512, smp: int = 1, qmp_path=None,
                 qemu_args=(), append: str = "", program: list[str] | None = None,
                 accel: str | None = None, boot_timeout: float = 90, wait: bool = True,
                 verbose: bool = False):
        self.scratch = scratch_dir()
        self.console_path = self.scratch / "console"
        self._pump = Pump()
        self._process: Process | None = None
        self._tail: Process | None = None
        driver = driver and not disk
        self._driver, self._mount, self._module_args = driver, driver and mount, module_args
        self._boot_timeout = boot_timeout
        self._up = False
        self._boot_console = self._boot_event = 0
        self.judged_from = 0  # earlier output of the console does not count as a complaint
        self.way = way = way or qemu.default_way()
        self.kernel: kernels.Kernel | None = None
        try:
            arch = "amd64"
            if disk:
                vmlinuz, image = disk.vmlinuz, disk.initrd
                append = f"root=/dev/vda rw {append}"
                qemu_args = ["-drive", f"file={disk.image},format=raw,if=virtio,snapshot=on",
                             *qemu_args]
            else:
                self.kernel = kernels.get(kernel)
                arch = self.kernel.arch
                Deadline.slower = max(Deadline.slower, self.kernel.slower)
                module = kernels.module(self.kernel) if driver else None
                vmlinuz, image = self.kernel.vmlinuz, self.scratch / "initramfs"
                image.write_bytes(initramfs.build(self.kernel, module, overlays))
            accel = accel or (accelerators.choose() if arch == "amd64" else "tcg")
            self._may_start_over = accel == "tcg" and not disk
            argv = program or qemu.for_guest(arch, way)
            argv = argv + qemu.machine_args(arch, accel, mem_mib, smp) + [
                "-kernel", str(vmlinuz), "-initrd", str(image), "-append",
                f"console={qemu.CONSOLE[arch]} loglevel=7 oops=panic panic=-1 {append}".strip(),
                "-chardev", f"file,id=console,path={self.console_path},append=on",
                "-serial", "chardev:console"]
            if verbose:
                self.console_path.touch()
                self._tail = Process(["tail", "-f", self.console_path], stdout=sys.stderr)
            if socket is not None:
                argv += qemu.way_args(way, os.fspath(socket), serve)
            if hotplug:
                argv += qemu.ROOT_PORT_ARGS
            if qmp_path is not None:
                argv += ["-qmp", f"unix:{os.fspath(qmp_path)},server=on,wait=off"]
            self._argv = argv + [str(arg) for arg in qemu_args]
            self._start(list(self._argv))
            if wait:
                self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def _start(self, argv: list[str]) -> None:
        """Start QEMU with sockets for the agent and for QMP."""
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)))
        fds = [end.fileno() for end in theirs]
        argv += ["-device", "virtio-serial-pci,id=agentbus",
                 "-chardev", f"socket,id=agent,fd={fds[0]}",
                 "-device", "virtserialport,bus=agentbus.0,nr=1,chardev=agent,name=okl4fs.agent",
                 "-chardev", f"socket,id=qmp,fd={fds[1]}", "-mon", "chardev=qmp,mode=control"]
        with open(self.scratch / "qemu.log", "wb") as log:
            self._process = Process(argv, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)
        for end in theirs:
            end.close()
        self._agent, self._qmp = Agent(self._pump), Qmp(self._pump, self._on_event)
        self._pump.add(self._agent, ours[0])
        self._pump.add(self._qmp, ours[1])
        self._agent.synchronise()
        self._pump.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the guest runs commands, then load the driver and mount, as asked for."""
        deadline = Deadline(timeout or self._boot_timeout)
        try:
            self._wait_agent(deadline)
        except Timeout as error:
            raise GuestError(f"the guest does not start ({error})\n{self._what_it_said()}") from None
        if self._driver:
            self.check(f"insmod /lib/okl4fs.ko {self._module_args}", timeout=deadline.left() + 5)
        if self._mount:
            self.check("mkdir -p /okl4 && mount -t okl4fs okl4fs /okl4", timeout=30)

    def _wait_agent(self, deadline: Deadline) -> None:
        """Wait for the agent, and notice a kernel that panics over and over."""
        def ready_or_panicked():
            return self._agent.ready or self._panicked()
        if self.kernel and self.kernel.detects:
            self._get_going(ready_or_panicked, deadline.left() / 3)
        try:
            self._agent.wait(ready_or_panicked, deadline.left(), "boot")
        except Timeout:
            if not (self._may_start_over and QEMU_RACE in self._qemu_said()):
                raise
            self._start_again()
            self._agent.wait(ready_or_panicked, deadline.left(), "boot")
        if not self._agent.ready and self._may_start_over:
            self._start_over()
            self._agent.wait(ready_or_panicked, deadline.left(), "boot")
        if not self._agent.ready:
            raise GuestError(f"the guest panicked\n{self._what_it_said()}")
        self._up, self._may_start_over = True, False

    def _start_over(self) -> None:
        """Boot again if the kernel panicked at its first boot, before our driver was loaded.

        Linux replaces instructions that another CPU is just executing (static branches), and the
        TCG of QEMU 7.2 does not always get that right.
        """
        print("okl4fs: the kernel panicked before the driver was loaded: reset\n"
              f"{self.console()[-2000:]}", file=sys.stderr)
        self._press_reset()
        self.judged_from = self._boot_console

    def _start_again(self) -> None:
        """Start another QEMU, if one has aborted before our driver was loaded."""
        print(f"okl4fs: QEMU aborted at boot: {self._qemu_said()}: again", file=sys.stderr)
        self._process.kill()
        self._pump.close()
        self._pump = Pump()
        self._start(list(self._argv))
        self.judged_from = self._boot_console = len(self.console())

    def _get_going(self, up, limit: float) -> None:
        """Press the reset button if a debug kernel is not up after a part of its time.

        Under TCG on a loaded host Linux may find that its timer does not keep time; then the first
        thing that needs one, a self test of RCU, never ends.
        """
        try:
            self._agent.wait(up, limit, "boot")
        except Timeout:
            if SELF_TEST in self.console()[self._boot_console:][-300:]:
                print("okl4fs: the kernel hangs in its own self test: reset", file=sys.stderr)
                self._press_reset()

    def _panicked(self) -> bool:
        """The kernel panicked since the last boot (it then resets the machine: panic=-1)."""
        if len(self._qmp.events) == self._boot_event:
            return False
        return "Kernel panic" in self.console()[self._boot_console:]

    def _expect_boot(self) -> int:
        """The machine is about to start again; the number of events until now."""
        with self._pump.changed:
            self._up = False
            self._boot_console = len(self.console())
            self._boot_event = len(self._qmp.events)
            return self._boot_event

    def _on_event(self, event: dict) -> None:
        """A QMP event, in the pump's thread. (Firmware may reset once more before it boots.)"""
        if event["event"] == "RESET" and self._up:
            self._agent.drop_commands("the guest has reset itself: see its console")

    def _qemu_said(self) -> str:
        return (self.scratch / "qemu.log").read_text(errors="replace").strip()

    def _what_it_said(self) -> str:
        return f"QEMU says: {self._qemu_said() or '(nothing)'}\nthe console ends:\n{self.console()[-3000:]}"

    # Commands

    def spawn(self, command: str, *, stdin: bool = False, tty: bool = False,
              on_output=None) -> Command:
        """Start a command; it runs beside others until Command.wait()."""
        return self._agent.start(command, stdin, tty, on_output)

    def run(self, command: str, timeout: float = 60, stdin: bytes | None = None) -> tuple[int, str]:
        """Run a command with sh; (status, output). One that takes too long is killed."""
        handle = self.spawn(command, stdin=stdin is not None)
        deadline = Deadline(timeout)
        try:
            if stdin is not None:
                handle.write(stdin, deadline.left())
                handle.close_input()
            return handle.wait(deadline.left())
        except Timeout as error:
            if not self._agent.closed:
                handle.signal(signal.SIGKILL)
            if self._panicked():
                raise GuestError(f"`{command}`: the guest panicked\n{self._what_it_said()}") \
                    from error
            raise

    def check(self, command: str, timeout: float = 60, stdin: bytes | None = None) -> str:
        """Run a command that must succeed; its output."""
        status, output = self.run(command, timeout, stdin)
        if status:
            raise CommandFailed(f"`{command}`: status {status}: {output}")
        return output

    # The machine

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def console(self) -> str:
        """What the kernel has written to the serial port so far."""
        if not self.console_path.exists():
            return ""
        return self.console_path.read_text(errors="replace").replace("\r", "")

    def wait_console(self, text: str, timeout: float, since: int = 0) -> str:
        """Wait until the console shows `text` at or after character `since`; return the text from there."""
        deadline = Deadline(timeout)
        while text not in self.console()[since:]:
            deadline.check(f"console to show {text!r}")
            with self._pump.changed:  # there is no event when a file grows: look again soon
                self._pump.changed.wait(min(0.05, deadline.left_s()))
        return self.console()[since:]

    def qmp(self, command: str, timeout: float = 30, **arguments):
        """Run a QMP command (underscores in argument names stand for dashes); what it returns."""
        return self._qmp.call(command, {key.replace("_", "-"): value
                                        for key, value in arguments.items()}, timeout)

    def n_events(self) -> int:
        """How many QMP events there were, for wait_event()."""
        return len(self._qmp.events)

    def wait_event(self, name: str, since: int, timeout: float = 30) -> dict:
        """Wait for a QMP event after the first `since` ones."""
        return self._qmp.wait_event(name, since, timeout)

    def plug(self, socket: str | os.PathLike, chardev: str) -> None:
        """Plug in the device, on a new character device that connects to the daemon's socket."""
        address = {"type": "unix", "data": {"path": os.fspath(socket)}}
        self.qmp("chardev-add", id=chardev, backend={
            "type": "socket", "data": {"addr": address, "server": False}})
        self._qmp.call("device_add", {**qemu.device(self.way, chardev), "bus": qemu.ROOT_PORT}, 30)

    def unplug(self, chardev: str) -> None:
        """Unplug it, wait until the guest has let it go, and remove the character device."""
        since = self.n_events()
        self.qmp("device_del", id=qemu.DEVICE)
        self.wait_deleted(since)
        self.qmp("chardev-remove", id=chardev)

    def wait_deleted(self, since: int, device: str = qemu.DEVICE) -> None:
        """Wait until a device has gone from the machine, after the first `since` events."""
        while self.wait_event("DEVICE_DELETED", since, 120)["data"].get("device") != device:
            since += 1

    def reset(self, timeout: float | None = None) -> None:
        """Reset the machine as its button does, and wait until it is ready again."""
        self._press_reset()
        self.wait_ready(timeout)

    def _press_reset(self) -> None:
        """Reset the machine."""
        since = self._expect_boot()
        self.qmp("system_reset")
        self.wait_event("RESET", since)
        self._agent.synchronise()

    def reboot(self, timeout: float | None = None) -> None:
        """Make the guest reboot itself, and wait until it is ready again."""
        since = self._expect_boot()
        self.spawn("sync; reboot -f")
        self.wait_event("RESET", since)
        self._agent.synchronise()
        self.wait_ready(timeout)

    def running(self) -> bool:
        """Whether QEMU still runs."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send QEMU a signal."""
        self._process.signal(number)

    def kill(self) -> None:
        """End QEMU as a crash does."""
        self._process.kill()

    def power_off(self, timeout: float = 30) -> None:
        """Make the guest end cleanly: unmount, unload, power off."""
        self.spawn("umount /okl4; rmmod okl4fs; sync; poweroff -f")
        self._process.wait(timeout)

    def stop(self) -> None:
        """End QEMU, whatever the guest is doing, and remove its files."""
        if self._process and self._process.poll() is None:
            try:
                self.qmp("quit", timeout=5)
                self._process.wait(5)
            except (QmpError, Timeout):
                self._process.kill()
        if self._tail:
            self._tail.kill()
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        remove_scratch(self.scratch)

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_unused) -> None:
        self.stop()
