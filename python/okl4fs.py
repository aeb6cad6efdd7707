# SPDX-License-Identifier: BSD-3-Clause
"""Client of okl4fsd, the host's end of okl4fs channels: its control socket, and the channels themselves.

    import okl4fs

    with okl4fs.Client() as client:
        for guest in client.guest_list()["guests"]:
            print(guest["name"], guest["ready"])
        with client.open("vm1/intervm_test") as sock:
            sock.sendall(b"hello\\n")
        for event in client.events(kinds=["channel"], timeout=60):
            print(event["kind"], event["channel"])

Results and events are dictionaries as in okl4fs-control(7), which describes all methods; later versions of
the daemon may add members. A request that fails raises Error. A Client is for one thread at a time.
"""
from __future__ import annotations

import enum
import json
import os
import select
import socket as sockets
import ssl
import time
from typing import TYPE_CHECKING, Any, Iterable, Iterator, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired

__all__ = ["Client", "Code", "Error", "Event", "Events", "KINDS", "default_sockets"]

TIMEOUT_S = 30.0
PAGE_CHANNELS = 256


class Error(Exception):
    """The daemon has refused a request.

    code: says what kind of error it is, see Code
    message: a sentence
    data: more, or None
    method: the method that was called; None if the daemon ended the connection with this error
    """

    def __init__(self, code: int, message: str, data: Any = None, method: str | None = None):
        super().__init__(code, message, data, method)
        self.code, self.message, self.data, self.method = code, message, data, method

    def __str__(self) -> str:
        return f"{self.method}: {self.message}" if self.method else self.message


# --- begin: made by python/make-methods from docs/okl4fs-control.7; do not edit


class Code(enum.IntEnum):
    """Codes of errors."""
    # The line is not JSON.
    PARSE_ERROR = -32700
    # The JSON is not a request.
    INVALID_REQUEST = -32600
    # There is no such method.
    METHOD_NOT_FOUND = -32601
    # A parameter is missing, is not known, or is not what it must be.
    INVALID_PARAMS = -32602
    # The daemon is out of memory.
    INTERNAL_ERROR = -32603
    # There are too many clients, which one is told when it connects, or too many clients that want
    # events (events.subscribe).
    BUSY = -32000
    # The daemon cannot do that as things stand (guest.add, channel.add, config.reload,
    # config.saved).
    REFUSED = -32001
    # The client has no right to that.
    DENIED = -32002
    # The client has asked nothing for too long, or another client needed its place.
    IDLE = -32003


class GuestNumbers(TypedDict):
    """The type `guest-numbers` of okl4fs-control(7)."""
    # Guests that are served.
    total: int
    # Those with a frontend, that is QEMU or Cloud Hypervisor.
    connected: int
    # Those whose driver has said hello.
    ready: int
    # Those whose socket cannot be made.
    unavailable: int


class ChannelNumbers(TypedDict):
    """The type `channel-numbers` of okl4fs-control(7)."""
    # Channels that the guest has not opened.
    detached: int
    # Channels in use.
    attached: int
    # Channels whose memory is away for now.
    suspended: int
    # Channels whose guest broke the rules, and those that were reset.
    failed: int
    # Channels that are not offered, because their endpoint cannot be made.
    unavailable: int


class Guest(TypedDict):
    """The type `guest` of okl4fs-control(7)."""
    # Name.
    name: str
    # "vhost-user" or "serial", as in okl4fsd.json(5).
    way: str
    # The vhost-user socket; for "serial", where the paths of its ports' sockets begin.
    socket: str
    # "listen" if the daemon listens there, "connect" if the frontend does.
    socket_mode: str
    # Somebody has removed or replaced the file of the socket at which the daemon listens; a reload
    # makes it anew.
    path_lost: bool
    # Why the socket cannot be made; a reload tries again.
    error: str | None
    # The frontend is connected; for "serial", at least one port is.
    connected: bool
    # Why the daemon has not reached a frontend that should listen: path and error of the last
    # connect(2).
    away: str | None
    # The frontend has set the features. QEMU does so when the guest begins to use the device, just
    # before it hands over the guest's memory.
    negotiated: bool
    # The driver has said hello; for "serial", which has no driver of ours, as connected.
    ready: bool
    # Another one each time the driver starts.
    driver_instance: str | None
    # Channels, also those that are unavailable.
    channels: int
    # Virtqueues in use.
    queues: int
    # Guest memory that is mapped.
    memory_bytes: int
    # Bytes of streams whose guest has gone, still to be delivered.
    tail_bytes: int
    # Control requests of the driver that were served.
    requests: int
    # Control requests of the driver that were refused.
    requests_refused: int
    # FUSE requests, of firmware or of a virtiofs mount, that were answered with an error.
    fuse_requests_declined: int
    # Messages of the frontend that were refused.
    messages_dropped: int
    # How often the device was taken from the frontend for a bad memory region or vring.
    device_errors: int


