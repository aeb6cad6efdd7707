# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's machine protocol."""
import json
from typing import Callable

from .process import Deadline, Timeout
from .pump import Peer, Pump


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp(Peer):
    """A QMP session on a pump."""

    def __init__(self, pump: Pump, on_event: Callable[[dict], None]):
        super().__init__()
        self._on_event = on_event
        self.events: list[dict] = []
        self._pump = pump
        self._rest = b""
        self._replies: dict[int, dict] = {}
        self._last_id = 0
        self._post({"execute": "qmp_capabilities", "id": 0})

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
                self._on_event(message)
            elif "id" in message:
                self._replies[message["id"]] = message

    def _post(self, message: dict) -> None:
        self.outgoing += json.dumps(message).encode() + b"\n"
        self._pump.wake()

    def call(self, command: str, arguments: dict, timeout: float):
        """Run a command; what it returns."""
        deadline = Deadline(timeout)
        with self._pump.changed:
            self._last_id += 1
            number = self._last_id
            self._post({"execute": command, "arguments": arguments, "id": number})
            while number not in self._replies:
                if self.closed:
                    raise QmpError(f"{command}: QEMU is gone")
                self._pump.changed.wait(deadline.left_s())
                if number not in self._replies:
                    deadline.check(f"QMP {command}")
            reply = self._replies.pop(number)
        if "error" in reply:
            raise QmpError(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def wait_event(self, name: str, since: int, timeout: float) -> dict:
        """The first event called `name` among self.events[since:], waiting for it."""
        deadline = Deadline(timeout)
        with self._pump.changed:
            while True:
                for event in self.events[since:]:
                    if event["event"] == name:
                        return event
                if self.closed:
                    raise Timeout(f"event {name}: QEMU is gone")
                deadline.check(f"event {name}")
                self._pump.changed.wait(deadline.left_s())
