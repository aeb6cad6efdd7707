# SPDX-License-Identifier: BSD-3-Clause
"""Guest kernels: each is made once and kept in the cache, and the driver can be built against it."""
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import paths, release
from .built_kernel import BuiltKernel
from .cache import folder, locked, say
from .debian_kernel import DebianKernel


class KernelError(Exception):
    """There is no such kernel."""


class Source(Protocol):
    """Where a kernel comes from, whether it is fetched or built."""
    arch: str
    make_args: tuple[str, ...]  # more arguments of make when a module is built
    slower: float  # how many times as long as Debian's kernel this one may take
    detects: bool  # it has what detectors.check() needs

    def folder(self, name: str) -> str:
        """Its place in the cache; the place changes when the kernel `name` has to be made again."""

    def fill(self, temp: Path, final: Path) -> dict[str, str]:
        """Put the kernel below temp/root, which will be called final/root.

        Returns its `release` (unlike any other's) and where `vmlinuz`, `modules`
        (lib/modules/RELEASE), `headers` (a kernel build directory) and `busybox` lie: below root,
        or absolute.
        """


# The headers were made for a newer gcc, and with pahole
NEWER_ARGS = ("CC=gcc", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_PAHOLE_VERSION=0")

SOURCES: dict[str, Source] = {
    "6.1": DebianKernel("bookworm", make_args=("CC=gcc",)),
    "6.12": DebianKernel("trixie", newer=True, make_args=NEWER_ARGS),
    "backports": DebianKernel("trixie-backports", newer=True, make_args=NEWER_ARGS),
    "6.1-arm64": DebianKernel("bookworm", "cloud-arm64", "arm64", make_args=(
        "ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-")),
    "kasan": BuiltKernel("kasan", slower=4),
    "kcsan": BuiltKernel("kcsan", slower=3),
}
# The kernel of this machine's release of Debian
DEFAULT = "6.1" if release.codename() == "bookworm" else "6.12"
# The kernels that the suite `kernels` tests, beside the default
OTHERS = tuple(name for name in ("6.1", "6.12", "backports") if name != DEFAULT)


@dataclass(frozen=True)
class Kernel:
    """A kernel in the cache."""
    name: str
    arch: str
    release: str
    vmlinuz: Path
    modules: Path
    headers: Path
    busybox: Path
    make_args: tuple[str, ...] = ()
    slower: float = 1
    detects: bool = False

    @classmethod
    def load(cls, name: str, directory: Path, source: Source) -> "Kernel":
        """Read what get() wrote."""
        facts = json.loads((directory / "kernel.json").read_text(encoding="utf-8"))
        places = {key: directory / "root" / facts[key]
                  for key in ("vmlinuz", "modules", "headers", "busybox")}
        return cls(name=name, arch=source.arch, release=facts["release"],
                   make_args=source.make_args, slower=source.slower, detects=source.detects,
                   **places)


def default() -> str:
    """The kernel of guests that name none: OKL4FS_TEST_KERNEL, or Debian's."""
    return os.environ.get("OKL4FS_TEST_KERNEL") or DEFAULT


def _folder(key: str) -> Path:
    return paths.cache_dir() / "kernels" / SOURCES[key].folder(key)


def _key(name: str) -> str:
    """The key for a name: the key itself, or the version of a kernel in the cache, or its beginning."""
    if name in SOURCES:
        return name
    for key in (DEFAULT, *OTHERS):
        if (_folder(key) / "kernel.json").exists():
            release = Kernel.load(key, _folder(key), SOURCES[key]).release
            if re.fullmatch(re.escape(name) + r"([^0-9].*)?", release):
                return key
    raise KernelError(f"no kernel {name}: there are {', '.join(SOURCES)}, "
                      "and the versions of those that were fetched")


def get(name: str | None = None) -> Kernel:
    """The kernel called `name` (a key of SOURCES, or its version), made if it is not in the cache."""
    key = _key(name or default())
    source, final = SOURCES[key], _folder(key)

    def fill(temp: Path) -> None:
        facts = source.fill(temp, final)
        (temp / "kernel.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    return Kernel.load(key, folder(final, fill), source)


def module(kernel: Kernel) -> Path:
    """okl4fs.ko for `kernel`, built if it is missing or older than its sources."""
    result = paths.BUILD / "module" / kernel.release / "okl4fs.ko"
    sources = [path for part in ("guest-driver", "libfs", "cmake/build-module")
               for path in _files(paths.ROOT / part)]
    paths.BUILD.mkdir(parents=True, exist_ok=True)
    with locked(paths.BUILD / f".module-{kernel.release}.lock"):
        built = result.stat().st_mtime if result.exists() else 0
        if built <= max(path.stat().st_mtime for path in sources):
            say(f"building okl4fs.ko for {kernel.release}")
            subprocess.run([paths.ROOT / "cmake/build-module", kernel.headers,
                            paths.BUILD / "module", f"-j{os.cpu_count()}", "KCFLAGS=-Werror",
                            *kernel.make_args],
                           check=True, stdout=subprocess.DEVNULL)
            os.utime(result)  # make leaves it alone when nothing that matters has changed
    return result


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