class Channel(TypedDict):
    """The type `channel` of okl4fs-control(7)."""
    # Its guest.
    guest: str
    # Name.
    name: str
    # Its id in the guest.
    id: int
    # "detached", "attached", "suspended", "failed" or "unavailable": not offered to the guest,
    # because its endpoint cannot be made; a reload tries again.
    state: str
    # Why the channel has failed.
    failure: Failure | None
    # Size of each of its two rings.
    ring_bytes: int
    # Its sessions, if the configuration says that it has some. The numbers of fwd, bwd, attaches,
    # lost_bytes and errors are sums over them then, those that have ended included.
    sessions: Sessions | None
    # Each end can be opened only once at a time in the guest.
    exclusive: bool
    # It carries messages.
    packets: bool
    # Permission bits of its node in the guest, octal.
    guest_mode: str | None
    # Owner of its node in the guest.
    guest_uid: int | None
    # Group of its node in the guest.
    guest_gid: int | None
    # Path of the socket of its port, for a guest with \(dqway\(dq: \(dqserial\(dq.
    port: str | None
    # Why the daemon has not reached a port where QEMU should listen: path and error of the last
    # connect(2).
    port_away: str | None
    # The host's end.
    endpoint: Endpoint
    # Which memory the channel has, or had last.
    instance: str | None
    # How often the guest has attached memory.
    attaches: int
    # From the guest to the host.
    fwd: Direction
    # From the host to the guest.
    bwd: Direction
    # Bytes of streams whose guest has gone, still to be delivered.
    tail_bytes: int
    # Bytes that the guest wrote and that are lost.
    lost_bytes: int
    # How often the guest broke which rule.
    errors: dict[str, int]


class Sessions(TypedDict):
    """The type `sessions` of okl4fs-control(7)."""
    # How many there may be at once.
    max: int
    # How many there are.
    live: int
    # How many of these wait for the other side.
    waiting: int
    # How many there were at most at once.
    peak: int
    # Sessions that were opened so far.
    opened: int
    # Those that were not: nobody answered, nobody called, or all were in use.
    refused: int


class Failure(TypedDict):
    """The type `failure` of okl4fs-control(7)."""
    # Name of the rule that was broken.
    status: str
    # The same as a sentence.
    text: str


class Endpoint(TypedDict):
    """The type `endpoint` of okl4fs-control(7)."""
    # As in okl4fsd.json(5).
    type: str
    # A peer is connected.
    connected: bool
    # (intervm) The file that is sent.
    file: NotRequired[str]
    # (intervm) How often it is sent.
    rounds: NotRequired[int]
    # (unix-listen, mux-listen, unix-connect) The socket.
    path: NotRequired[str]
    # (unix-listen, mux-listen) Somebody has removed or replaced the file of the socket; a reload
    # makes it anew.
    path_lost: NotRequired[bool]
    # Connections so far.
    clients: NotRequired[int]
    # (unix-listen, mux-listen, tcp-listen) Clients that were turned away because there was one
    # already, or, of mux-listen, no place to wait.
    clients_refused: NotRequired[int]
    # (unix-connect, tcp-connect) Attempts to connect that failed.
    attempts_failed: NotRequired[int]
    # (TLS) Handshakes that failed.
    handshakes_failed: NotRequired[int]
    # (TLS) Connections that ended without a close_notify.
    connections_torn: NotRequired[int]
    # Why the last connection, or attempt to connect, failed, or why the endpoint cannot be made.
    error: NotRequired[str | None]
    # (tcp-listen, tcp-connect) Where the daemon listens, or what it connects to.
    address: NotRequired[str]
    # (tcp-listen, tcp-connect) Connections are encrypted.
    tls: NotRequired[bool]
    # (unix-connect, tcp-connect) Version of the PROXY header that each connection begins with.
    proxy: NotRequired[str | None]
    # (channel) The other guest.
    guest: NotRequired[str]
    # (channel) The channel of the other guest.
    channel: NotRequired[str]


