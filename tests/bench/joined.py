# SPDX-License-Identifier: BSD-3-Clause
"""Guest to guest: the endpoint `channel` compared with what would be used without it.

There are two guests, and in each of them one `okl4test peer` per way. All are open at the same time
and take turns:

    channel        two channels that are joined inside the daemon
    relay-rw       two channels `unix-listen`, and tests/bench/relay.c between their sockets
    relay-splice   the same, with splice(2)
    virtio-serial  two connected ports: one QEMU listens, the other connects to it
"""
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.guest import LIMIT_S, PIECES, GuestEnd, medians_of, rate, round_trip
from vm import Daemon, Deadline, Guest, Process, guest_config, paths, remove_scratch, scratch_dir

NAMES = ("left", "right")
RELAYS = ("rw", "splice")
WAYS = ("channel", *(f"relay-{how}" for how in RELAYS), "virtio-serial")
PORT = "$(grep -lx bench /sys/class/virtio-ports/*/name | sed 's|.*ports/|/dev/|; s|/name||')"
MEM_MIB = 256


def _channels(scratch: Path, side: int) -> dict:
    """The channels of a guest."""
    relayed = {f"relay-{how}": {"type": "unix-listen", "path": str(scratch / f"{how}{side}.sock")}
               for how in RELAYS}
    return {"channel": {"type": "channel", "guest": NAMES[1 - side], "channel": "channel"},
            **relayed}


def _serial(scratch: Path, side: int) -> list[str]:
    """A virtio-serial port. The left QEMU, which starts first, listens."""
    role = "" if side else ",server=on,wait=off"
    return ["-device", "virtio-serial-pci,id=benchbus",
            "-chardev", f"socket,id=bench,path={scratch / 'serial.sock'}{role}",
            "-device", "virtserialport,bus=benchbus.0,nr=2,chardev=bench,name=bench"]


def _wait_readers(daemon: Daemon) -> None:
    """Wait until each guest's writers have a reader: the daemon notices an open a moment later."""
    deadline = Deadline(LIMIT_S)
    while True:
        channels = [channel for name in NAMES
                    for channel in daemon.rpc("channel.list", {"guest": name})["channels"]]
        if all(channel["state"] == "attached" and channel["fwd"]["host_phase"] % 2
               for channel in channels):
            return
        deadline.check(f"a reader for each channel ({channels})")


def one_round(left: GuestEnd, right: GuestEnd, into: dict[str, list[float]]) -> None:
    """Measure every figure of one way once, from left to right: the two sides are alike."""
    for piece in PIECES:
        into[f"rate_{piece}_mib_s"].append(rate(right, left, piece))
    round_trip(right, left, into)


def run_rounds(daemon: Daemon, guests: list[Guest], rounds: int) -> dict:
    """Run all rounds, in which the ways take turns; return every figure."""
    ends = {way: [GuestEnd(guest, PORT if way == "virtio-serial" else f"/okl4/{way}")
                  for guest in guests] for way in WAYS}
    _wait_readers(daemon)
    samples: dict = {way: defaultdict(list) for way in WAYS}
    for i in range(rounds):
        for way in WAYS if i % 2 == 0 else WAYS[::-1]:
            print(f"okl4fs: joined, round {i + 1} of {rounds}: {way}", file=sys.stderr, flush=True)
            one_round(*ends[way], samples[way])
    for end in (end for pair in ends.values() for end in pair):
        end.close()
    return samples


def compare(samples: dict) -> dict:
    """{peer: {figure: the median of the rounds' ratios}}; more is better for the channel."""
    def better(key: str, ours: float, theirs: float) -> float:
        return ours / theirs if key.endswith("mib_s") else theirs / ours

    return {peer: {key: round(median(better(key, *pair)
                                     for pair in zip(ours, samples[peer][key])), 2)
                   for key, ours in samples["channel"].items()} for peer in WAYS[1:]}


def measure(rounds: int, smp: int) -> dict:
    """The medians, the ratios of the channel to each peer, and every sample."""
    scratch = scratch_dir()
    config = [guest_config(name, scratch / f"{name}.sock", _channels(scratch, side))
              for side, name in enumerate(NAMES)]
    try:
        with Daemon({"guests": config}) as daemon, ExitStack() as stack:
            for how in RELAYS:
                relay = Process([paths.BUILD / "bench/relay", how,
                                 *(scratch / f"{how}{side}.sock" for side in range(2))],
                                stdin=subprocess.DEVNULL)
                stack.callback(relay.stop)
            guests = [stack.enter_context(Guest(
                scratch / f"{name}.sock", smp=smp, mem_mib=MEM_MIB,
                qemu_args=_serial(scratch, side))) for side, name in enumerate(NAMES)]
            samples = run_rounds(daemon, guests, rounds)
    finally:
        remove_scratch(scratch)
    return {"median": medians_of(samples), "ratio": compare(samples), "samples": samples}
