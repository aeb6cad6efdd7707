# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts far from each other: two network namespaces, and a link that delays and loses packets.

The link is a TUN device in each namespace, and a process between them that holds each packet back and
drops some at random, as netem(8) does, which is not in every kernel. The packets are lost to the
kernels' TCP, which sends them again. A user without rights gets a user namespace for all this.
"""
import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from vm.process import Process

ADDRESSES = ("198.18.0.1", "198.18.0.2")  # for measurements of networks (RFC 2544)
DEVICE = "wan"
MTU = 1500
MAX_QUEUED = 1000
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 0x0001, 0x1000


class Wan:
    """The two hosts; ends with its process."""

    def __init__(self, seed: int, delay_ms: float = 0, loss: float = 0):
        as_root = [] if os.getuid() == 0 else ["--map-root-user"]
        self._sock, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._sock.settimeout(20)
        with theirs:
            self._process = Process(["unshare", "--net", *as_root, sys.executable, Path(__file__),
                                     str(seed), str(delay_ms), str(loss)],
                                    stdin=theirs, stdout=theirs)
        self._pids = self._answer()["pids"]

    def _answer(self) -> dict:
        return json.loads(self._sock.recv(4096))

    def inside(self, host: int) -> list[str]:
        """What stands before a command that is to run on host 0 or 1."""
        into = [] if os.getuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self._pids[host]}", "--net", *into]

    def run(self, host: int, *command: str) -> str:
        """Run a command there; its output."""
        return subprocess.run([*self.inside(host), *command], check=True, capture_output=True,
                              text=True, timeout=60).stdout

    def plug(self, host: int, on: bool) -> None:
        """Switch the host's device on or off."""
        self.run(host, "ip", "link", "set", DEVICE, "up" if on else "down")

    def cut(self, cut: bool) -> dict[str, int]:
        """Lose every packet, or no longer; how many the link has passed on and lost so far."""
        self._sock.sendall(b"1" if cut else b"0")
        return self._answer()["packets"]

    def close(self) -> None:
        """End it."""
        self._sock.close()
        self._process.wait(20)


class Link:
    """The process between the two hosts."""

    def __init__(self, seed: int, delay_ms: float, loss: float):
        self.random, self.delay_s, self.loss = random.Random(seed), delay_ms / 1000, loss
        self.cut, self.passed, self.lost = False, 0, 0
        self.tuns: list[int] = []
        self.queue: list[tuple[float, int, bytes, int]] = []  # due, number, packet, to

    def make_host(self, address: str) -> None:
        """Give the present namespace a device, which is kept when this process is elsewhere."""
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        for command in (f"link set lo up;addr add {address}/24 dev {DEVICE};"
                        f"link set {DEVICE} mtu {MTU} up").split(";"):
            subprocess.run(["ip", *command.split()], check=True)
        self.tuns.append(tun)

    def take(self, host: int) -> None:
        """A packet from a host."""
        try:
            packet = os.read(self.tuns[host], MTU + 64)
        except OSError:  # the device is off, or there is none after all
            return
        if self.cut or len(self.queue) >= MAX_QUEUED or self.random.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        heapq.heappush(self.queue, (time.monotonic() + self.delay_s, self.passed, packet, 1 - host))

    def give(self) -> float | None:
        """Deliver what is due; return how many milliseconds are left for the next one."""
        while self.queue:
            left_s = self.queue[0][0] - time.monotonic()
            if left_s > 0:
                return left_s * 1000 + 1
            _, _, packet, host = heapq.heappop(self.queue)
            try:
                os.write(self.tuns[host], packet)
            except OSError:  # the device is off
                self.lost += 1
        return None

    def run(self) -> None:
        """Work until the test closes our input."""
        poller = select.poll()
        for fd in (0, *self.tuns):
            poller.register(fd, select.POLLIN)
        while True:
            for fd, _ in poller.poll(self.give()):
                if fd:
                    self.take(self.tuns.index(fd))
                    continue
                command = b""
                with contextlib.suppress(ConnectionResetError):
                    command = os.read(0, 1)
                if not command:
                    return
                self.cut = command == b"1"
                tell({"packets": {"passed": self.passed, "lost": self.lost}})


def tell(what: dict) -> None:
    """An answer to the test."""
    os.write(1, json.dumps(what).encode())


def main() -> None:
    """Make the first host here, leave a process there that holds it, and go on in the second one."""
    link = Link(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    link.make_host(ADDRESSES[0])
    first, ready = os.getpid(), os.pipe()
    first = os.fork()
    if not first:
        os.close(ready[1])
        os.read(ready[0], 1)  # its end is the other process's
        os._exit(0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    link.make_host(ADDRESSES[1])
    tell({"pids": [first, os.getpid()]})
    link.run()


if __name__ == "__main__":
    main()
