# SPDX-License-Identifier: BSD-3-Clause
"""A file that a program serves with FUSE, as badly as a test wants it.

Run as a program, it mounts a file system in namespaces of its own (which takes no privilege), opens
its only file, sends the descriptor over the socket that is its standard input, and then answers all
requests but those in SILENT. FuseFile runs it.
"""
import array
import contextlib
import ctypes
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading

from vm.process import Deadline

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS = 1, 2, 3, 14, 15, 17
RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 18, 25, 26, 36, 42
BLOCK_BYTES = 1 << 30  # the value of st_blksize
FOREVER_S = 1 << 20


def _attributes(node: int, size: int) -> bytes:
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o666
    return struct.pack("<6Q10I", node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK_BYTES, 0)


class _Server:
    """Answers the kernel's requests, except the silent ones."""

    def __init__(self, device: int, size: int, silent: set[int]):
        self.device, self.size, self.silent = device, size, silent

    def run(self) -> None:
        """Serve until the file system is gone."""
        while True:
            try:
                message = os.read(self.device, 1 << 20)
            except OSError:
                return
            _length, request, unique, node = struct.unpack_from("<IIQQ", message)
            if request in (FORGET, BATCH_FORGET, INTERRUPT) or request in self.silent:
                continue
            error, answer = self.answer(request, node)
            os.write(self.device, struct.pack("<IiQ", 16 + len(answer), -error, unique) + answer)

    def answer(self, request: int, node: int) -> tuple[int, bytes]:
        """(errno, payload) for a request."""
        valid = 0 if GETATTR in self.silent else FOREVER_S
        if request == INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7)
        if request == LOOKUP:
            return 0, struct.pack("<QQQQII", 2, 0, FOREVER_S, valid, 0, 0) + _attributes(
                2, self.size)
        if request == GETATTR:
            return 0, struct.pack("<QII", FOREVER_S, 0, 0) + _attributes(node, self.size)
        if request == OPEN:
            return 0, struct.pack("<QII", 0, 0, 0)
        if request in (RELEASE, FLUSH):
            return 0, b""
        return 5 if request == READ else 38, b""  # EIO, ENOSYS


def _main(size: int, silent: set[int]) -> None:
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    with tempfile.TemporaryDirectory() as folder:
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
        if libc.mount(b"test", folder.encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=_Server(device, size, silent).run, daemon=True).start()
        fd = os.open(f"{folder}/file", os.O_RDWR)
        with socket.socket(fileno=0) as test:
            test.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
            os.close(fd)
            libc.umount2(folder.encode(), 2)  # MNT_DETACH: it lives as long as its file is open
            test.recv(1)  # the test has ended
    os._exit(0)


class FuseFile:
    """An open file (`fd`) of `size` bytes whose server leaves the requests `silent` unanswered."""

    def __init__(self, size: int, silent=()):
        ours, theirs = socket.socketpair()
        self._sock = ours
        with theirs:
            self._server = subprocess.Popen(
                ["unshare", "--user", "--map-root-user", "--mount", sys.executable, __file__,
                 str(size), *map(str, silent)], stdin=theirs, stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        ours.settimeout(Deadline(20).left_s())
        _data, control, _flags, _from = ours.recvmsg(1, socket.CMSG_SPACE(4))
        if not control:
            self._server.wait(20)
            raise OSError(self._server.stderr.read().decode(errors="replace"))
        self.fd = struct.unpack("i", control[0][2])[0]

    def close(self) -> None:
        """End the server first: requests that wait for it then fail."""
        self._sock.close()
        self._server.kill()
        self._server.wait(20)
        self._server.stderr.close()
        if self.fd >= 0:
            with contextlib.suppress(OSError):  # ENOTCONN: its server is gone
                os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "FuseFile":
        return self

    def __exit__(self, *_unused) -> None:
        self.close()


if __name__ == "__main__":
    _main(int(sys.argv[1]), set(map(int, sys.argv[2:])))
