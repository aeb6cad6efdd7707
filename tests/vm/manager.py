# SPDX-License-Identifier: BSD-3-Clause
"""A stand-in for the service manager: it keeps descriptors of a daemon for the next one.

It does what systemd does with FDSTORE=1 and FDSTOREREMOVE=1 (service.c of systemd): a file that it
has already is not stored again, whatever its name.
"""
import ctypes
import os
import socket
import threading

from .daemon import Daemon

SYS_KCMP, KCMP_FILE = 312, 0
FIRST_FD = 3  # LISTEN_FDS begin here
_libc = ctypes.CDLL(None, use_errno=True)


def same_file(one: int, other: int) -> bool:
    """Whether two descriptors are of one open file."""
    pid = os.getpid()
    return _libc.syscall(SYS_KCMP, pid, pid, KCMP_FILE, one, other) == 0


class Manager:
    """The socket that daemons notify, and the store: [(name, descriptor)]."""

    def __init__(self, path):
        self.path = str(path)
        self.stored: list[tuple[str, int]] = []
        self.n_stores = 0
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.connect(self.path)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            data, fds, *_ = socket.recv_fds(self._socket, 4096, 4)
            if data == b"END":
                return
            said = dict(line.split("=", 1) for line in data.decode().splitlines())
            if "SYNC" in said:
                os.eventfd_write(fds[0], 1)
            self._take(said, fds)

    def _take(self, said: dict[str, str], fds: list[int]) -> None:
        name = said.get("FDNAME")
        with self._lock:
            if said.get("FDSTOREREMOVE") == "1":
                for entry in [entry for entry in self.stored if entry[0] == name]:
                    os.close(entry[1])
                    self.stored.remove(entry)
            if said.get("FDSTORE") == "1" and not any(
                    same_file(fd, fds[0]) for _, fd in self.stored):
                assert said["FDPOLL"] == "0"
                self.stored.append((name, fds.pop(0)))
                self.n_stores += 1
        for fd in fds:
            os.close(fd)

    def _send(self, data: bytes, fds=()) -> None:
        socket.send_fds(self._sender, [data], fds)

    def sync(self) -> None:
        """Return when everything that was sent before was read."""
        done = os.eventfd(0)
        self._send(b"SYNC=1", [done])
        os.eventfd_read(done)
        os.close(done)

    def names(self) -> list[str]:
        """Names of what is stored now."""
        self.sync()
        with self._lock:
            return sorted(name for name, _ in self.stored)

    def fd(self, name: str) -> int:
        """What is stored under a name."""
        self.sync()
        with self._lock:
            return dict(self.stored)[name]

    def drop(self, name: str) -> None:
        """Lose what is stored under a name."""
        self._send(f"FDSTOREREMOVE=1\nFDNAME={name}".encode())
        self.sync()

    def close(self) -> None:
        """End; what is stored is closed."""
        self._send(b"END")
        self._thread.join()
        self._socket.close()
        self._sender.close()
        for _, fd in self.stored:
            os.close(fd)


class ManagedDaemon(Daemon):
    """A daemon with a service manager, which gives it what the former one stored."""

    def __init__(self, config, manager: Manager, prefix=(), **options):
        self.manager, self._command = manager, list(prefix)
        super().__init__(config, **options)

    def spawn(self) -> None:
        """Start it with all that is stored."""
        self.manager.sync()
        names = [name for name, _ in self.manager.stored]
        fds = [os.dup(fd) for _, fd in self.manager.stored]
        script = "".join(f"exec {FIRST_FD + i}<&{high} {high}<&-; " for i, high in
                         enumerate(self._high(fds)))
        self._prefix = ["/bin/bash", "-c", script + 'LISTEN_PID=$$ exec "$@"', "bash",
                        *self._command]
        self._env = {**os.environ, "NOTIFY_SOCKET": self.manager.path}
        if fds:
            self._env |= {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(names)}
        try:
            super().spawn()
        finally:
            for fd in self._pass_fds:
                os.close(fd)
            self._pass_fds = ()

    def _high(self, fds: list[int]) -> tuple[int, ...]:
        """The same descriptors with numbers above those that they get in the daemon."""
        self._pass_fds = tuple(_libc.fcntl(fd, 0, FIRST_FD + 256) for fd in fds)  # F_DUPFD
        for fd in fds:
            os.close(fd)
        return self._pass_fds