class Direction(TypedDict):
    """The type `direction` of okl4fs-control(7)."""
    # Bytes that the host has moved.
    bytes: int
    # Pieces, of any size, that the host has moved.
    messages: int
    # Bytes in the ring; 0 while the channel is not attached.
    fill_bytes: int
    # How often the host has woken the guest.
    wakes_sent: int
    # How often the guest has woken the host.
    wakes_received: int
    # How often the host slept because the ring was full.
    full_stalls: int
    # How often the host slept because the ring was empty.
    empty_stalls: int
    # How often the host's end was opened.
    opens: int
    # Phase of the host's end: odd while it is open.
    host_phase: int
    # Phase of the guest's end: odd while it is open.
    guest_phase: int
    # Which program in the guest has opened the guest's end first; null while it is not open, and
    # where the guest does not tell.
    guest_opener: Opener | None


class Opener(TypedDict):
    """The type `opener` of okl4fs-control(7)."""
    # Its name, as ps(1) shows it; bytes that are not UTF-8 are replaced.
    comm: str
    # Its process id.
    pid: int
    # Its effective user id.
    uid: int
    # Its effective group id.
    gid: int


class Event(TypedDict):
    """Something that happened; `kind` says which members it has."""
    # Counts the events of the daemon; a filter leaves gaps.
    seq: int
    # When it happened: microseconds since 1970.
    realtime_us: NotRequired[int]
    # When it happened: microseconds of CLOCK_MONOTONIC.
    monotonic_us: NotRequired[int]
    # What happened.
    kind: str
    # The guest to which it happened.
    guest: NotRequired[str]
    # The channel of that guest.
    channel: NotRequired[str]
    # How many events the client has missed.
    count: NotRequired[int]
    # Of guest.ready.
    driver_instance: NotRequired[str]
    # Of channel.failed, channel.lost, config.refused, endpoint.disconnected, guest.broken.
    reason: NotRequired[str]
    # Of channel.added, channel.removed, channel.reset.
    id: NotRequired[int]
    # Of channel.attached.
    instance: NotRequired[str]
    # Of channel.attached.
    again: NotRequired[bool]
    # Of channel.opened.
    end: NotRequired[str]
    # Of channel.opened.
    guest_opener: NotRequired[Opener | None]
    # Of channel.opened.
    unreported: NotRequired[int]
    # Of channel.failed.
    status: NotRequired[str]
    # Of channel.lost.
    bytes: NotRequired[int]
    # Of endpoint.connected, endpoint.disconnected.
    type: NotRequired[str]
    # Of endpoint.disconnected.
    torn: NotRequired[bool]
    # Of endpoint.taken.
    all: NotRequired[bool]
    # Of endpoint.taken.
    guest_writes: NotRequired[bool]
    # Of config.reloaded.
    guests: NotRequired[int]
    # Of log.changed.
    level: NotRequired[str]


class Version(TypedDict):
    """Result of version."""
    # okl4fsd
    name: str
    # Version of the daemon.
    version: str
    # Version of the layout of guest memory.
    abi_version: int


class Status(TypedDict):
    """Result of status."""
    # okl4fsd
    name: str
    # Version of the daemon.
    version: str
    # Version of the layout of guest memory.
    abi_version: int
    # Process.
    pid: int
    # Another one each time the daemon starts.
    instance: str
    # Milliseconds since the daemon started.
    uptime_ms: int
    # Threads that serve guests.
    workers: int
    # The least serious level that is logged.
    log_level: str
    # The control socket.
    control_path: str
    # The configuration file.
    config_path: str | None
    # How many guests there are.
    guests: GuestNumbers
    # How many channels are in which state.
    channels: ChannelNumbers
    # How many parts of the configuration cannot be served.
    n_problems: int
    # The first 64 of them, each a sentence that names the guest and the channel.
    problems: list[str]


class GuestList(TypedDict):
    """Result of guest.list."""
    # In the order of the configuration.
    guests: list[Guest]


class ChannelList(TypedDict):
    """Result of channel.list."""
    # In the order in which the daemon began to serve their guests, then by id.
    channels: list[Channel]
    # There are more channels: the parameter for the call that lists the next ones.
    cursor: NotRequired[str]


class ChannelAdd(TypedDict):
    """Result of channel.add."""
    # Id of the channel in the guest.
    id: int


class ConfigReload(TypedDict):
    """Result of config.reload."""
    # Guests that the configuration has now.
    guests: int
    # How many parts of the configuration cannot be served, or cannot be applied without a restart.
    n_problems: int
    # The first 64 of them, each a sentence that names the guest and the channel.
    problems: list[str]


