# SPDX-License-Identifier: BSD-3-Clause
"""A test's guest memory: memfds that are mapped here and passed to the daemon."""
import ctypes
import mmap
import os

PAGE = 4096

# Shared words need real atomics, and ctypes has none. libatomic comes with every gcc.
_atomic = ctypes.CDLL("libatomic.so.1")
_exchange = getattr(_atomic, "__atomic_exchange_8")
_fetch_or = getattr(_atomic, "__atomic_fetch_or_8")
_exchange.restype = _fetch_or.restype = ctypes.c_uint64
_SEQ_CST = 5


class Region:
    """A piece of guest memory: a memfd of `size` bytes, seen by the guest at `gpa`.

    `user` is its address in the frontend's process; `offset` is where in the file it begins.
    """

    def __init__(self, gpa: int, size: int, user: int | None = None, offset: int = 0,
                 file_bytes: int | None = None):
        self.gpa, self.size, self.offset = gpa, size, offset
        self.user = 0x7F0000000000 + gpa if user is None else user
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, offset + size if file_bytes is None else file_bytes)
        self._map: mmap.mmap | None = None

    @property
    def map(self) -> mmap.mmap:
        """Our own mapping, made at the first use."""
        if self._map is None:
            self._map = mmap.mmap(self.fd, self.offset + self.size)
        return self._map

    def truncate(self, size: int) -> None:
        """Make the file shorter: what lies past `size` is gone."""
        os.ftruncate(self.fd, size)

    def close(self) -> None:
        """Close the file; a mapping that is still referred to stays."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Memory:
    """All of a guest's memory, with an allocator of pages."""

    def __init__(self, *regions: Region, size: int = 32 << 20):
        self.regions = list(regions) or [Region(0x100000, size)]
        self._next = {id(region): 0 for region in self.regions}

    def at(self, gpa: int) -> tuple[Region, int]:
        """The region of an address, and the offset in its mapping."""
        for region in self.regions:
            if region.gpa <= gpa < region.gpa + region.size:
                return region, region.offset + gpa - region.gpa
        raise ValueError(f"{gpa:#x} is not in guest memory")

    def alloc(self, size: int, region: int = 0) -> int:
        """Allocate whole pages; return their address."""
        where = self.regions[region]
        start = self._next[id(where)]
        self._next[id(where)] = start + (size + PAGE - 1) // PAGE * PAGE
        if self._next[id(where)] > where.size:
            raise MemoryError("the test's guest memory is used up")
        return where.gpa + start

    def user(self, gpa: int) -> int:
        """The frontend's address for a guest-physical address."""
        region, offset = self.at(gpa)
        return region.user + offset - region.offset

    def write(self, gpa: int, data: bytes) -> None:
        """Copy bytes in."""
        region, offset = self.at(gpa)
        region.map[offset:offset + len(data)] = data

    def read(self, gpa: int, size: int) -> bytes:
        """Copy bytes out."""
        region, offset = self.at(gpa)
        return region.map[offset:offset + size]

    def word(self, gpa: int, kind=ctypes.c_uint64):
        """A shared word; loads and stores of its `.value` are single accesses."""
        region, offset = self.at(gpa)
        return kind.from_buffer(region.map, offset)

    def exchange(self, gpa: int, value: int) -> int:
        """Atomically store a 64-bit word; return the old value. A full barrier."""
        word = self.word(gpa)
        return _exchange(ctypes.byref(word), ctypes.c_uint64(value), _SEQ_CST)

    def fetch_or(self, gpa: int, bits: int) -> int:
        """Atomically set bits of a 64-bit word; return the old value. A full barrier."""
        word = self.word(gpa)
        return _fetch_or(ctypes.byref(word), ctypes.c_uint64(bits), _SEQ_CST)

    def close(self) -> None:
        """Close all files."""
        for region in self.regions:
            region.close()


_fence_word = ctypes.c_uint64(0)


def fence() -> None:
    """A full barrier: stores before it are seen before loads after it are made."""
    _exchange(ctypes.byref(_fence_word), ctypes.c_uint64(0), _SEQ_CST)
