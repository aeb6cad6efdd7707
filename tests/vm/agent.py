# SPDX-License-Identifier: BSD-3-Clause
"""Commands in a guest: the host's side of tests/vm/guest/agent.c."""
import os
import struct
from typing import Callable

from .process import Deadline, Timeout
from .pump import Peer, Pump

SYNC_MAGIC = b"okl4fs-agent-v1\n"
WINDOW = 65536
RUN, STDIN, SIGNAL, WINSIZE = 1, 2, 3, 4
OUT, EXIT, CREDIT = 16, 17, 18
RUN_STDIN, RUN_TTY = 1, 2


class CommandFailed(Exception):
    """A command in the guest ended with a status other than 0."""


class Command:
    """A command that runs, or has run, in the guest."""

    def __init__(self, agent: "Agent", number: int, text: str,
                 on_output: Callable[[bytes], None] | None):
        self.text = text
        self.status: int | None = None
        self.output = bytearray()
        self._agent = agent
        self._number = number
        self._on_output = on_output
        self.credit = WINDOW
        self.lost: str | None = None

    def took(self, data: bytes) -> None:
        """Output has arrived."""
        if self._on_output:
            self._on_output(data)
        else:
            self.output += data

    def done(self) -> bool:
        """It has ended."""
        return self.status is not None

    def wait(self, timeout: float) -> tuple[int, str]:
        """Wait for its end; (status, output)."""
        self._agent.wait(lambda: self.done() or self.lost, timeout, f"guest command `{self.text}`",
                         self)
        if not self.done():
            raise Timeout(f"guest command `{self.text}`: {self.lost}")
        return self.status, self.output.decode("utf-8", "surrogateescape")

    def wait_output(self, text: str, timeout: float, times: int = 1) -> str:
        """Wait until its output contains `text` that many times (or it ends); return the output so far."""
        wanted = text.encode()
        self._agent.wait(lambda: self.output.count(wanted) >= times or self.done() or self.lost,
                         timeout, f"guest command `{self.text}` to print {text!r}", self)
        if self.output.count(wanted) < times:
            raise CommandFailed(f"`{self.text}` ended without printing {text!r}: "
                                f"{self.output.decode(errors='replace')}")
        return self.output.decode("utf-8", "surrogateescape")

    def write(self, data: bytes, timeout: float = 60) -> None:
        """Give it standard input; waits while the command does not take it."""
        view = memoryview(data)
        deadline = Deadline(timeout)
        while view:
            self._agent.wait(lambda: self.credit or self.done() or self.lost, deadline.left(),
                             f"`{self.text}` to read", self)
            with self._agent.changed:
                if self.done() or self.lost:
                    return
                piece = view[:self.credit]
                self.credit -= len(piece)
                self._agent.send(STDIN, self._number, bytes(piece))
            view = view[len(piece):]

    def close_input(self) -> None:
        """End its standard input."""
        self._agent.send(STDIN, self._number, b"")

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        self._agent.send(SIGNAL, self._number, struct.pack("<I", number))

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size."""
        self._agent.send(WINSIZE, self._number, struct.pack("<I", rows | columns << 16))


class Agent(Peer):
    """The agent in the guest, on a pump."""

    def __init__(self, pump: Pump):
        super().__init__()
        self.changed = pump.changed
        self._pump = pump
        self._received = bytearray()
        self._token: bytes | None = None
        self.ready = False
        self._commands: dict[int, Command] = {}
        self._last_number = 0

    def synchronise(self) -> None:
        """Greet the agent of a guest that is starting; `ready` says when it has answered."""
        with self.changed:
            self.drop_commands("the guest was reset")
            self.ready = False
            self._received.clear()
            self._token = os.urandom(16)
            self.outgoing += SYNC_MAGIC + self._token
            self._pump.wake()

    def drop_commands(self, why: str) -> None:
        """Forget all commands: none of them will report again."""
        with self.changed:
            for command in self._commands.values():
                command.lost = why
            self._commands.clear()
            self.changed.notify_all()

    def send(self, kind: int, number: int, payload: bytes) -> None:
        """Queue a frame."""
        with self.changed:
            self.outgoing += struct.pack("<III", kind, number, len(payload)) + payload
            self._pump.wake()

    def start(self, text: str, stdin: bool, tty: bool,
              on_output: Callable[[bytes], None] | None) -> Command:
        """Start a command; on_output, if given, is called in the pump's thread."""
        with self.changed:
            self._last_number += 1
            command = Command(self, self._last_number, text, on_output)
            self._commands[self._last_number] = command
            flags = (RUN_STDIN if stdin else 0) | (RUN_TTY if tty else 0)
            self.send(RUN, self._last_number,
                      struct.pack("<I", flags) + text.encode("utf-8", "surrogateescape"))
        return command

    def wait(self, condition, timeout: float, what: str, command: Command | None = None) -> None:
        """Wait until condition() holds."""
        deadline = Deadline(timeout)
        with self.changed:
            while not condition():
                if self._pump.error:
                    raise self._pump.error
                if self.closed:
                    raise Timeout(f"{what}: QEMU is gone")
                if deadline.left() <= 0 and command and command.output:
                    tail = command.output[-2000:].decode(errors="replace")
                    raise Timeout(f"{what}: not within {deadline.seconds:g} s; "
                                  f"its output ends: {tail}")
                deadline.check(what)
                self.changed.wait(deadline.left_s())

    def feed(self, data: bytes) -> None:
        self._received += data
        if not self.ready and not self._find_answer():
            return
        while len(self._received) >= 12:
            kind, number, length = struct.unpack_from("<III", self._received)
            if len(self._received) < 12 + length:
                return
            payload = bytes(self._received[12:12 + length])
            del self._received[:12 + length]
            self._take(kind, number, payload)

    def _find_answer(self) -> bool:
        if self._token is None:
            return False
        wanted = SYNC_MAGIC + self._token
        at = self._received.find(wanted)
        if at < 0:
            return False
        del self._received[:at + len(wanted)]
        self.ready = True
        return True

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        command = self._commands.get(number)
        if command is None:
            return
        if kind == OUT:
            command.took(payload)
        elif kind == CREDIT:
            command.credit += struct.unpack("<I", payload)[0]
        elif kind == EXIT:
            command.status = struct.unpack("<I", payload)[0]
            del self._commands[number]
        else:
            raise ValueError(f"agent: unknown frame {kind}")
