# SPDX-License-Identifier: BSD-3-Clause
"""The promises of docs/cloud-hypervisor.md, against frontends that speak as these programs do.

Neither program is in Debian. What each of them says, in which order and with which flags, was taken from
its source; the page says which versions. It is a table here, so that it can be compared with the source
again. A step in brackets is said for each queue, one queue after the other.
"""
import os
import re
import signal
import struct
import subprocess
import unittest

import vhost_user as vu
from guest_end import PING, Channel, Driver, statuses
from memory import Memory, Region
from rig import RING_BYTES
from vhost_user import Frontend, Ring
from vm.daemon import Daemon, guest_config
from vm.manual import examples
from vm.paths import BUILD, ROOT
from vm.process import Deadline, scratch_dir
from vm.ptrace import StoppedThread

STATUS = statuses(ROOT / "libfs" / "include" / "libfs" / "status.h")
QUEUE_SIZE = 128

# All virtio features and protocol features that Cloud Hypervisor knows, for --generic-vhost-user; for --fs
# it knows the same protocol features except CONFIG, BACKEND_REQ and DEVICE_STATE.
CLOUD_FEATURES = 1 << 28 | 1 << 29 | 1 << 30 | 1 << 32 | 1 << 35 | 1 << 36 | 1 << 38
CLOUD_PROTOCOL = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 9 | 1 << 12 | 1 << 15 | 1 << 19


class Vmm(Frontend):
    """A frontend that says what a table says.

    steps: what it says, by occasion; features, protocol: what it knows; asks_ack: it wants every message
    acknowledged as soon as REPLY_ACK is agreed on; one_call: all queues share one call descriptor
    """
    STEPS: dict[str, str] = {}
    FEATURES = PROTOCOL = 0
    ASKS_ACK = ONE_CALL = False

    def __init__(self, path, memory: Memory, n_queues: int = 2):
        super().__init__(path, memory)
        self.n_queues = n_queues
        self.acked = 0
        self.flags = vu.VERSION

    # Messages

    def expect(self, request: int) -> bytes:
        """The reply's payload; header and size are checked as rust-vmm checks them."""
        got = self.receive()
        if got[:2] != (request, vu.VERSION | vu.REPLY) or len(got[2]) != 8:
            raise AssertionError(f"{got} is not a reply to {request}")
        return got[2]

    def say(self, request: int, payload: bytes = b"", fds=()) -> None:
        """Send a message; if it asks for an acknowledgement, it must be accepted."""
        self.send(request, payload, fds, self.flags)
        if self.flags & vu.NEED_REPLY and self.expect(request) != bytes(8):
            raise AssertionError(f"message {request} was refused")

    def ask(self, request: int, payload: bytes = b"") -> bytes:
        self.send(request, payload, (), self.flags)
        return self.expect(request)

    # Steps

    def set_owner(self) -> None:
        """SET_OWNER."""
        self.say(vu.SET_OWNER)

    def get_features(self) -> None:
        """GET_FEATURES."""
        self.acked = self.ask_u64(vu.GET_FEATURES) & self.FEATURES

    def set_features(self) -> None:
        """SET_FEATURES: what the driver has acknowledged, and the protocol features' bit."""
        self.say(vu.SET_FEATURES, struct.pack("<Q", self.acked | vu.F_PROTOCOL_FEATURES))

    def get_protocol(self) -> None:
        """GET_PROTOCOL_FEATURES."""
        self.protocol = self.ask_u64(vu.GET_PROTOCOL_FEATURES) & self.PROTOCOL

    def set_protocol(self) -> None:
        """SET_PROTOCOL_FEATURES; the first acknowledgement is that of the next message."""
        self.say(vu.SET_PROTOCOL_FEATURES, struct.pack("<Q", self.protocol))
        if self.ASKS_ACK and self.protocol & vu.PROTOCOL_REPLY_ACK:
            self.flags |= vu.NEED_REPLY

    def get_queue_num(self) -> None:
        """GET_QUEUE_NUM; zero queues are as many as the backend has."""
        most = self.ask_u64(vu.GET_QUEUE_NUM)
        assert self.n_queues <= most
        self.n_queues = self.n_queues or most

    def set_memory_table(self) -> None:
        """SET_MEM_TABLE."""
        self.say(vu.SET_MEM_TABLE, *self.mem_table())

    def num(self, index: int, ring: Ring) -> None:
        """SET_VRING_NUM."""
        self.say(vu.SET_VRING_NUM, struct.pack("<II", index, ring.size))

    def addr(self, index: int, ring: Ring) -> None:
        """SET_VRING_ADDR."""
        self.say(vu.SET_VRING_ADDR, self.addr_payload(index, ring))

    def base_zero(self, index: int, _ring: Ring) -> None:
        """SET_VRING_BASE with 0."""
        self.say(vu.SET_VRING_BASE, struct.pack("<II", index, 0))

    def base_avail(self, index: int, ring: Ring) -> None:
        """SET_VRING_BASE with the available index: requests that were not answered are left out."""
        self.say(vu.SET_VRING_BASE, struct.pack("<II", index, ring._avail_idx))

    def call(self, index: int, ring: Ring) -> None:
        """SET_VRING_CALL."""
        self.say(vu.SET_VRING_CALL, struct.pack("<Q", index), [ring.call_fd])

    def kick(self, index: int, ring: Ring) -> None:
        """SET_VRING_KICK."""
        self.say(vu.SET_VRING_KICK, struct.pack("<Q", index), [ring.kick_fd])

    def on(self, index: int, _ring: Ring) -> None:
        """SET_VRING_ENABLE with 1."""
        self.say(vu.SET_VRING_ENABLE, struct.pack("<II", index, 1))

    def off(self, index: int, _ring: Ring) -> None:
        """SET_VRING_ENABLE with 0."""
        self.say(vu.SET_VRING_ENABLE, struct.pack("<II", index, 0))

    def get_base(self, index: int, ring: Ring) -> None:
        """GET_VRING_BASE: the backend has served the ring up to here."""
        got, base = struct.unpack("<II", self.ask(vu.GET_VRING_BASE, struct.pack("<II", index, 0)))
        assert (got, base) == (index, ring.used_idx()), (got, base, ring.state())

    def does(self, occasion: str) -> "Vmm":
        """Say what the table has for an occasion."""
        for step in re.findall(r"\[.*?\]|\S+", self.STEPS[occasion]):
            if step[0] != "[":
                getattr(self, step)()
                continue
            for index, ring in enumerate(self.rings):
                for each in step[1:-1].split():
                    getattr(self, each)(index, ring)
        return self

    # The guest

    def make_rings(self) -> "Vmm":
        """The driver sets up its queues; the frontend says nothing of them before DRIVER_OK."""
        self.rings = [Ring(self.memory, QUEUE_SIZE) for _ in range(self.n_queues)]
        for ring in self.rings[1:] if self.ONE_CALL else ():
            os.dup2(self.rings[0].call_fd, ring.call_fd)
        return self

    def take_over(self, former: "Vmm") -> "Vmm":
        """The rings of a connection that has ended, as they are."""
        self.rings, former.rings = former.rings, []
        self.acked, self.protocol = former.acked, former.protocol
        former.sock.close()
        return self


