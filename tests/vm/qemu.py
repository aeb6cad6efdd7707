# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's command line, and which accelerator it can use here."""
import functools
import os
import re
import shlex
import subprocess
from dataclasses import dataclass


class QemuError(Exception):
    """This QEMU cannot do what was asked."""


@dataclass(frozen=True)
class Way:
    """A virtio device that QEMU forwards whole to our daemon."""
    device: str
    since: tuple[int, int]


# {chardev} is the character device of the vhost-user socket.
WAYS = {
    "fs": Way("vhost-user-fs-pci,id=okl4fs0,chardev={chardev},tag=okl4fs0", (4, 2)),
    "generic": Way("vhost-user-test-device-pci,id=okl4fs0,chardev={chardev},virtio-id=38,num_vqs=2",
                   (10, 2)),
}


def program() -> list[str]:
    """How QEMU is started: OKL4FS_QEMU (words as in a shell), or Debian's."""
    return shlex.split(os.environ.get("OKL4FS_QEMU", "/usr/bin/qemu-system-x86_64"))


@functools.cache
def version() -> tuple[int, int]:
    """The version of that QEMU."""
    text = subprocess.run(program() + ["--version"], check=True, capture_output=True,
                          text=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    if not found:
        raise QemuError(f"{program()[0]}: cannot tell its version from {text!r}")
    return int(found[1]), int(found[2])


def default_way() -> str:
    """The way of guests that name none: OKL4FS_TEST_WAY, or fs."""
    return os.environ.get("OKL4FS_TEST_WAY") or "fs"


def way_args(way: str | None, socket: str, serve: bool) -> list[str]:
    """The arguments that attach a guest to the daemon."""
    way = way or default_way()
    if way not in WAYS:
        raise QemuError(f"no way {way}: there are {', '.join(WAYS)}")
    needs = WAYS[way].since
    if version() < needs:
        raise QemuError(f"--way {way} needs QEMU >= {needs[0]}.{needs[1]}, "
                        f"this is {version()[0]}.{version()[1]}")
    server = ",server=on" if serve else ""
    return ["-chardev", f"socket,id=okl4fs,path={socket}{server}",
            "-device", WAYS[way].device.format(chardev="okl4fs")]


def machine_args(accel: str, mem_mib: int, smp: int) -> list[str]:
    """The machine itself. Its memory is shared with the daemon."""
    # Without erms and fsrm the kernel copies in a loop, which TCG runs six times faster.
    cpu = "host" if accel == "kvm" else "max,-erms,-fsrm"
    # For a machine that can never have a second CPU, TCG leaves out all atomics and barriers; but
    # the daemon is one, beside it. So leave room for one.
    cpus = f"{smp},maxcpus={max(smp, 2)}" if accel == "tcg" else str(smp)
    return ["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-nic", "none",
            "-M", "q35,memory-backend=m", "-accel", accel, "-cpu", cpu, "-smp", cpus,
            "-m", str(mem_mib), "-object", f"memory-backend-memfd,id=m,size={mem_mib}M,share=on"]
