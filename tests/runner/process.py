# SPDX-License-Identifier: BSD-3-Clause
"""Running one test program: with a limit, in a group of its own, and nothing left behind."""
import ctypes
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Outcome:
    """How a test program ended."""
    status: int
    output: str
    timed_out: bool
    left_behind: list[str]

    def trouble(self) -> str:
        """What went wrong apart from its tests, or an empty string."""
        if self.timed_out:
            return "did not end in time"
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        if self.left_behind:
            return "left processes behind: " + "; ".join(self.left_behind)
        return ""


def become_reaper() -> None:
    """Make orphans of the tests our children, so that none escapes; make signals end us cleanly."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER)")

    def leave(_number, _frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def _kill(number: int, target: int) -> None:
    """As kill(2), also for what runs through sudo."""
    try:
        os.kill(target, number)
    except PermissionError:
        subprocess.run(["sudo", "kill", "-s", str(number), "--", str(target)], check=False,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def _through_sudo(argv: list[str], env: dict[str, str]) -> list[str]:
    """The command line of a command as root, which sees these variables and a path."""
    settings = {"PATH": os.environ.get("PATH", os.defpath), **env}
    return ["sudo", "--", "env", *(f"{key}={value}" for key, value in settings.items()), *argv]


def _children() -> list[int]:
    return [int(pid) for task in Path("/proc/self/task").iterdir()
            for pid in (task / "children").read_text(encoding="ascii").split()]


def _end_orphans() -> list[str]:
    """Kill and reap what the last test left; the command lines of those that still ran."""
    names = []
    while pids := _children():
        for pid in pids:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                # One that is ending has no memory left, and so no command line
                if name := b" ".join(words).decode(errors="replace")[:120].strip():
                    names.append(name)
                    _kill(signal.SIGKILL, pid)
                os.waitpid(pid, 0)
            except (FileNotFoundError, ProcessLookupError, ChildProcessError):
                pass
    return names


def _copy(pipe, parts: list[bytes], show) -> None:
    for line in pipe:
        parts.append(line)
        if show:
            show(line.decode(errors="replace").rstrip("\n"))


def run(argv, timeout: float, show=None, cwd=None, env=None, as_root=False) -> Outcome:
    """Run a program; show, if given, is called with each line of its output as it comes.

    as_root: through sudo, if we are not root
    """
    argv = [str(arg) for arg in argv]
    if as_root and os.geteuid():
        argv = _through_sudo(argv, env or {})
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
                             env={**os.environ, **(env or {})}, process_group=0)
    parts: list[bytes] = []
    reader = threading.Thread(target=_copy, args=(child.stdout, parts, show), daemon=True)
    reader.start()
    timed_out = False
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        _kill(signal.SIGTERM, child.pid)  # it may want to clean up
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            pass
    finally:
        if child.poll() is None:
            _kill(signal.SIGKILL, -child.pid)
            child.wait()
        left_behind = _end_orphans()
        reader.join(10)
    sys.stdout.flush()
    return Outcome(child.returncode, b"".join(parts).decode(errors="replace"), timed_out,
                   left_behind)