class ConfigGet(TypedDict):
    """Result of config.get."""
    # The configuration file.
    path: str | None
    # The file holds something that the daemon has neither read nor seen saved.
    file_changed: bool
    # Why no daemon would start with this text: a channel is joined to one that is not there, for
    # example.
    error: str | None
    # The text; null if it is longer than a file may be.
    text: str | None


class LogSet(TypedDict):
    """Result of log.set."""
    # The level that was set.
    level: str


class MetricsGet(TypedDict):
    """Result of metrics.get."""
    # Type of the text, as in HTTP.
    content_type: str
    # OpenMetrics.
    text: str


class Methods:
    """The methods of the daemon, one function for each."""

    def call(self, method: str, /, **params: Any) -> Any:
        """Call a method."""
        raise NotImplementedError

    def version(self) -> Version:
        """The version of the daemon."""
        return self.call("version")

    def status(self) -> Status:
        """What the daemon is doing."""
        return self.call("status")

    def guest_list(self, guest: str | None = None) -> GuestList:
        """The guests, and what they have done.

        guest: Only this guest.
        """
        return self.call("guest.list", guest=guest)

    def guest_add(self, guest: dict[str, Any]) -> None:
        """Serve one more guest until the next reload.

        Only an admin may call it.

        guest: The guest, as in okl4fsd.json(5).
        """
        self.call("guest.add", guest=guest)

    def guest_remove(self, guest: str) -> None:
        """Stop serving a guest.

        Only an admin may call it.

        guest: Name of the guest.
        """
        self.call("guest.remove", guest=guest)

    def channel_list(self, guest: str | None = None, limit: int | None = None,
                     cursor: str | None = None) -> ChannelList:
        """The channels, and what went through them.

        A channel that is there from the first call to the last one with a cursor is listed exactly
        once; one that is added or removed meanwhile may be listed or not. Each channel is shown as
        it was when it was listed. A cursor is valid as long as the daemon runs.

        guest: Only channels of this guest.
        limit: At most so many channels; 1 or more.
        cursor: Go on where the list ended that gave this cursor.
        """
        return self.call("channel.list", guest=guest, limit=limit, cursor=cursor)

    def channel_add(self, guest: str, channel: dict[str, Any]) -> ChannelAdd:
        """Offer one more channel until the next reload.

        Only an admin may call it.

        guest: Name of the guest.
        channel: The channel, as in okl4fsd.json(5).
        """
        return self.call("channel.add", guest=guest, channel=channel)

    def channel_remove(self, guest: str, channel: str) -> None:
        """Stop offering a channel.

        Only an admin may call it.

        guest: Name of the guest.
        channel: Name of the channel.
        """
        self.call("channel.remove", guest=guest, channel=channel)

    def channel_reset(self, guest: str, channel: str) -> None:
        """Fail a channel that is attached, so that the guest can begin a new stream.

        Only an admin may call it.

        guest: Name of the guest.
        channel: Name of the channel.
        """
        self.call("channel.reset", guest=guest, channel=channel)

    def config_reload(self) -> ConfigReload:
        """Read the configuration again and apply it. What could not be served before is tried
        again. A configuration with errors changes nothing and is an error; one of which parts
        cannot be served is applied except for these parts.

        Only an admin may call it.
        """
        return self.call("config.reload")

    def config_get(self) -> ConfigGet:
        """The running configuration, as the text of a configuration file. What is as by default is
        left out.

        Only an admin may call it.
        """
        return self.call("config.get")

    def config_saved(self) -> None:
        """Tell the daemon that its configuration file was replaced by the text of config.get. The
        daemon reads the file to compare it; nothing else changes.

        Only an admin may call it.
        """
        self.call("config.saved")

    def log_set(self, level: str) -> LogSet:
        """Set the level of the log.

        Only an admin may call it.

        level: err, warning, notice, info or debug.
        """
        return self.call("log.set", level=level)

    def metrics_get(self) -> MetricsGet:
        """The metrics, as the daemon serves them over HTTP. Only one client of each user at a time
        gets this result; the others wait.
        """
        return self.call("metrics.get")


KINDS = (
    "guest.added", "guest.removed", "guest.connected", "guest.ready", "guest.reset",
    "guest.broken", "guest.gone", "channel.added", "channel.removed", "channel.attached",
    "channel.opened", "channel.suspended", "channel.detached", "channel.failed",
    "channel.reset", "channel.lost", "endpoint.connected", "endpoint.disconnected",
    "endpoint.taken", "config.reloaded", "config.refused", "log.changed"
)

