# SPDX-License-Identifier: BSD-3-Clause
"""Connects a command in the guest to this process's input and output."""
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty

from .agent import Command
from .guest import Guest


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


def _feed(command: Command, stop_fd: int) -> None:
    """Pass our standard input on until it ends or stop_fd becomes readable."""
    while not command.done():
        ready, _, _ = select.select([0, stop_fd], [], [])
        if stop_fd in ready:
            return
        data = os.read(0, 65536)
        if not data:
            command.close_input()
            return
        command.write(data, timeout=86400)


def join(guest: Guest, text: str, interactive: bool = False) -> int:
    """Run a command with our stdin and stdout; its exit status. No limit: the user has Ctrl-C.

    interactive: give it a terminal; ours is raw until it ends.
    """
    stdin = interactive or not sys.stdin.closed and not os.isatty(0)
    command = guest.spawn(text, stdin=stdin, tty=interactive, on_output=_write_all)
    stop_read, stop_write = os.pipe()
    saved = termios.tcgetattr(0) if interactive and os.isatty(0) else None

    def resized(*_unused):
        size = shutil.get_terminal_size()
        command.resize(size.lines, size.columns)

    feeder = threading.Thread(target=_feed, args=(command, stop_read), daemon=True)
    try:
        if saved:
            signal.signal(signal.SIGWINCH, resized)
            resized()
            tty.setraw(0)
        if stdin:
            feeder.start()
        while True:
            try:
                return command.wait(3600)[0]
            except Exception:
                if command.lost or not guest.running():
                    raise
    finally:
        os.write(stop_write, b"s")
        if stdin:
            feeder.join(5)
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
