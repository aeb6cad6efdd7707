# SPDX-License-Identifier: BSD-3-Clause
"""The device goes away and comes back, in every possible way: nothing hangs, nothing is lost."""
import contextlib
import select
import signal
import socket
import unittest
from pathlib import Path

from vm import Deadline, Timeout, guest_config, qemu, until
from vm.base import SYSFS, HotPlugged, echo, listens
from vm.fifo_peer import PATTERN

LIMIT_S = 120
DRAIN_BYTES = 1000

# Write the Slot Control register of a root port: capability 16 (PCI Express), offset 24. Bits 8 and 9
# are the power indicator (1: on, 3: off), bit 10 is "power off": the device's registers vanish.
SLOT_CONTROL = r"""
slot_control() { # PORT, HIGH BYTE in octal
	cd /sys/bus/pci/devices/$1
	cap=$(hexdump -v -s 52 -n 1 -e '1/1 "%u"' config)
	while [ "$(hexdump -v -s $cap -n 1 -e '1/1 "%u"' config)" != 16 ]; do
		cap=$(hexdump -v -s $((cap + 1)) -n 1 -e '1/1 "%u"' config)
	done
	printf "\300\\$2" | dd of=config bs=1 seek=$((cap + 24)) conv=notrunc
}
"""


class Unplug(HotPlugged):
    """One guest whose device is behind a root port; each test leaves it plugged in and bound."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.socket = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", cls.socket, {
            "hold": listens(cls.scratch / "hold.sock"), "drain": listens(cls.scratch / "drain.sock"),
            "echo": echo(), "other": echo(), "late": echo(), "never": echo()})])
        cls.guest = cls.start_guest(None, hotplug=True, way="fs")
        cls.plug()

    def pci_device(self) -> str:
        """The device's folder below /sys/devices."""
        return self.guest.check("readlink -f /sys/bus/virtio/drivers/okl4fs/virtio*/..").strip()

    def works(self) -> None:
        """Data flows, and no bytes of before are left."""
        self.guest.check("okl4test seq /okl4/echo records=1000", LIMIT_S)

    # Programs that sleep meanwhile

    def drain_client(self) -> socket.socket:
        """The host end of the channel `drain`, open when this returns."""
        client = self.client(self.scratch / "drain.sock", LIMIT_S)
        until(lambda: self.channel("drain")["endpoint"]["connected"],
              "the daemon to join the client to its channel", LIMIT_S)
        return client

    @contextlib.contextmanager
    def sleepers(self, each: int, frontend_leaves: bool):
        """Sleepers of every kind; in between the device goes, and comes back after `gone`.

        Readers and writers go on when the device is back; so does the stream, unless QEMU has disconnected.
        """
        command = None
        with contextlib.closing(self.drain_client()) as first:
            first.sendall(PATTERN.part(0, DRAIN_BYTES))
            try:
                command = self.guest.spawn(
                    f"exec okl4test sleepers /okl4/hold drain=/okl4/drain each={each}", stdin=True)
                command.wait_output("asleep\n", LIMIT_S)
                yield command
                client = first
                if frontend_leaves:
                    self.assertEqual(first.recv(10), b"")
                    client = self.drain_client()
                command.write(b"\n")
                status, output = command.wait(LIMIT_S)
                self.assertEqual((status, output), (0, "asleep\ngone\nback\n"))
                self.assertEqual(client.recv(10), b"back")
                client.close()
            finally:
                if command and not command.done():
                    command.signal(signal.SIGKILL)
        self.works()

    def test_unplugged_and_plugged_in_again(self):
        """By QMP, one sleeper of each kind."""
        with self.sleepers(each=1, frontend_leaves=True) as command:
            self.unplug()
            command.wait_output("gone\n", LIMIT_S)
            self.fails("rm -f /okl4/never; mkfifo /okl4/never", "No such device or address", LIMIT_S)
            self.plug()

    def test_unplugged_with_many_sleepers(self):
        """Several of each kind."""
        with self.sleepers(each=4, frontend_leaves=True) as command:
            self.unplug()
            command.wait_output("gone\n", LIMIT_S)
            self.plug()

    def test_unbound_and_bound_again(self):
        """Through sysfs, the device stays."""
        with self.sleepers(each=2, frontend_leaves=False) as command:
            self.unbind()
            command.wait_output("gone\n", LIMIT_S)
            self.bind()

    def test_removed_and_found_again(self):
        """PCI's own `remove` and `rescan`."""
        with self.sleepers(each=2, frontend_leaves=False) as command:
            self.guest.check(f"echo 1 > {self.pci_device()}/remove", LIMIT_S)
            command.wait_output("gone\n", LIMIT_S)
            self.guest.check("echo 1 > /sys/bus/pci/rescan", LIMIT_S)
            self.wait_offered()

    def test_slot_loses_power(self):
        """The device is gone before the driver is told, as when it is pulled out."""
        with self.sleepers(each=2, frontend_leaves=False) as command:
            device, since = Path(self.pci_device()), len(self.guest.console())
            self.guest.check(f"{SLOT_CONTROL} slot_control {device.parent.name} 007", LIMIT_S)
            # The driver keeps finding nothing there, and unbinds cleanly when it is told.
            self.guest.wait_console("the host does not answer", LIMIT_S, since)
            self.guest.check(f"echo 1 > {device}/remove", LIMIT_S)
            command.wait_output("gone\n", LIMIT_S)
            self.guest.check(f"{SLOT_CONTROL} slot_control {device.parent.name} 001; "
                             "echo 1 > /sys/bus/pci/rescan", LIMIT_S)
            self.wait_offered()

    # The host is silent just then

    @contextlib.contextmanager
    def stopped_daemon(self):
        """The daemon is stopped meanwhile. It goes on before it is taken for dead."""
        self.guest.check("rm -f /okl4/late; echo 60000 > /sys/module/okl4fs/parameters/request_ms")
        until(lambda: self.channel("late")["state"] == "detached",
              "the memory to be given back that waiting_open() is to make", LIMIT_S)
        self.daemon.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.daemon.signal(signal.SIGCONT)
            self.guest.check("echo 3000 > /sys/module/okl4fs/parameters/request_ms", LIMIT_S)

    def wait_frozen(self) -> None:
        """Wait until QEMU itself waits for the daemon: the driver has begun to reset the device."""
        deadline = Deadline(LIMIT_S)
        while True:
            deadline.check("the device to be reset")
            try:
                self.guest.qmp("query-status", timeout=1)
            except Timeout:
                return
            select.select([self.daemon.pidfd], [], [], 0.02)

    def waiting_open(self):
        """An open that waits for the daemon to answer its request."""
        opener = self.guest.spawn("mkfifo /okl4/late; echo $$; exec 3<>/okl4/late && echo opened")
        pid = opener.wait_output("\n", LIMIT_S).split()[0]
        until(lambda: "okl4" in self.guest.run(f"cat /proc/{pid}/stack", LIMIT_S)[1],
              "the open to wait for the daemon", LIMIT_S)
        self.assertFalse(opener.done(), opener.output)
        return opener

    def test_unbound_while_an_open_waits(self):
        """An open that waits for the host gives up at once, and its memory comes back."""
        with self.stopped_daemon():
            opener = self.waiting_open()
            unbind = self.guest.spawn(f"cd {SYSFS} && echo virtio* > /tmp/device && "
                                      "cat /tmp/device > unbind")
            self.wait_frozen()
        self.assertEqual(unbind.wait(LIMIT_S), (0, ""))
        self.assertRegex(opener.wait(LIMIT_S)[1], "opened|No such device or address")
        self.bind()
        self.guest.check("okl4test seq /okl4/late records=100", LIMIT_S)
        self.works()

    def test_unplugged_while_the_daemon_is_stopped(self):
        """With sleepers and an open that waits: all of them wake, once the daemon goes on."""
        with self.sleepers(each=2, frontend_leaves=True) as command:
            since = self.guest.n_events()
            with self.stopped_daemon():
                opener = self.waiting_open()
                self.guest.qmp("device_del", id=qemu.DEVICE)
                self.wait_frozen()
            self.guest.wait_deleted(since)
            self.guest.qmp("chardev-remove", id=f"c{self.n_plugged}")
            command.wait_output("gone\n", LIMIT_S)
            opener.wait(LIMIT_S)
            self.plug()
        self.guest.check("okl4test seq /okl4/late records=100", LIMIT_S)

    def pings(self) -> int:
        """How often the driver has asked whether the host is alive."""
        return int(self.guest.check("sed -n 's/^pings //p' /sys/kernel/debug/okl4fs/*/device"))

    def test_writer_whose_memory_is_not_there(self):
        """It holds up only its own channel, not the check of the host, an open or an unbind."""
        if self.guest.run("test -e /proc/sys/vm/unprivileged_userfaultfd")[0]:
            self.skipTest("this kernel has no CONFIG_USERFAULTFD")
        writer = self.guest.spawn("exec okl4test faulting /okl4/echo", stdin=True)
        writer.wait_output("faulting\n", LIMIT_S)
        reader = self.guest.spawn("rm -f /okl4/never; mkfifo /okl4/never; exec cat /okl4/never")
        before = self.pings()
        until(lambda: self.pings() >= before + 2,
              "the driver to ask for the host's health", LIMIT_S)
        self.guest.check("okl4test seq /okl4/other records=100", LIMIT_S)
        self.unbind(and_bind=True)
        self.assertNotEqual(reader.wait(LIMIT_S)[0], 0)
        self.assertFalse(writer.done())
        writer.write(b"\n")
        self.assertEqual(writer.wait(LIMIT_S), (0, "faulting\nwritten 4096\n"))
        self.works()

    # The module

    def test_module_stays_while_anything_is_open(self):
        """rmmod is refused while /okl4 is mounted, and as long as a file of it is open."""
        holder = self.guest.spawn("rm -f /okl4/late; mkfifo /okl4/late; exec 3<>/okl4/late; "
                                  "echo open; read line; exec 3<&-; echo closed", stdin=True)
        holder.wait_output("open", LIMIT_S)
        for unmount in ("true", "umount -l /okl4"):
            self.fails(f"{unmount}; rmmod okl4fs", "busy|temporarily unavailable")
        holder.write(b"\n")
        holder.close_input()
        self.assertEqual(holder.wait(LIMIT_S)[0], 0)
        # a lazy unmount ends after the close has returned
        until(lambda: not self.guest.run("rmmod okl4fs")[0], "rmmod after the last close", LIMIT_S)
        self.guest.check("insmod /lib/okl4fs.ko && mount -t okl4fs okl4fs /okl4", LIMIT_S)
        self.works()

    def test_unbound_and_bound_under_load(self):
        """Streams on two channels; what was in the rings comes out once, in order, after each."""
        for _ in range(3):
            streams = [self.start_seq(name) for name in ("echo", "other")]
            self.unbind(and_bind=True)
            for stream in streams:
                self.cut_off(stream, LIMIT_S)
        self.works()


if __name__ == "__main__":
    unittest.main()