# --- end of what is made


def default_sockets() -> list[str]:
    """Where a daemon's control socket may be, as okl4fsctl(1) looks for it."""
    system = "/run/okl4fs/control.sock"
    user = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() == 0 or not user.startswith("/"):
        return [system]
    return [f"{user}/okl4fs/control.sock", system]


def _connect_unix(path: str, timeout: float | None,
                  kind: int = sockets.SOCK_STREAM) -> sockets.socket:
    sock = sockets.socket(sockets.AF_UNIX, kind)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError as error:
        sock.close()
        error.filename = path
        raise
    return sock


class _Connection:
    """A connection to the control socket: requests out, lines in."""

    def __init__(self, paths: list[str], timeout: float | None):
        for path in paths:
            try:
                self._sock = _connect_unix(path, timeout)
                break
            except OSError:
                if path == paths[-1]:
                    raise
        self.path = path
        self._buffer = bytearray()
        self._searched = 0
        self._id = 0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Disconnect."""
        self._sock.close()

    def has_line(self) -> bool:
        """Whether a line has come already."""
        return b"\n" in self._buffer

    def was_ended(self) -> bool:
        """Whether the daemon has ended the connection, or said so, although nothing was asked."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(self._buffer or poll.poll(0))

    def line(self, timeout: float | None) -> dict[str, Any] | None:
        """The next line; None after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (at := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            # A timeout of 0 would ask for a socket that does not block
            self._sock.settimeout(None if end is None else max(1e-6, end - time.monotonic()))
            try:
                piece = self._sock.recv(1 << 18)
            except TimeoutError:
                return None
            if not piece:
                raise ConnectionResetError(f"{self.path}: the daemon has closed the connection")
            self._buffer += piece
        line = bytes(self._buffer[:at])
        del self._buffer[:at + 1]
        self._searched = 0
        return json.loads(line)

    def call(self, method: str, params: dict[str, Any], timeout: float | None) -> Any:
        """Send a request and return the result."""
        self._id += 1
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": self._id, "method": method}
        if params:
            request["params"] = params
        line = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
        self._sock.settimeout(timeout)
        try:
            self._sock.sendall(line.encode() + b"\n")
        except BrokenPipeError:
            pass  # the daemon may have said why
        answer = self.line(timeout)
        if answer is None:
            raise TimeoutError(f"{method}: the daemon has not answered within {timeout:g} s")
        if "error" in answer:
            error = answer["error"]
            raise Error(error["code"], error["message"], error.get("data"),
                        method if answer["id"] == self._id else None)
        if answer.get("id") != self._id:
            raise ConnectionError(f"{self.path}: {method} was answered with id {answer.get('id')}")
        return answer["result"]


class Events(Iterator["Event"]):
    """Events as they happen; made by Client.events(). It has a connection of its own."""

    def __init__(self, connection: _Connection, params: dict[str, Any], timeout: float | None,
                 answer_timeout: float | None):
        self.timeout = timeout
        self._connection = connection
        # The answer comes before the first event
        answer = connection.call("events.subscribe", params, answer_timeout)
        self.seq: int = answer["seq"]
        # Whether the daemon has kept all events since then; None: nothing was asked for
        self.past_complete: bool | None = answer.get("past_complete")
        self._past: list[Event] = answer.get("past", [])[::-1]

    def __next__(self) -> Event:
        if self._past:
            return self._past.pop()
        line = self._connection.line(self.timeout)
        if line is None:
            raise StopIteration
        if "error" in line:  # for instance, a reload has taken the right to look
            raise Error(line["error"]["code"], line["error"]["message"], line["error"].get("data"))
        self.seq = line["params"]["seq"]
        return line["params"]

    def fileno(self) -> int:
        """The socket's descriptor, for select(2); pending() says whether events have come already."""
        return self._connection.fileno()

    def pending(self) -> bool:
        """Whether the next event is here, so that the descriptor need not become readable for it."""
        return bool(self._past) or self._connection.has_line()

    def close(self) -> None:
        """End the subscription."""
        self._connection.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self.close()


