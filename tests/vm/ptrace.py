# SPDX-License-Identifier: BSD-3-Clause
"""Stop one thread of another program, which no signal can."""
import ctypes
import os
import select
from pathlib import Path

from .process import Deadline

PTRACE_DETACH, PTRACE_SYSCALL, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 24, 0x4206, 0x4207
VHOST_THREAD = ("vhost-events", "dpdk-vhost-evt")  # DPDK's names for it, by version
WALL = 0x40000000  # waitpid(2): any child, and any thread that is traced

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, tid: int) -> None:
    if _libc.ptrace(request, tid, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {tid}")


def threads(pid: int) -> dict[str, int]:
    """Thread ids of a process, by name; the oldest of those that have the same one.

    A thread that was just started has the name of the one that started it.
    """
    found: dict[str, int] = {}
    for task in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name)):
        found.setdefault((task / "comm").read_text(encoding="utf-8").strip(), int(task.name))
    return found


class StoppedThread:
    """A thread, known by one of some names, that is stopped until its process ends or the context
    is left."""

    def __init__(self, pid: int, *names: str):
        self.tid = next(tid for name, tid in threads(pid).items() if name in names)

    def __enter__(self) -> "StoppedThread":
        _ptrace(PTRACE_SEIZE, self.tid)
        _ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WALL)
        return self

    def wait_end(self, limit_s: float) -> None:
        """Wait until the process was killed; the thread stays until we have waited for it."""
        deadline, poller = Deadline(limit_s), select.poll()
        while os.waitpid(self.tid, WALL | os.WNOHANG)[0] == 0:
            deadline.check(f"the end of thread {self.tid}")
            poller.poll(20)

    def next_call(self) -> bool:
        """Let it run to the beginning or the end of its next system call; False: it has ended."""
        _ptrace(PTRACE_SYSCALL, self.tid)
        return os.WIFSTOPPED(os.waitpid(self.tid, WALL)[1])

    def __exit__(self, *_unused) -> None:
        try:
            _ptrace(PTRACE_DETACH, self.tid)
        except ProcessLookupError:
            pass  # the process was killed