class CloudHypervisor(Vmm):
    """Cloud Hypervisor; --fs and --generic-vhost-user agree with okl4fsd on the same features."""
    FEATURES, PROTOCOL, ASKS_ACK = CLOUD_FEATURES, CLOUD_PROTOCOL, True
    _ACTIVATE = "set_features set_memory_table [num] [addr base_avail call kick] [on]"
    STEPS = {
        "start": "set_owner get_features get_protocol set_protocol get_queue_num",
        "activate": _ACTIVATE,
        "reset": "[off get_base]",
        "pause": "[off]",
        "resume": "[on]",
        "hotplug": "set_memory_table",
        "reconnect": "set_owner get_features set_protocol " + _ACTIVATE,
    }

    def get_features(self) -> None:
        """The features that were agreed on are kept when it reconnects."""
        before = self.acked
        super().get_features()
        self.acked = before or self.acked


class Libkrun(Vmm):
    """libkrun's generic vhost-user device."""
    FEATURES, PROTOCOL, ONE_CALL = (1 << 64) - 1, 1 << 0 | 1 << 9, True
    STEPS = {
        "start": "get_features get_protocol set_protocol get_queue_num",
        "start, 2 queues": "get_features get_protocol set_protocol",
        "activate": "set_owner set_memory_table set_features [num base_zero addr kick call on]",
        "reset": "[off]",
    }


