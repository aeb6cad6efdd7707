# SPDX-License-Identifier: BSD-3-Clause
"""What one guest notices of a hostile frontend of another guest.

One daemon with one worker, so all guests share a thread. The victim is measured by our own frontend
(tests/frontend), which stands for QEMU and the guest's driver, so no guest has to boot: how long it
takes to set up a device and say HELLO, the round trip of 64 bytes through `echo`, and the rate of a
stream through it. The attackers are processes of their own. Each figure is taken without an attack
and during one, in turns. The attack `busy` is a process that only uses a CPU: what it costs is the
machine's doing, not the daemon's.
"""
import array
import multiprocessing
import os
import socket
import struct
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from vm import Daemon, Deadline, guest_config, remove_scratch, scratch_dir

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "frontend"))

import vhost_user as vu  # noqa: E402 (the path comes first)
from guest_end import Channel, Driver  # noqa: E402
from memory import Memory  # noqa: E402
from vhost_user import Dropped, Frontend  # noqa: E402

RING_BYTES = 65536
PINGS, SET_UPS, STREAM_BYTES = 2000, 3, 16 << 20
BURST_S = 2.0  # until an attacker has used up what it may send at once
ECHO = {"echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}}
GUESTS = ("victim", "newcomer", "attacker")
FIGURES = ("set_up_ms", "round_trip_p50_us", "round_trip_p99_us", "rate_mib_s")


def _connect(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    return sock


def _message(request: int, payload: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack("<III", request, vu.VERSION, len(payload) if size is None else size) + payload


# Each attack is one go; its process repeats it.

def _busy(_path: Path) -> None:
    for _ in range(100000):
        pass


def _half(path: Path) -> None:
    with _connect(path) as sock:
        sock.sendall(_message(vu.SET_OWNER)[:7])


def _no_payload(path: Path) -> None:
    with _connect(path) as sock:
        sock.sendall(_message(vu.SET_FEATURES, size=8))
        sock.recv(1)


def _connections(path: Path) -> None:
    socks = []
    try:
        for _ in range(2000):
            socks.append(_connect(path))
    finally:
        for sock in socks:
            sock.close()


def _descriptors(path: Path) -> None:
    fds = array.array("i", [sys.stdin.fileno()] * 253)
    with _connect(path) as sock:
        while True:
            sock.sendmsg([_message(vu.SET_OWNER)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


def _messages(path: Path) -> None:
    many = _message(vu.SET_OWNER) * 100
    with _connect(path) as sock:
        while True:
            sock.sendall(many)


def _set_ups(path: Path) -> None:
    with Frontend(path, Memory(size=4 << 20)) as frontend:
        frontend.setup(17)


ATTACKS = {"busy": _busy, "half messages": _half, "no payload": _no_payload,
           "2000 connections": _connections, "descriptors": _descriptors, "messages": _messages,
           "set-ups": _set_ups}


def _attack(name: str, path: Path, begun) -> None:
    """Repeat an attack until this process is killed."""
    begun.set()
    while True:
        try:
            ATTACKS[name](path)
        except (OSError, Dropped):
            pass


class Attacker:
    """A process that attacks while the block runs."""

    def __init__(self, name: str, path: Path):
        context = multiprocessing.get_context("fork")
        self._begun = context.Event()
        self._process = context.Process(target=_attack, args=(name, path, self._begun), daemon=True)

    def __enter__(self) -> None:
        self._process.start()
        self._begun.wait(30)
        time.sleep(BURST_S)

    def __exit__(self, *_unused) -> None:
        self._process.kill()
        self._process.join()


def _device(path: Path) -> Driver:
    """Everything from connecting to the answer of HELLO."""
    driver = Driver(Frontend(path, Memory(size=4 << 20)).setup())
    driver.hello()
    return driver


def _is_connected(daemon: Daemon, name: str) -> bool:
    return any(guest["name"] == name and guest["connected"]
               for guest in daemon.rpc("guest.list")["guests"])


def _set_up(daemon: Daemon, path: Path) -> float:
    """Median of some set-ups, in ms."""
    took = []
    for _ in range(SET_UPS):
        deadline = Deadline(60)
        while _is_connected(daemon, path.stem):
            deadline.check("the last frontend to be gone")
        began = time.perf_counter()
        driver = _device(path)
        took.append(time.perf_counter() - began)
        driver.frontend.close()
    return 1e3 * median(took)


def _round_trips(channel: Channel) -> tuple[float, float]:
    """p50 and p99, in us."""
    took, data = [], os.urandom(64)
    for _ in range(PINGS):
        began = time.perf_counter()
        channel.echo(data)
        took.append(time.perf_counter() - began)
    took.sort()
    return 1e6 * took[PINGS // 2], 1e6 * took[PINGS * 99 // 100]


def _rate(channel: Channel) -> float:
    """MiB per second, there and back."""
    data = os.urandom(1 << 20)
    began = time.perf_counter()
    for _ in range(STREAM_BYTES >> 20):
        channel.echo(data)
    return (STREAM_BYTES >> 20) / (time.perf_counter() - began)


def _sample(daemon: Daemon, channel: Channel, newcomer: Path) -> dict[str, float]:
    p50, p99 = _round_trips(channel)
    return dict(zip(FIGURES, (_set_up(daemon, newcomer), p50, p99, _rate(channel))))


def _one_worker(config: dict, scratch: Path) -> Daemon:
    """A daemon that had one CPU when it decided how many workers there are, and now has all."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    try:
        daemon = Daemon(config, scratch=scratch)
    finally:
        os.sched_setaffinity(0, cpus)
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cpus)
    return daemon


def measure(rounds: int) -> dict:
    """{attack: {figure: median}} before and during, the medians of the ratios, and every sample."""
    scratch = scratch_dir()
    path = {name: scratch / f"{name}.sock" for name in GUESTS}
    samples: dict = {when: {name: defaultdict(list) for name in ATTACKS}
                     for when in ("before", "during")}
    try:
        with _one_worker({"guests": [guest_config(name, path[name], ECHO) for name in GUESTS]},
                         scratch) as daemon:
            channel = Channel(_device(path["victim"]), "echo").attach().open()
            for i in range(rounds):
                for name in list(ATTACKS)[::1 if i % 2 == 0 else -1]:
                    print(f"okl4fs: isolation, round {i + 1} of {rounds}: {name}", file=sys.stderr,
                          flush=True)
                    before = _sample(daemon, channel, path["newcomer"])
                    with Attacker(name, path["attacker"]):
                        during = _sample(daemon, channel, path["newcomer"])
                    for key in FIGURES:
                        samples["before"][name][key].append(before[key])
                        samples["during"][name][key].append(during[key])
    finally:
        remove_scratch(scratch)
    medians = {when: {name: {key: round(median(values), 2) for key, values in figures.items()}
                      for name, figures in attacks.items()} for when, attacks in samples.items()}
    ratio = {name: {key: round(median(during / before for before, during in zip(
        samples["before"][name][key], samples["during"][name][key])), 2) for key in FIGURES}
        for name in ATTACKS}
    return {"median": medians, "ratio": ratio, "samples": samples}
