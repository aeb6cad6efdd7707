# SPDX-License-Identifier: BSD-3-Clause
"""Debian's kernels as they are packaged, with headers to build the driver against."""
import os
import re
from dataclasses import dataclass
from pathlib import Path

from . import apt
from .cache import say


@dataclass(frozen=True)
class DebianKernel:
    """The current kernel of a suite of Debian: a kernel.Source.

    newer: this machine's libraries are too old for the suite's programs
    """
    suite: str
    flavour: str = "cloud-amd64"
    arch: str = "amd64"
    newer: bool = False
    make_args: tuple[str, ...] = ()
    slower: float = 1
    detects: bool = False

    def folder(self, name: str) -> str:
        """One folder per suite, fetched once."""
        return name

    def fill(self, temp: Path, final: Path) -> dict[str, str]:
        """Fetch and unpack."""
        say(f"fetching the guest kernel {final.name} and its headers from {self.suite} (once)")
        apt.unpack(self.suite, self.arch, self._packages, temp / "root")
        if self.arch != "amd64":  # the programs that build modules have to run here
            apt.unpack(self.suite, "amd64", lambda private: [
                path.name for path in (temp / "root/usr/lib").glob("linux-kbuild-*")],
                temp / "root")
        if self.newer:
            _wrap_tools(temp / "root", final / "root")
        return _describe(temp / "root", final / "root")

    def _packages(self, private: apt.PrivateApt) -> list[str]:
        """The kernel, its headers, the programs that build modules, and busybox."""
        todo = [f"linux-image-{self.flavour}", f"linux-headers-{self.flavour}"]
        wanted = ["busybox-static"]
        while todo:
            name = todo.pop()
            if name not in wanted:
                wanted.append(name)
                todo += [need for need in private.depends(name) if need.startswith("linux-")]
        if self.newer:
            wanted += private.closure([name for name in wanted if "-kbuild-" in name])
        return list(dict.fromkeys(wanted))


def _one(root: Path, *patterns: str) -> Path:
    """The one path below root that one of the patterns matches."""
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    raise apt.AptError(f"{root}: no {' or '.join(patterns)}")


def _wrap_tools(root: Path, final: Path) -> None:
    """Make the programs that build modules use the loader and the libraries of their own suite.

    Each program is replaced by a script. (objtool finds its other part by the name that it is called by.)
    """
    for tool in (root / "usr/lib").glob("linux-kbuild-*/**/*"):
        if tool.is_symlink() or not tool.is_file() or tool.open("rb").read(4) != b"\x7fELF":
            continue
        if not os.access(tool, os.X_OK):
            continue
        program = tool.rename(tool.with_name(f".{tool.name}.elf"))
        tool.write_text(f'''#!/bin/sh
exec "{final}/usr/lib64/ld-linux-x86-64.so.2" --argv0 "$0" \\
	--library-path "{final}/usr/lib/x86_64-linux-gnu" "{final}/{program.relative_to(root)}" "$@"
''', encoding="utf-8")
        tool.chmod(0o755)


def _describe(root: Path, final: Path) -> dict[str, str]:
    """Make the unpacked packages usable in their final place, and describe their content."""
    vmlinuz = _one(root, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
    modules = _one(root, "lib/modules/*/kernel", "usr/lib/modules/*/kernel").parent
    release = modules.name
    headers = root / "usr/src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(re.sub(r"(?<=[ =])/usr/src/", f"{final}/usr/src/", makefile.read_text()))
    facts = {"release": release}
    for key, path in (("vmlinuz", vmlinuz), ("modules", modules), ("headers", headers),
                      ("busybox", _one(root, "bin/busybox", "usr/bin/busybox"))):
        facts[key] = str(path.relative_to(root))
    return facts
