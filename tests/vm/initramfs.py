# SPDX-License-Identifier: BSD-3-Clause
"""The guest's root file system: busybox, kernel modules, the agent, the driver and an overlay."""
import lzma
import os
import re
import stat
from pathlib import Path

from . import paths
from .kernel import Kernel

# Modules that a guest may load; their dependencies are included automatically.
MODULES = ("virtio_pci", "virtio_console", "virtiofs", "vmw_vsock_virtio_transport",
           "virtio_net", "virtio_rng")

INIT = """\
#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin HOME=/root
/bin/busybox mkdir -p /proc /sys /dev/pts /tmp /run /root /okl4
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir -p /dev/pts /dev/shm
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devpts pts /dev/pts
mount -t tmpfs tmp /tmp
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
chmod 1777 /tmp
hostname okl4fs
ip link set lo up 2>/dev/null
modprobe -q virtio_pci
modprobe -q virtio_console
mdev -s
cd /
until port=$(grep -ls '^okl4fs.agent$' /sys/class/virtio-ports/*/name); do :; done
port=${port%/name}
exec agent /dev/${port##*/}
"""


class Archive:
    """A cpio archive (newc), everything in it owned by root."""

    def __init__(self):
        self._parts: list[bytes] = []
        self._ino = 0
        self._dirs = {""}

    def _entry(self, name: str, mode: int, data: bytes = b"", rdev=(0, 0)) -> None:
        self._ino += 1
        encoded = os.fsencode(name) + b"\0"
        fields = (self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1],
                  len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def _parents(self, name: str) -> None:
        parent = os.path.dirname(name)
        if parent not in self._dirs:
            self.directory(parent)

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory, and those above it."""
        self._parents(name)
        self._dirs.add(name)
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file, and the directories above it."""
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def char_device(self, name: str, mode: int, major: int, minor: int) -> None:
        """Add a character device."""
        self._parents(name)
        self._entry(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def tree(self, top: Path) -> None:
        """Add everything below `top`: directories, files and links."""
        for folder, dirs, files in os.walk(top):
            base = os.path.relpath(folder, top)
            dirs.sort()
            for name in sorted(dirs + files):
                path = Path(folder, name)
                inside = os.path.normpath(os.path.join(base, name))
                info = path.lstat()
                if stat.S_ISLNK(info.st_mode):
                    self.symlink(inside, os.readlink(path))
                elif stat.S_ISDIR(info.st_mode):
                    self.directory(inside, stat.S_IMODE(info.st_mode))
                elif stat.S_ISREG(info.st_mode):
                    self.file(inside, path.read_bytes(), stat.S_IMODE(info.st_mode))
                else:
                    raise ValueError(f"{path}: only directories, files and links can be copied")

    def bytes(self) -> bytes:
        """The archive so far."""
        trailer = Archive()
        trailer._entry("TRAILER!!!", 0)
        return b"".join(self._parts + trailer._parts)


def _module_name(path: Path) -> str:
    """The name of the module in a file, as the kernel spells it."""
    return path.name.partition(".")[0].replace("-", "_")


def _depends(data: bytes) -> list[str]:
    """The modules that a module needs, from its .modinfo section."""
    found = re.search(rb"\0depends=([^\0]*)\0", data)
    return found[1].decode().split(",") if found and found[1] else []


def _closure(kernel: Kernel) -> dict[str, tuple[Path, bytes, list[str]]]:
    """MODULES and all they need: {name: (path below the module folder, contents, needs)}.

    A name without a file is built into this kernel.
    """
    files = {_module_name(path): path for path in (kernel.modules / "kernel").rglob("*.ko*")}
    found = {}
    todo = [name for name in MODULES if name in files]
    while todo:
        name = todo.pop(0)
        if name in found:
            continue
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = lzma.decompress(data)
        path = files[name].relative_to(kernel.modules)
        needs = [need for need in _depends(data) if need in files]
        found[name] = (path.with_suffix("") if path.suffix == ".xz" else path, data, needs)
        todo += needs
    return found


def _all_needs(name: str, found) -> list[str]:
    """The modules to load before `name`, the last to load first, as modules.dep has them."""
    order: list[str] = []
    for need in found[name][2]:
        for other in [need] + _all_needs(need, found):
            if other in order:
                order.remove(other)
            order.append(other)
    return order


def _add_modules(archive: Archive, kernel: Kernel) -> None:
    """Add the kernel's modules, unpacked, where modprobe finds them."""
    base = f"lib/modules/{kernel.release}"
    found = _closure(kernel)
    dep = ""
    for name, (path, data, _) in found.items():
        archive.file(f"{base}/{path}", data)
        needs = " ".join(str(found[need][0]) for need in _all_needs(name, found))
        dep += f"{path}: {needs}".rstrip() + "\n"
    archive.file(f"{base}/modules.dep", dep.encode())
    builtin = kernel.modules / "modules.builtin"
    if builtin.exists():
        archive.file(f"{base}/modules.builtin", builtin.read_bytes())


def build(kernel: Kernel, driver: Path | None, overlays) -> bytes:
    """The whole initramfs; the overlays are folders copied over it, the last one wins."""
    archive = Archive()
    archive.directory("dev")
    archive.char_device("dev/console", 0o600, 5, 1)
    archive.file("init", INIT.encode(), 0o755)
    archive.file("bin/busybox", kernel.busybox.read_bytes(), 0o755)
    archive.symlink("bin/sh", "busybox")
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    _add_modules(archive, kernel)
    for tool in sorted(paths.guest_tools(kernel.arch).iterdir()):
        if tool.is_file() and os.access(tool, os.X_OK):
            archive.file(f"bin/{tool.name}", tool.read_bytes(), 0o755)
    if driver:
        archive.file("lib/okl4fs.ko", driver.read_bytes())
    for overlay in overlays:
        archive.tree(Path(overlay))
    return archive.bytes()
