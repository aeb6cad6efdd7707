# SPDX-License-Identifier: BSD-3-Clause
"""KVM or TCG? /dev/kvm may exist and still not run a kernel, so this boots a guest once to find out."""
import os
from pathlib import Path

from . import paths, qemu
from .cache import say
from .process import Timeout

PROBE_LIMIT_S = 20


def choose() -> str:
    """The accelerator to use: OKL4FS_ACCEL, or kvm if a guest is known to run on it here."""
    wish = os.environ.get("OKL4FS_ACCEL")
    if wish:
        return wish
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    key = f"{boot} {' '.join(qemu.installed())} {qemu.version(qemu.installed())}"
    memory = paths.cache_dir() / "accel"
    if memory.exists():
        answer, _, known = memory.read_text(encoding="utf-8").strip().partition(" ")
        if known == key:
            return answer
    answer = "kvm" if _kvm_runs() else "tcg"
    temp = memory.with_suffix(f".{os.getpid()}")
    temp.write_text(f"{answer} {key}\n", encoding="utf-8")
    temp.rename(memory)
    return answer


def _kvm_runs() -> bool:
    """Boot a guest under KVM and check that it runs a command."""
    from .guest import Guest, GuestError
    from .kernel import DEFAULT
    say("checking whether KVM can run a guest here (once per boot)")
    try:
        with Guest(driver=False, kernel=DEFAULT, accel="kvm", boot_timeout=PROBE_LIMIT_S) as guest:
            return guest.run("echo here", timeout=5) == (0, "here\n")
    except (GuestError, Timeout):
        return False
