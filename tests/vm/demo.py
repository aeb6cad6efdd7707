# SPDX-License-Identifier: BSD-3-Clause
"""`./dev demo`: the example of OKL4's document of 2008 on a stock Debian guest, step by step."""
import argparse
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

from . import (CommandFailed, Daemon, DaemonError, Guest, GuestError, QmpError, Timeout,
               exit_on_signals, scratch_dir)
from . import accel, kernel, paths, terminal
from .apt import AptError

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class DemoFailed(Exception):
    """A step did not give the expected result."""


def step(text: str) -> None:
    """Announce a step."""
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def tell(text: str) -> None:
    """Print a text, indented."""
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def in_guest(guest: Guest, command: str, timeout: float = 60) -> str:
    """Run a command in the guest, show it and its output; return the output."""
    tell(f"{DIM}guest#{PLAIN} {command}")
    status, output = guest.run(command, timeout)
    tell(output)
    if status:
        raise DemoFailed(f"`{command}` ended with status {status}")
    return output


def expect(what: str, got: str, wanted: str) -> None:
    """Compare with the host's value."""
    if got != wanted:
        raise DemoFailed(f"{what} is {got}, but should be {wanted}")
    tell(f"{BOLD}✓{PLAIN} {what} is the same as on the host")


def start(scratch: Path) -> Daemon:
    """Start the daemon with conf/demo.json in `scratch`."""
    step("1  The host: a daemon takes the place of OKL4's native program")
    shutil.copy(kernel.get().vmlinuz, scratch / "test_file")
    daemon = Daemon(paths.ROOT / "conf/demo.json", scratch=scratch)
    tell(f"{DIM}host$ {PLAIN} cd {scratch}; okl4fsd --config conf/demo.json")
    tell(f"test_file: {(scratch / 'test_file').stat().st_size} bytes (the guest's own kernel)")
    return daemon


def boot(scratch: Path) -> Guest:
    """Boot the guest."""
    step("2  The guest: Debian's unchanged kernel and QEMU, and okl4fs.ko")
    how = accel.choose()
    started = time.monotonic()
    guest = Guest(scratch / "vhost.sock", accel=how, smp=2)
    tell(f"up after {time.monotonic() - started:.1f} s ({how})")
    in_guest(guest, "uname -sr; grep okl4fs /proc/mounts; dmesg | grep okl4fs")
    return guest


def example(guest: Guest, original: Path) -> None:
    """The example: read the file twice through the fifo."""
    step("3  The fifo: mknod, open, read, as with any fifo")
    size = str(original.stat().st_size)
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    in_guest(guest, "mknod /okl4/intervm_test p; ls -l /okl4")
    output = in_guest(guest, "cat /okl4/intervm_test | tee /tmp/first | wc -c")
    expect("the size", output.strip(), size)
    output = in_guest(guest, "sha256sum < /tmp/first")
    expect("the sha256", output.split()[0], digest)

    step("4  Again: both ends have closed, both open again, and the file is sent again")
    tell("(without busybox's tee and wc, which read one byte at a time; meter is cat with a clock)")
    output = in_guest(guest, "meter < /okl4/intervm_test > /tmp/second")
    expect("the size", output.split()[0], size)
    output = in_guest(guest, "sha256sum < /tmp/second")
    expect("the sha256", output.split()[0], digest)


def echo(guest: Guest, original: Path) -> None:
    """Both directions at once through the second channel."""
    step("5  Both directions at once: a second channel sends back what it receives")
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    in_guest(guest, "mknod /okl4/echo p")
    in_guest(guest, "meter < /okl4/echo > /tmp/back & meter < /tmp/first > /okl4/echo; wait")
    output = in_guest(guest, "sha256sum < /tmp/back")
    expect("the sha256 of what came back", output.split()[0], digest)


def look_further(daemon: Daemon) -> None:
    """Show what the daemon counted, and what to try next."""
    step("6  The daemon's view")
    tell(f"{DIM}host$ {PLAIN} okl4fsctl -s control.sock channels")
    status, output, errors = daemon.ctl("channels")
    tell(output + errors)
    if status:
        raise DemoFailed(f"okl4fsctl ended with status {status}")
    step("What to try next")
    tell("./dev demo --shell           a shell in this guest, with a channel to a socket on the host\n"
         "./dev vm -- COMMAND          any command in such a guest; ./dev vm --help\n"
         "build/okl4fsd                the daemon by itself; build/okl4fsctl qemu-args default\n"
         "./dev bench                  okl4fs compared with AF_UNIX, pipes and virtio-serial\n"
         "ARCHITECTURE.md, docs/ABI.md say how it works")


def shell(guest: Guest, daemon: Daemon, scratch: Path) -> int:
    """Leave the user in the guest."""
    step("A shell in the guest")
    in_guest(guest, "mknod /okl4/host p")
    tell("/okl4/host is connected to a socket on the host. In another terminal:\n"
         f"    {paths.BUILD}/okl4fsctl -s {daemon.control_path} attach --lines demo/host\n"
         f"    socat - UNIX:{scratch}/host.sock\n"
         "then, here:  cat /okl4/host &   echo hello > /okl4/host      (exit ends the guest)")
    return terminal.join(guest, "cd /okl4; PS1='guest# ' exec sh -i", os.isatty(0))


def main() -> int:
    """Run the steps."""
    parser = argparse.ArgumentParser(prog="dev demo", description=__doc__)
    parser.add_argument("--shell", action="store_true", help="open a shell in the guest at the end")
    args = parser.parse_args()
    exit_on_signals()
    scratch = scratch_dir()
    started = time.monotonic()
    with start(scratch) as daemon, boot(scratch) as guest:
        example(guest, scratch / "test_file")
        echo(guest, scratch / "test_file")
        look_further(daemon)
        print(f"\nokl4fs demo done in {time.monotonic() - started:.0f} s")
        return shell(guest, daemon, scratch) if args.shell else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AptError, CommandFailed, DaemonError, DemoFailed, GuestError, QmpError,
            Timeout) as error:
        sys.exit(f"okl4fs demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