class VmmTest(unittest.TestCase):
    """A daemon that listens, with an echo channel."""

    def setUp(self):
        self.scratch = scratch_dir()
        self.path = self.scratch / "vm1.sock"
        self.daemon = Daemon({"guests": [guest_config("vm1", self.path, {
            "echo": {"ring_bytes": RING_BYTES, "endpoint": {"type": "echo"}}})]},
            scratch=self.scratch)
        self.addCleanup(self.daemon.stop)
        self.memory = Memory(Region(0, 1 << 20), Region(1 << 20, 8 << 20), Region(1 << 32, 4 << 20))

    def guest(self) -> dict:
        """What `guest.list` says."""
        return self.daemon.rpc("guest.list")["guests"][0]

    def wait_queues(self, n: int) -> None:
        """Wait until so many queues are in use; at once where messages are acknowledged."""
        deadline = Deadline(20)
        while self.guest()["queues"] != n:
            deadline.check(f"{n} queues")

    def connect(self, kind: type[Vmm], n_queues: int = 2) -> Vmm:
        """A connection."""
        vmm = kind(self.path, self.memory, n_queues)
        self.addCleanup(vmm.close)
        return vmm

    def boot(self, kind: type[Vmm], start: str = "start", n_queues: int = 2) -> Channel:
        """Start the program and the guest's driver; an open channel."""
        vmm = self.connect(kind, n_queues).does(start)
        self.assertEqual(self.guest()["queues"], 0)
        vmm.make_rings().does("activate")
        self.wait_queues(vmm.n_queues)
        driver = Driver(vmm)
        driver.hello()
        channel = Channel(driver, "echo", region=2).attach().open()
        channel.echo(os.urandom(3 * RING_BYTES))
        return channel

    def reset(self, channel: Channel) -> None:
        """The driver resets the device and sets it up again; the streams go on."""
        driver = channel.driver
        channel.write(b"written before the reset")
        driver.frontend.does("reset")
        self.wait_queues(0)
        for ring in driver.frontend.rings:
            ring.clear()
        driver.frontend.does("activate")
        self.go_on(channel)
        self.assertEqual(channel.read(24), b"written before the reset")
        channel.echo(os.urandom(3 * RING_BYTES))

    def go_on(self, channel: Channel) -> None:
        """What the driver says on fresh rings."""
        channel.driver.post_all()
        channel.driver.hello()
        channel.attach()
        channel.ring()

    def assert_clean(self) -> None:
        """Nothing was refused, and there is no warning in the log."""
        guest = self.guest()
        self.assertEqual((guest["messages_dropped"], guest["device_errors"]), (0, 0))
        self.assertNotRegex(self.daemon.log(), "(?m)^(warning|err)(?!.* PING refused: .*HELLO must)")


