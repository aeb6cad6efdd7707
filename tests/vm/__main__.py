# SPDX-License-Identifier: BSD-3-Clause
"""`./dev vm`: boot a guest with okl4fs, run a command in it, exit with its status."""
import argparse
import os
import sys

from . import (Daemon, DaemonError, CommandFailed, Guest, GuestError, QmpError, Timeout,
               exit_on_signals, guest_config, scratch_dir)
from . import kernel, qemu, terminal
from .apt import AptError


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev vm", usage=(
        "%(prog)s [--socket PATH] [--serve] [--way fs|generic] [--kernel VERSION] [--overlay DIR] "
        "[--mem MIB] [--smp N] [--qmp PATH] [--qemu-arg ARG]... -- COMMAND..."),
        description="Boots a guest attached to a vhost-user socket, loads the driver, mounts "
                    "/okl4, runs COMMAND there as root with sh, and exits with its status.")
    parser.add_argument("--socket", help="the daemon's vhost-user socket; without it a daemon is "
                        "started: channels intervm_test (a Unix socket), echo, discard")
    parser.add_argument("--serve", action="store_true",
                        help="QEMU listens on the socket and waits for the daemon")
    parser.add_argument("--way", choices=qemu.WAYS, help="virtio device to use")
    parser.add_argument("--kernel", metavar="VERSION",
                        help=f"{', '.join(kernel.SOURCES)}, or the version of one of these")
    parser.add_argument("--overlay", action="append", default=[], metavar="DIR",
                        help="copied over the guest's root file system")
    parser.add_argument("--mem", type=int, default=512, metavar="MIB")
    parser.add_argument("--smp", type=int, default=1, metavar="N")
    parser.add_argument("--qmp", metavar="PATH", help="make a QMP socket there")
    parser.add_argument("--qemu-arg", action="append", default=[], metavar="ARG",
                        help="one more argument for QEMU; write --qemu-arg=-x if it begins with a dash")
    parser.add_argument("--tty", action="store_true", default=os.isatty(0) and os.isatty(1),
                        help="give the command a terminal (default if stdin and stdout are one)")
    parser.add_argument("--no-driver", action="store_true", help="boot only: no device, no driver")
    parser.add_argument("--verbose", action="store_true", help="show the console on stderr")
    parser.add_argument("command", nargs="*", metavar="COMMAND")
    # People write `--qemu-arg -device`: join the two, or argparse would see another option.
    joined: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            joined += ["--", *words]
        elif word == "--qemu-arg":
            joined.append(f"--qemu-arg={next(words, '')}")
        else:
            joined.append(word)
    args = parser.parse_args(joined)
    if not args.command:
        parser.error("no COMMAND")
    return args


def own_daemon(serve: bool) -> tuple[Daemon, str]:
    """A daemon for a guest that was given none; it and its vhost-user socket."""
    scratch = scratch_dir()
    socket = str(scratch / "vhost.sock")
    intervm = str(scratch / "intervm_test.sock")
    daemon = Daemon({"guests": [guest_config("vm", socket, {
        "intervm_test": {"type": "unix-listen", "path": intervm},
        "echo": {"type": "echo"},
        "discard": {"type": "discard"},
    }, socket_mode="connect" if serve else "listen")]}, scratch=scratch)
    print(f"okl4fs: channels: intervm_test is at {intervm}, echo and discard do what their names say",
          file=sys.stderr, flush=True)
    return daemon, socket


def main() -> int:
    """Boot, run, and pass the status on."""
    args = parse(sys.argv[1:])
    exit_on_signals()
    daemon, socket = None, args.socket
    if args.socket is None and not args.no_driver:
        qemu.for_way(args.way or qemu.default_way())  # refuse before anything is started
        daemon, socket = own_daemon(args.serve)
    try:
        with Guest(socket, serve=args.serve, way=args.way, kernel=args.kernel,
                   driver=not args.no_driver, overlays=args.overlay, mem_mib=args.mem,
                   smp=args.smp, qmp_path=args.qmp, qemu_args=args.qemu_arg,
                   verbose=args.verbose) as guest:
            return terminal.join(guest, " ".join(args.command), args.tty)
    finally:
        if daemon:
            daemon.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (AptError, CommandFailed, DaemonError, GuestError, QmpError, Timeout,
            kernel.KernelError, qemu.QemuError) as error:
        print(f"okl4fs vm: {error}", file=sys.stderr)
        sys.exit(125)
    except KeyboardInterrupt:
        sys.exit(130)
