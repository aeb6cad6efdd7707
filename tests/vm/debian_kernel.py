# SPDX-License-Identifier: BSD-3-Clause
"""Debian's kernels as they are packaged, with headers to build the driver against."""
from dataclasses import dataclass
from pathlib import Path

from . import apt
from .cache import say


@dataclass(frozen=True)
class DebianKernel:
    """The current kernel of a suite of Debian: a kernel.Source."""
    suite: str
    flavour: str = "cloud-amd64"
    arch: str = "amd64"
    make_args: tuple[str, ...] = ()
    slower: float = 1
    detects: bool = False

    def folder(self, name: str) -> str:
        """One a suite, fetched once."""
        return name

    def fill(self, temp: Path, final: Path) -> dict[str, str]:
        """Fetch and unpack."""
        say(f"fetching the guest kernel {final.name} and its headers from {self.suite} (once)")
        apt.unpack(self.suite, self.arch, self._packages, temp / "root")
        return _describe(temp / "root", final / "root")

    def _packages(self, private: apt.PrivateApt) -> list[str]:
        """The real packages behind the suite's current kernel, its headers, and busybox."""
        wanted = ["busybox-static"]
        for meta in ("linux-image-", "linux-headers-"):
            wanted += [name for name in private.depends(meta + self.flavour)
                       if name.startswith("linux-")]
        for name in private.depends(wanted[-1]):
            if name.startswith(("linux-headers-", "linux-kbuild-")):
                wanted.append(name)
        return wanted


def _one(root: Path, *patterns: str) -> Path:
    """The one path below root that one of the patterns matches."""
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    raise apt.AptError(f"{root}: no {' or '.join(patterns)}")


def _describe(root: Path, final: Path) -> dict[str, str]:
    """Make the unpacked packages usable where they will lie, and tell what they hold."""
    vmlinuz = _one(root, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
    modules = _one(root, "lib/modules/*/kernel", "usr/lib/modules/*/kernel").parent
    release = modules.name
    headers = root / "usr/src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace(" /usr/src/", f" {final / 'usr/src'}/"))
    facts = {"release": release}
    for key, path in (("vmlinuz", vmlinuz), ("modules", modules), ("headers", headers),
                      ("busybox", _one(root, "bin/busybox", "usr/bin/busybox"))):
        facts[key] = str(path.relative_to(root))
    return facts
