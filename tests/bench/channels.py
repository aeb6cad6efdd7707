# SPDX-License-Identifier: BSD-3-Clause
"""What a small round trip costs beside other channels: 1, 16, 256 and 1024 in all.

There is one guest per number. They run at the same time and take turns, so that all of them see the
same machine. In each guest `okl4test peer` sends 64 bytes through an echo; all other channels are
attached and open in another process, first idle, then each with a reader that sleeps.
"""
import sys
from collections import defaultdict
from contextlib import ExitStack
from statistics import median

from bench.guest import PING_BYTES, PINGS, GuestEnd, medians_of
from vm import Daemon, Guest, guest_config, remove_scratch, scratch_dir

NUMBERS = (1, 16, 256, 1024)
WAYS = ("idle", "asleep")
RING_BYTES = 4096
MEM_MIB = 256


def _channels(number: int) -> dict:
    return {f"c{index}": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}
            for index in range(number)}


class Place:
    """A guest with some number of channels, all open."""

    def __init__(self, guest: Guest, number: int):
        self._guest, self._number = guest, number
        guest.check("mkdir -p /all && mount -t okl4fs -o populate okl4fs /all")
        self._end = GuestEnd(guest, f"/all/c{number // 2}")
        self._others = None

    def others(self, way: str) -> None:
        """Keep all other channels open in this way."""
        if self._others:
            self._others.close_input()
            self._others.wait(120)
        command = (f"ulimit -n 4096; exec okl4test hold /all but=c{self._number // 2} "
                   f"sleepers={'yes' if way == 'asleep' else 'no'}")
        self._others = self._guest.spawn(command, stdin=True)
        self._others.wait_output("ready\n", 120)

    def measure(self) -> float:
        """The median of the round trip, in us."""
        self._end.ask(f"ping {PING_BYTES} {PINGS}")
        return float(self._end.answer()[1])


def measure(rounds: int, smp: int) -> dict:
    """{way: {number: median}}, the ratios to one channel, and every sample."""
    scratch = scratch_dir()
    samples: dict = {way: defaultdict(list) for way in WAYS}
    guests = [guest_config(f"g{number}", scratch / f"g{number}.sock", _channels(number))
              for number in NUMBERS]
    try:
        with Daemon({"guests": guests}), ExitStack() as stack:
            places = {number: Place(stack.enter_context(
                Guest(scratch / f"g{number}.sock", smp=smp, mem_mib=MEM_MIB)), number)
                for number in NUMBERS}
            for way in WAYS:
                for place in places.values():
                    place.others(way)
                for i in range(rounds):
                    print(f"okl4fs: channels, others {way}, round {i + 1} of {rounds}",
                          file=sys.stderr, flush=True)
                    for number in NUMBERS if i % 2 == 0 else NUMBERS[::-1]:
                        samples[way][number].append(places[number].measure())
    finally:
        remove_scratch(scratch)
    ratios = {way: {number: round(median(v / one for v, one in zip(figures[number], figures[1])),
                                  2) for number in NUMBERS}
              for way, figures in samples.items()}
    return {"median": medians_of(samples), "ratio": ratios, "samples": samples}