class Client(Methods):
    """A client of one daemon.

    socket: path of the control socket; by default those of default_sockets() are tried
    timeout: seconds within which the daemon must answer; None: no limit

    It connects at the first request, and again when the daemon has restarted or has dropped a client that
    asked nothing for long. A request during which the connection ends is not repeated, since the daemon
    may have carried it out: that raises ConnectionError. A daemon that is not there, or a socket that this
    user may not open, raises OSError with the path.
    """

    def __init__(self, socket: str | os.PathLike[str] | None = None, *,
                 timeout: float | None = TIMEOUT_S):
        self._paths = default_sockets() if socket is None else [os.fspath(socket)]
        self.timeout = timeout
        self._connection: _Connection | None = None

    def call(self, method: str, /, **params: Any) -> Any:
        """Call any method, with its parameters by name; those that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        if self._connection and self._connection.was_ended():
            self.close()
        try:
            return self._call_once(method, given)
        except Error as error:
            if error.method is not None or error.code != Code.IDLE:
                raise
        # The connection was ended for its silence just before: the request was not carried out.
        return self._call_once(method, given)

    def _call_once(self, method: str, params: dict[str, Any]) -> Any:
        if not self._connection:
            self._connection = _Connection(self._paths, self.timeout)
        try:
            return self._connection.call(method, params, self.timeout)
        except BaseException as error:
            # An answer that comes late must not be taken for that of the next request.
            if not isinstance(error, Error) or error.method is None:
                self.close()
            raise

    def events(self, guest: str | None = None, kinds: Iterable[str] | None = None,
               since: int | None = None, *, timeout: float | None = None) -> Events:
        """Subscribe to events, from now on; iterate over what this returns.

        guest: only events of this guest, which need not be there yet
        kinds: only events of these kinds, see KINDS; the part before the dot stands for all that begin
            with it
        since: begin with the events that the daemon has kept since then, in microseconds since 1970
        timeout: the iteration ends when no event comes for so many seconds; it can be taken up again.
            None: it goes on until the daemon ends, which raises ConnectionError

        To miss nothing, subscribe first, and then look how things are. An event of the kind `lost` says
        how many events a client has missed that was too slow.
        """
        params = {"guest": guest, "kinds": None if kinds is None else list(kinds), "since": since}
        connection = _Connection(self._paths, self.timeout)
        try:
            return Events(connection, {key: value for key, value in params.items()
                                       if value is not None}, timeout, self.timeout)
        except BaseException:
            connection.close()
            raise

    def channels(self, guest: str | None = None) -> Iterator[Channel]:
        """All channels, or those of a guest; asks for a part at a time."""
        cursor = None
        while True:
            page = self.channel_list(guest, PAGE_CHANNELS, cursor)
            yield from page["channels"]
            cursor = page.get("cursor")
            if cursor is None:
                return

    def open(self, name: str, *, tls: ssl.SSLContext | None = None) -> sockets.socket:
        """Connect to the host end of a channel.

        name: guest and channel, for instance vm1/intervm_test
        tls: for a channel whose endpoint is tcp-listen with TLS

        Return: the socket, which has no time limit. What is written to it can be read in the guest, and
        the other way round; shutdown(socket.SHUT_WR) is the end of file for the guest's readers. If the
        channel has packets, each send() is a message, and each recv() returns one. The
        endpoint must be unix-listen or tcp-listen, which serve one client at a time: the socket of a
        second one is at its end at once.
        """
        guest, slash, channel = name.partition("/")
        if not slash:
            raise ValueError(f"{name!r} does not name a channel: it must be GUEST/CHANNEL")
        for listed in self.channels(guest):
            if listed["name"] == channel:
                kind = sockets.SOCK_SEQPACKET if listed["packets"] else sockets.SOCK_STREAM
                return self._open_endpoint(name, listed["endpoint"], kind, tls)
        raise LookupError(f"guest {guest} has no channel {channel}")

    def _open_endpoint(self, name: str, endpoint: Endpoint, kind: int,
                       tls: ssl.SSLContext | None) -> sockets.socket:
        if endpoint["type"] == "unix-listen":
            sock = _connect_unix(endpoint["path"], self.timeout, kind)
        elif endpoint["type"] == "tcp-listen":
            if endpoint["tls"] and tls is None:
                raise ValueError(f"{name}: its endpoint wants TLS: give an ssl.SSLContext as tls")
            host, _, port = endpoint["address"].rpartition(":")
            sock = sockets.create_connection((host.strip("[]"), int(port)), self.timeout)
            if endpoint["tls"] and tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=host.strip("[]"))
        else:
            raise ValueError(f"{name}: its endpoint is {endpoint['type']}; only unix-listen and "
                             "tcp-listen can be opened")
        sock.settimeout(None)
        return sock

    def close(self) -> None:
        """Disconnect; the next request connects again."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None):
            self.close()
