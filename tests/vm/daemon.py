# SPDX-License-Identifier: BSD-3-Clause
"""A daemon of a test's own: okl4fsd with a configuration, its control socket and its log."""
import json
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

from . import paths
from .process import Deadline, Process, Timeout, remove_scratch, scratch_dir
from .ptrace import VHOST_THREAD


class DaemonError(Exception):
    """The daemon did not start, or refused a request."""


def guest_config(name: str, socket_path, channels: dict[str, dict], **more) -> dict:
    """A guest of a configuration; channels: {name: endpoint, or a whole channel}."""
    listed = []
    for channel, what in channels.items():
        entry = what if "endpoint" in what else {"endpoint": what}
        listed.append({"name": channel, **entry})
    return {"name": name, "socket": str(socket_path), "channels": listed, **more}


def _without_comments(text: str) -> dict:
    """Read JSON in which comments have lines of their own."""
    return json.loads("".join(line for line in text.splitlines(keepends=True)
                              if not line.lstrip().startswith("//")))


class Daemon:
    """okl4fsd with the configuration `config`, ready when the constructor returns.

    config is the content of the file, or an existing file. Control socket, log and configuration lie
    in `scratch`, which is also the daemon's working directory. A configuration that does not name a
    control socket gets one there. With `stderr`, the log goes to that descriptor, and log() does not
    see it.
    """

    def __init__(self, config: dict | Path, *, args=(), env=None, prefix=(), timeout: float = 20,
                 scratch: Path | None = None, start: bool = True, stderr: int | None = None):
        self.scratch = scratch or scratch_dir()
        self.timeout = timeout
        self.log_path = self.scratch / "okl4fsd.log"
        self.config_path = self.scratch / "okl4fsd.json"
        if isinstance(config, Path):
            self.config_path.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
            config = _without_comments(config.read_text(encoding="utf-8"))
        self._args, self._env, self._prefix = list(args), env, list(prefix)
        self._stderr = stderr
        self._pass_fds: tuple[int, ...] = ()
        self._process: Process | None = None
        self.config = config
        if "control" not in config:
            config["control"] = {"path": str(self.scratch / "control.sock")}
        self.control_path = str(self.scratch / config["control"]["path"])
        if not self.config_path.exists():
            self.write_config()
        if start:
            try:
                self.start()
            except BaseException:
                self.stop()
                raise

    def write_config(self) -> None:
        """Write self.config for the next start or reload."""
        self.config_path.write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it answers on its control socket."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start it."""
        with open(self.log_path, "ab") as log:
            self._process = Process(self._prefix + [paths.BUILD / "okl4fsd", "--config",
                                                    self.config_path, *self._args],
                                    stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log if self._stderr is None else self._stderr,
                                    env=self._env, cwd=self.scratch,
                                    pass_fds=self._pass_fds)

    def wait_ready(self) -> None:
        """Wait until it answers on its control socket."""
        deadline = Deadline(self.timeout)
        poller = select.poll()
        poller.register(self._process.pidfd, select.POLLIN)
        while True:
            try:
                self.rpc("version")
                return
            except OSError:  # not there yet: its end is an event, but its start is not
                if poller.poll(10):
                    status = self._process.kill()
                    raise DaemonError(f"okl4fsd ended with status {status}: {self.log()[-3000:]}")
                deadline.check(f"okl4fsd to answer (log: {self.log()[-1000:]})")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def pidfd(self) -> int:
        """A descriptor that becomes readable when it has ended."""
        return self._process.pidfd

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def switches(self) -> dict[str, int]:
        """How often each thread was scheduled; without DPDK's, which looks round once a second."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            status = (task / "status").read_text(encoding="utf-8")
            name = re.search(r"^Name:\s*(.*)$", status, re.M)[1]
            if name not in VHOST_THREAD:
                found[f"{name} {task.name}"] = sum(
                    int(n) for n in re.findall(r"voluntary_ctxt_switches:\s*(\d+)", status))
        return found

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Wait for its end; the exit status."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        self._process.kill()

    def restart(self) -> None:
        """Start it again after kill() or a clean end (which this waits for)."""
        if self.running():
            self._process.signal(signal.SIGTERM)
            self.wait()
        self.start()

    def stop(self) -> int | None:
        """End it cleanly and remove its files; the exit status, or None if it never ran."""
        status = None
        if self._process is not None:
            status = self._process.stop()
        remove_scratch(self.scratch)
        return status

    def log(self) -> str:
        """What it has logged since the first start."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, text: str, timeout: float = 20, since: int = 0) -> str:
        """Wait until the log contains `text` at or after character `since`; return the log from there."""
        deadline = Deadline(timeout)
        poller = select.poll()
        poller.register(self._process.pidfd, select.POLLIN)
        while text not in self.log()[since:]:
            deadline.check(f"okl4fsd to log {text!r} (log: {self.log()[-2000:]})")
            if poller.poll(20) and text not in self.log()[since:]:
                raise DaemonError(f"okl4fsd ended without logging {text!r}: {self.log()[-2000:]}")
        return self.log()[since:]

    # Requests

    def rpc(self, method: str, params: dict | None = None, timeout: float = 20):
        """Call a method on the control socket; its result."""
        deadline = Deadline(timeout)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            sock.connect(self.control_path)
            request = {"jsonrpc": "2.0", "id": 1, "method": method}
            if params is not None:
                request["params"] = params
            sock.sendall(json.dumps(request).encode() + b"\n")
            received = b""
            while not received.endswith(b"\n"):
                sock.settimeout(max(0.001, deadline.left_s()))
                try:
                    piece = sock.recv(65536)
                except TimeoutError:
                    raise Timeout(f"{method}: no answer within {timeout:g} s") from None
                if not piece:
                    raise ConnectionError(f"{method}: the daemon closed the connection")
                received += piece
        reply = json.loads(received)
        if "error" in reply:
            raise DaemonError(f"{method}: {reply['error'].get('message')}")
        return reply["result"]

    def ctl(self, *args, timeout: float = 20, stdin: bytes = b"") -> tuple[int, str, str]:
        """Run okl4fsctl; (status, stdout, stderr)."""
        done = subprocess.run([paths.BUILD / "okl4fsctl", "-s", self.control_path, *map(str, args)],
                              input=stdin, capture_output=True, timeout=timeout, check=False)
        return (done.returncode, done.stdout.decode(errors="replace"),
                done.stderr.decode(errors="replace"))

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_unused) -> None:
        self.stop()
