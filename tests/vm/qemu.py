# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's command line, and which accelerator it can use here."""
import functools
import os
import re
import shlex
import subprocess
from dataclasses import dataclass

from . import newqemu


class QemuError(Exception):
    """This QEMU cannot do what was requested."""


DEVICE = "okl4fs0"


@dataclass(frozen=True)
class Way:
    """A virtio device that QEMU forwards whole to our daemon, as device_add takes it."""
    driver: str
    properties: dict
    since: tuple[int, int]


WAYS = {
    "fs": Way("vhost-user-fs-pci", {"tag": "okl4fs0"}, (4, 2)),
    "generic": Way("vhost-user-test-device-pci", {"virtio-id": 38, "num_vqs": 2}, (10, 2)),
}

# Where a device can be plugged while the guest runs
ROOT_PORT = "rootport"
ROOT_PORT_ARGS = ("-device", f"pcie-root-port,id={ROOT_PORT},chassis=1")


def installed() -> list[str]:
    """The command that starts QEMU: OKL4FS_QEMU (words as in a shell), or Debian's."""
    return shlex.split(os.environ.get("OKL4FS_QEMU", "/usr/bin/qemu-system-x86_64"))


@functools.cache
def _version(program: tuple[str, ...]) -> tuple[int, int]:
    text = subprocess.run([*program, "--version"], check=True, capture_output=True,
                          text=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    if not found:
        raise QemuError(f"{program[0]}: cannot tell its version from {text!r}")
    return int(found[1]), int(found[2])


def version(program: list[str]) -> tuple[int, int]:
    """The version of a QEMU."""
    return _version(tuple(program))


def default_way() -> str:
    """The way of guests that name none: OKL4FS_TEST_WAY, or fs."""
    return os.environ.get("OKL4FS_TEST_WAY") or "fs"


def for_way(way: str) -> list[str]:
    """The command that starts a QEMU with this way: the installed one, or else a newer one."""
    if way not in WAYS:
        raise QemuError(f"no way {way}: there are {', '.join(WAYS)}")
    program, needs = installed(), WAYS[way].since
    if version(program) >= needs:
        return program
    if "OKL4FS_QEMU" in os.environ:
        have = version(program)
        raise QemuError(f"--way {way} needs QEMU >= {needs[0]}.{needs[1]}, "
                        f"OKL4FS_QEMU is {have[0]}.{have[1]}")
    return newqemu.program()


def device(way: str, chardev: str) -> dict:
    """The device of a way on a character device, as device_add takes it."""
    return {"driver": WAYS[way].driver, "id": DEVICE, "chardev": chardev, **WAYS[way].properties}


def way_args(way: str, socket: str, serve: bool) -> list[str]:
    """The arguments that attach a guest to the daemon."""
    server = ",server=on" if serve else ""
    properties = device(way, "okl4fs")
    return ["-chardev", f"socket,id=okl4fs,path={socket}{server}", "-device",
            ",".join([properties.pop("driver")] + [f"{k}={v}" for k, v in properties.items()])]


CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


def for_guest(arch: str, way: str) -> list[str]:
    """The command that starts a QEMU for guests of an architecture."""
    if arch == "amd64":
        return for_way(way)
    program = ["/usr/bin/qemu-system-aarch64"]
    if not os.path.exists(program[0]):
        raise QemuError("guests of arm64 need the package qemu-system-arm")
    if way != "fs":
        raise QemuError(f"guests of arm64 support only the way fs, not {way}")
    return program


def machine_args(arch: str, accel: str, mem_mib: int, smp: int) -> list[str]:
    """The machine itself. Its memory is shared with the daemon."""
    # Without erms and fsrm the kernel copies in a loop, which TCG runs six times faster. After
    # cmpxchg16b TCG (7.2) sometimes has wrong flags, which makes Linux 6.12 crash at boot.
    cpu = "host" if accel == "kvm" else "max,-erms,-fsrm,-cx16"
    # If a machine can never have a second CPU, TCG leaves out all atomics and barriers. But the daemon
    # runs on another CPU and needs them. So leave room for a second one.
    cpus = f"{smp},maxcpus={max(smp, 2)}" if accel == "tcg" else str(smp)
    machine, none = "q35", ["-vga", "none"]
    if arch == "arm64":
        machine, cpu, none = "virt,gic-version=3", "cortex-a57", []
    return ["-nodefaults", "-no-user-config", "-display", "none", *none, "-nic", "none",
            "-M", f"{machine},memory-backend=m", "-accel", accel, "-cpu", cpu, "-smp", cpus,
            "-m", str(mem_mib), "-object", f"memory-backend-memfd,id=m,size={mem_mib}M,share=on"]