class CloudHypervisorTest(VmmTest):
    """Start, reset, pause, memory hotplug; a daemon that is killed and comes back."""

    def test_start_pause_hotplug_reset(self):
        channel = self.boot(CloudHypervisor)
        vmm = channel.driver.frontend
        self.assertEqual((vmm.acked, vmm.protocol), (vu.F_VERSION_1 | vu.F_PROTOCOL_FEATURES,
                                                     vu.PROTOCOL_MQ | vu.PROTOCOL_REPLY_ACK))
        vmm.does("pause")
        channel.write(b"written in the pause")
        channel.ring()
        vmm.does("resume")
        self.assertEqual(channel.read(20), b"written in the pause")
        vmm.does("hotplug")
        channel.echo(os.urandom(3 * RING_BYTES))
        self.reset(channel)
        self.assert_clean()

    def test_nothing_is_activated(self):
        """The driver's status does not become 0x0f: the device waits, and the guest can still try."""
        vmm = self.connect(CloudHypervisor).does("start")
        self.assertEqual((self.guest()["connected"], self.guest()["ready"]), (True, False))
        vmm.make_rings().does("activate").does("reset")
        self.assertEqual(self.guest()["queues"], 0)
        vmm.does("activate")
        Driver(vmm).hello()
        self.assert_clean()

    def killed(self, channel: Channel) -> bytes:
        """Kill the daemon with bytes and a request under way; start another; what was written."""
        data = os.urandom(RING_BYTES)
        channel.echo(os.urandom(1000))
        channel.driver.ping()  # by then the ring is empty
        with StoppedThread(self.daemon.pid, "worker-0") as stopped:
            self.assertEqual(channel.write_some(data), RING_BYTES)
            channel.ring()
            self.ask_without_waiting(channel.driver)
            self.daemon.signal(signal.SIGKILL)
            stopped.wait_end(20)
        self.daemon.wait()
        self.daemon.restart()
        return data

    def ask_without_waiting(self, driver: Driver) -> None:
        """Make a PING available."""
        request = driver.header(PING, 16)
        self.memory.write(driver._request, request)
        driver.frontend.rings[0].add([(driver._request, len(request), False),
                                      (driver._reply, 16, True)])

    def reconnect(self, channel: Channel, kind: type[Vmm]) -> Vmm:
        """The program comes back by itself, with the same rings."""
        vmm = self.connect(kind).take_over(channel.driver.frontend).does("reconnect")
        channel.driver.frontend = vmm
        return vmm

    def test_generic_daemon_is_killed(self):
        """The generic carrier: the request is answered, HELLO follows, and nothing is lost.

        This program says that the rings begin with what is not available yet, and kicks no queue. (From
        pull request 8759 on it kicks all of them, which only helps.)
        """
        channel = self.boot(CloudHypervisor)
        driver = channel.driver
        data = self.killed(channel)
        vmm = self.reconnect(channel, CloudHypervisor)
        vmm.rings[0].wait(other_fd=vmm.sock.fileno())
        kind, status = struct.unpack("<HH", self.memory.read(driver._reply + 4, 4))
        self.assertEqual((kind, status), (PING, STATUS["REQ_NO_HELLO"]))
        driver.hello()
        channel.attach()
        channel.echo(data, len(data))
        channel.echo(os.urandom(5 * RING_BYTES))  # more wake-ups than there are event buffers
        driver.ping()
        self.assert_clean()

    def test_as_in_the_readme(self):
        """What README.md has for it, typed in a shell whose cloud-hypervisor prints its arguments."""
        self.daemon.rpc("guest.add", {"guest": guest_config("default", self.scratch / "default.sock", {
            "intervm_test": {"type": "unix-listen", "path": str(self.scratch / "out.sock")}})})
        programs = (f'okl4fsctl() {{ {BUILD}/okl4fsctl -s {self.daemon.control_path} "$@"; }}\n'
                    "cloud-hypervisor() { printf '%s\\n' \"$@\"; }\n")
        install, start = examples("README.md", "sh", "With Cloud Hypervisor")
        self.assertEqual(install, examples("README.md", "sh", "With QEMU")[0])
        said = self.shell(programs + start).stdout.split()
        self.assertEqual(said[said.index("--memory") + 1], "size=1024M,shared=on")
        device = dict(item.split("=") for item in said[said.index("--fs") + 1].split(","))
        self.assertRegex(device.pop("tag"), "^okl4fs")
        self.path = device.pop("socket")
        self.assertEqual(device, {"num_queues": "1", "queue_size": str(QUEUE_SIZE)})

        vmm = self.connect(CloudHypervisor).does("start").make_rings().does("activate")
        driver = Driver(vmm)
        driver.hello()
        channel = Channel(driver, "intervm_test", region=2).attach().open()
        channel.write(b"hello\n")
        channel.close_writer()
        read = examples("README.md", "sh", "In the guest")[-1]
        self.assertEqual(self.shell(programs + read).stdout, "hello\n")
        self.assert_clean()

    @staticmethod
    def shell(commands: str) -> subprocess.CompletedProcess:
        """Type commands."""
        return subprocess.run(["bash", "-e", "-c", commands], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, timeout=60, check=True)

    def test_fs_daemon_is_killed(self):
        """The fs carrier: it has reconnected when the driver resets the device."""
        channel = self.boot(CloudHypervisor)
        data = self.killed(channel)
        vmm = self.reconnect(channel, CloudHypervisor)
        vmm.rings[0].wait(other_fd=vmm.sock.fileno())
        vmm.does("reset")
        for ring in vmm.rings:
            ring.clear()
        vmm.does("activate")
        self.go_on(channel)
        channel.echo(data, len(data))
        channel.echo(os.urandom(3 * RING_BYTES))
        self.assert_clean()


class LibkrunTest(VmmTest):
    """Start and reset; it does not reconnect."""

    def test_two_queues(self):
        channel = self.boot(Libkrun, "start, 2 queues")
        self.assertEqual(channel.driver.frontend.protocol, vu.PROTOCOL_MQ)
        self.reset(channel)
        self.reset(channel)
        self.assert_clean()

    def test_number_of_queues_is_left_to_us(self):
        channel = self.boot(Libkrun, n_queues=0)
        self.assertEqual(channel.driver.frontend.n_queues, 17)
        self.assert_clean()


if __name__ == "__main__":
    unittest.main()
