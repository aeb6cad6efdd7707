# SPDX-License-Identifier: BSD-3-Clause
"""A lasting connection to a daemon's control socket: calls, and events as they come."""
import json
import socket


class RpcError(Exception):
    """A request was refused."""

    def __init__(self, error: dict):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code, self.message = error["code"], error["message"]


class Connection:
    """A client of the control socket."""

    def __init__(self, path, timeout: float = 20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self._lines = self.sock.makefile("rb")
        self._events: list[dict] = []
        self._id = 0

    def line(self) -> dict | None:
        """The next line; None at the end."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def call(self, method: str, params: dict | None = None):
        """Call a method; its result. Events that come before are kept."""
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method}
        if params is not None:
            request["params"] = params
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        while (answer := self.line()) is not None and answer.get("method") == "event":
            self._events.append(answer["params"])
        if answer is None:
            raise ConnectionError(f"{method}: the daemon closed the connection")
        assert answer["jsonrpc"] == "2.0" and answer["id"] == self._id, answer
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def event(self) -> dict:
        """The next event."""
        if self._events:
            return self._events.pop(0)
        line = self.line()
        if line is None:
            raise ConnectionError("the daemon closed the connection")
        assert line["method"] == "event" and "id" not in line, line
        return line["params"]

    def close(self) -> None:
        """Disconnect."""
        self._lines.close()
        self.sock.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_unused) -> None:
        self.close()
