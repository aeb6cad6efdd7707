# SPDX-License-Identifier: BSD-3-Clause
"""okl4fs compared with virtio-serial, in the same guest and at the same time.

Both ends of both are `okl4test peer`: in the guest on /okl4/bench or the port, on the host on the
endpoint's socket or on that of QEMU's character device. So the figures include all that a user's
bytes go through: for okl4fs the guest's system call, the ring, the daemon and the host's socket.
"""
import queue
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from vm import Daemon, Guest, guest_config, remove_scratch, scratch_dir
from vm.hostend import OKL4TEST

PIECES = (65536, 4096)
BYTES = {65536: 256 << 20, 4096: 64 << 20}
PING_BYTES, PINGS = 64, 3000
LIMIT_S = 120


class GuestEnd:
    """`okl4test peer` in the guest."""

    def __init__(self, guest: Guest, target: str):
        self._lines: queue.Queue[str] = queue.Queue()
        self._rest = ""
        self._command = guest.spawn(f"exec okl4test peer {target}", stdin=True,
                                    on_output=self._took)
        self.answer()

    def _took(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data.decode()).split("\n")
        for line in lines:
            self._lines.put(line)

    def ask(self, line: str) -> None:
        """Give a command."""
        self._command.write(line.encode() + b"\n")

    def answer(self) -> list[str]:
        """The words of its answer."""
        words = self._lines.get(timeout=LIMIT_S).split()
        if words[0] not in ("ready", "done"):
            raise RuntimeError(f"in the guest: {' '.join(words)}")
        return words

    def close(self) -> None:
        """End the program."""
        self._command.close_input()
        self._command.wait(LIMIT_S)


class HostEnd:
    """`okl4test peer` on the host."""

    def __init__(self, path: Path):
        self._process = subprocess.Popen([OKL4TEST, "peer", f"unix:{path}"], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def ask(self, line: str) -> None:
        """Give a command."""
        self._process.stdin.write(line + "\n")

    def answer(self) -> list[str]:
        """The words of its answer."""
        words = self._process.stdout.readline().split()
        if not words:
            raise RuntimeError(f"the host's end died: {self._process.wait(LIMIT_S)}")
        return words

    def close(self) -> None:
        """End the program."""
        self._process.stdin.close()
        self._process.wait(LIMIT_S)


def exchange(first, first_line: str, second, second_line: str) -> tuple[list[str], list[str]]:
    """Give both ends a command; return their answers."""
    first.ask(first_line)
    second.ask(second_line)
    return first.answer(), second.answer()


def rate(sink, source, piece: int) -> float:
    """MiB/s from one end to the other in pieces of this size."""
    size = BYTES[piece]
    answer, _ = exchange(sink, f"sink {piece} {size}", source, f"source {piece} {size}")
    return float(answer[1])


def round_trip(pong, ping, into: dict[str, list[float]]) -> None:
    """Measure round trips from the end `ping`."""
    _, answer = exchange(pong, f"pong {PING_BYTES} {PINGS}", ping, f"ping {PING_BYTES} {PINGS}")
    into["round_trip_64_p50_us"].append(float(answer[1]))
    into["round_trip_64_p99_us"].append(float(answer[2]))


def one_round(inside: GuestEnd, outside: HostEnd, into: dict[str, list[float]]) -> None:
    """Measure every figure of one transport once."""
    for piece in PIECES:
        into[f"to_host_{piece}_mib_s"].append(rate(outside, inside, piece))
        into[f"to_guest_{piece}_mib_s"].append(rate(inside, outside, piece))
    round_trip(outside, inside, into)


def medians_of(samples: dict) -> dict:
    """{transport: {figure: median}}."""
    return {name: {key: round(median(values), 1) for key, values in figures.items()}
            for name, figures in samples.items()}


def daemon_alone(guest: Guest, ends: dict[str, GuestEnd], into: dict[str, list[float]]) -> None:
    """Measure the ring and the daemon alone, without a process on the host."""
    for name in ("discard", "echo"):
        if name not in ends:
            ends[name] = GuestEnd(guest, f"/okl4/{name}")
    ends["discard"].ask(f"source 65536 {BYTES[65536]}")
    into["discard_65536_mib_s"].append(float(ends["discard"].answer()[1]))
    ends["echo"].ask(f"ping {PING_BYTES} {PINGS}")
    answer = ends["echo"].answer()
    into["echo_64_p50_us"].append(float(answer[1]))
    into["echo_64_p99_us"].append(float(answer[2]))


def run_rounds(guest: Guest, scratch: Path, rounds: int) -> dict:
    """Run all rounds, in which the transports take turns; return every figure."""
    pairs = {"okl4fs": (GuestEnd(guest, "/okl4/bench"), HostEnd(scratch / "bench.sock")),
             "virtio-serial": (GuestEnd(guest, "$(grep -lx bench /sys/class/virtio-ports/*/name | "
                                        "sed 's|.*ports/|/dev/|; s|/name||')"),
                               HostEnd(scratch / "serial.sock"))}
    samples: dict = {name: defaultdict(list) for name in (*pairs, "daemon")}
    alone: dict[str, GuestEnd] = {}
    for i in range(rounds):
        order = list(pairs) if i % 2 == 0 else list(pairs)[::-1]
        for name in order:
            print(f"okl4fs: guest, round {i + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            one_round(*pairs[name], samples[name])
        daemon_alone(guest, alone, samples["daemon"])
    for inside, outside in pairs.values():
        inside.close()
        outside.close()
    for inside in alone.values():
        inside.close()
    return samples


def measure(rounds: int, smp: int) -> dict:
    """The medians, the ratios okl4fs : virtio-serial (more is better), and every sample."""
    scratch = scratch_dir()
    channels = {"bench": {"type": "unix-listen", "path": str(scratch / "bench.sock")},
                "discard": {"type": "discard"}, "echo": {"type": "echo"}}
    serial = ["-device", "virtio-serial-pci,id=benchbus",
              "-chardev", f"socket,id=bench,path={scratch / 'serial.sock'},server=on,wait=off",
              "-device", "virtserialport,bus=benchbus.0,nr=2,chardev=bench,name=bench"]
    try:
        with Daemon({"guests": [guest_config("bench", scratch / "vm.sock", channels)]}), \
                Guest(scratch / "vm.sock", smp=smp, qemu_args=serial) as guest:
            samples = run_rounds(guest, scratch, rounds)
    finally:
        remove_scratch(scratch)
    medians = medians_of(samples)
    ours, theirs = medians["okl4fs"], medians["virtio-serial"]
    ratios = {key: round(ours[key] / theirs[key] if key.endswith("mib_s") else
                         theirs[key] / ours[key], 2) for key in ours}
    return {"median": medians, "ratio": ratios, "samples": samples}
