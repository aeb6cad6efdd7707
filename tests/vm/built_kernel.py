# SPDX-License-Identifier: BSD-3-Clause
"""Small kernels with the kernel's own detectors, built from Debian's linux-source.

The options are in kconfig/common.config and kconfig/NAME.config; everything else is off. detectors.py
judges what such a kernel reports.
"""
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from . import apt, paths
from .cache import folder, say

KCONFIG = Path(__file__).parent / "kconfig"
PACKAGE = "linux-source-6.1"
# The files that a module needs from the folder in which the kernel was built.
BUILD_PARTS = ("Makefile", ".config", "Module.symvers", "include", "scripts",
               "arch/x86/include", "arch/x86/Makefile*", "tools/objtool/objtool")
# Increased when fill() makes something else from the same options.
RECIPE = 1


class BuildError(apt.AptError):
    """The kernel cannot be built."""


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel of our own configuration: a kernel.Source."""
    name: str
    slower: float
    suite: str = "bookworm"
    arch: str = "amd64"
    make_args: tuple[str, ...] = ()
    detects: bool = True

    @functools.cache
    def folder(self, name: str) -> str:
        """Its folder's name changes with the source, the options and the compiler."""
        if not (paths.cache_dir() / "kernels" / f"{name}-{self._key()}").exists():
            self._version(newest=True)  # it will be built, so take the current source
        return f"{name}-{self._key()}"

    def fill(self, temp: Path, final: Path) -> dict[str, str]:
        """Fetch, configure and build it, and keep what is needed to run it and to build modules for it."""
        say(f"building the guest kernel {final.name}: this is done once and takes about ten minutes")
        apt.unpack(self.suite, self.arch, lambda _: ["busybox-static"], temp / "root")
        source = folder(paths.cache_dir() / "sources" / f"{PACKAGE}_{self._version()}",
                        lambda new: apt.unpack(self.suite, self.arch, lambda _: [PACKAGE], new))
        work = temp / "build"
        say(f"unpacking {source.name}")
        with tarfile.open(source / f"usr/src/{PACKAGE}.tar.xz") as archive:
            archive.extractall(work)
        tree = work / PACKAGE
        self._configure(tree, final.name)
        _make(tree, f"-j{os.cpu_count()}", "bzImage", "modules")
        facts = _keep(tree, temp / "root")
        shutil.rmtree(work)
        for former in (*final.parent.glob(f"{self.name}-*"), *source.parent.glob(f"{PACKAGE}_*")):
            if former not in (final, source):
                shutil.rmtree(former)
        return facts

    def _version(self, newest: bool = False) -> str:
        """The version of the source in the suite, or in the present package lists."""
        return apt.version(self.suite, self.arch, PACKAGE, newest)

    def _fragment(self) -> str:
        """The options asked for, as a .config has them."""
        return "".join((KCONFIG / f"{part}.config").read_text(encoding="utf-8")
                       for part in ("common", self.name))

    def _key(self) -> str:
        """A key that changes when the kernel has to be built again."""
        compiler = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True,
                                  text=True).stdout
        parts = (self._version(), compiler, str(RECIPE), self._fragment())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]

    def _configure(self, tree: Path, name: str) -> None:
        """Write .config; an option that kconfig did not take over is an error."""
        release = f'CONFIG_LOCALVERSION="-okl4fs-{name}"\n'
        wanted = tree.parent / "wanted.config"
        wanted.write_text(self._fragment() + release, encoding="utf-8")
        _make(tree, "allnoconfig", KCONFIG_ALLCONFIG=str(wanted))
        missing = lost(wanted.read_text(encoding="utf-8"),
                       (tree / ".config").read_text(encoding="utf-8"))
        if missing:
            raise BuildError(f"kernel {self.name}: kconfig dropped {', '.join(missing)}")


def lost(wanted: str, config: str) -> list[str]:
    """The options of `wanted` that `config` does not have as they stand there."""
    option = re.compile(r"^(?:# )?CONFIG_\w+(?:=.*| is not set)$", re.M)
    there = set(option.findall(config))
    return [line for line in option.findall(wanted) if line not in there]


def _make(tree: Path, *args: str, **env: str) -> None:
    """Run make in the source; show its output when it fails."""
    log = tree.parent / "make.log"
    kept = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
    with open(log, "wb") as file:
        done = subprocess.run(["make", "-s", *args], cwd=tree, stdin=subprocess.DEVNULL,
                              stdout=file, stderr=file, check=False, env={
                                  **kept, "LC_ALL": "C", "KBUILD_BUILD_USER": "okl4fs",
                                  "KBUILD_BUILD_HOST": "okl4fs", **env})
    if done.returncode:
        raise BuildError(f"make {' '.join(args)}: status {done.returncode}\n"
                         + log.read_text(encoding="utf-8", errors="replace")[-4000:])


def _keep(tree: Path, root: Path) -> dict[str, str]:
    """Move what is needed from the build tree to `root`; return where it lies there."""
    release = (tree / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    modules = root / "lib/modules" / release
    (modules / "kernel").mkdir(parents=True)
    shutil.copy(tree / "modules.builtin", modules)
    for line in (tree / "modules.order").read_text(encoding="utf-8").split():
        target = modules / "kernel" / line
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / line, target)
    (root / "boot").mkdir()
    shutil.copy(tree / "arch/x86/boot/bzImage", root / "boot/vmlinuz")
    headers = root / "usr/src/linux-headers"
    for pattern in BUILD_PARTS:
        for path in tree.glob(pattern):
            target = headers / path.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return {"release": release, "vmlinuz": "boot/vmlinuz", "modules": f"lib/modules/{release}",
            "headers": "usr/src/linux-headers", "busybox": "bin/busybox"}
