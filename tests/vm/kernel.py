# SPDX-License-Identifier: BSD-3-Clause
"""Guest kernels: fetched from Debian, kept in the cache, with headers to build the driver against."""
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import apt, paths


@dataclass(frozen=True)
class Source:
    """Where a kernel comes from: a suite of Debian, and the names its packages begin with."""
    suite: str
    flavour: str = "cloud-amd64"
    arch: str = "amd64"
    make_args: tuple[str, ...] = ()


SOURCES = {
    "6.1": Source("bookworm"),
}
DEFAULT = "6.1"


@dataclass(frozen=True)
class Kernel:
    """A kernel in the cache."""
    name: str
    release: str
    root: Path
    vmlinuz: Path
    modules: Path
    headers: Path
    busybox: Path
    make_args: tuple[str, ...] = ()

    @classmethod
    def load(cls, directory: Path) -> "Kernel":
        """Read what _describe() wrote."""
        facts = json.loads((directory / "kernel.json").read_text())
        root = directory / "root"
        return cls(name=directory.name, release=facts["release"], root=root,
                   vmlinuz=root / facts["vmlinuz"], modules=root / facts["modules"],
                   headers=root / facts["headers"], busybox=root / facts["busybox"],
                   make_args=SOURCES[directory.name].make_args)


def say(text: str) -> None:
    """Progress of a long step."""
    print(f"okl4fs: {text}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path):
    """Let one process at a time in."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def get(name: str = DEFAULT) -> Kernel:
    """The kernel called `name` (a key of SOURCES), fetched if it is not in the cache."""
    if name not in SOURCES:
        raise SystemExit(f"no kernel {name}: there are {', '.join(SOURCES)}")
    base = paths.cache_dir() / "kernels"
    base.mkdir(exist_ok=True)
    final = base / name
    if not final.exists():
        with locked(base / f".{name}.lock"):
            if not final.exists():
                _fetch(SOURCES[name], final)
    return Kernel.load(final)


def _packages(root: apt.PrivateApt, source: Source) -> list[str]:
    """The real packages behind the suite's current kernel, its headers, and busybox."""
    wanted = ["busybox-static"]
    for meta in ("linux-image-", "linux-headers-"):
        wanted += [name for name in root.depends(meta + source.flavour)
                   if name.startswith("linux-")]
    for name in root.depends(wanted[-1]):
        if name.startswith(("linux-headers-", "linux-kbuild-")):
            wanted.append(name)
    return wanted


def _fetch(source: Source, final: Path) -> None:
    """Fetch and unpack; the folder gets its name only when it is whole."""
    say(f"fetching the guest kernel {final.name} and its headers from {source.suite} (once)")
    root = apt.PrivateApt(paths.cache_dir() / "apt" / f"{source.suite}-{source.arch}",
                          source.suite, source.arch)
    root.update()
    debs = root.download(_packages(root, source))
    for stale in final.parent.glob(f".{final.name}.tmp*"):
        shutil.rmtree(stale)
    temp = Path(tempfile.mkdtemp(prefix=f".{final.name}.tmp", dir=final.parent))
    try:
        say(f"unpacking {len(debs)} packages")
        apt.unpack(debs, temp / "root")
        _describe(temp, final)
        temp.chmod(0o755)
        os.rename(temp, final)
    except BaseException:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    for deb in debs:
        deb.unlink()


def _one(root: Path, *patterns: str) -> Path:
    """The one path below root that one of the patterns matches."""
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    raise apt.AptError(f"{root}: no {' or '.join(patterns)}")


def _describe(temp: Path, final: Path) -> None:
    """Make the unpacked packages usable where they will lie, and note what they hold."""
    root = temp / "root"
    vmlinuz = _one(root, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
    modules = _one(root, "lib/modules/*/kernel", "usr/lib/modules/*/kernel").parent
    release = modules.name
    headers = root / "usr/src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace(
        " /usr/src/", f" {final / 'root/usr/src'}/"))
    facts = {"release": release}
    for key, path in (("vmlinuz", vmlinuz), ("modules", modules), ("headers", headers),
                      ("busybox", _one(root, "bin/busybox", "usr/bin/busybox"))):
        facts[key] = str(path.relative_to(root))
    (temp / "kernel.json").write_text(json.dumps(facts, indent=1) + "\n")


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
                            paths.BUILD / "module", f"-j{os.cpu_count()}", *kernel.make_args],
                           check=True, stdout=subprocess.DEVNULL)
            os.utime(result)  # make leaves it alone when nothing that matters has changed
    return result


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
