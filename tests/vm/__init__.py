# SPDX-License-Identifier: BSD-3-Clause
"""Real guests and real daemons for tests, the demo and `./dev vm`.

    from vm import Daemon, Guest, guest_config, scratch_dir

    config = {"guests": [guest_config("vm1", socket, {"intervm_test": {"type": "echo"}})]}
    with Daemon(config) as daemon, Guest(socket) as guest:
        guest.check("mknod /okl4/intervm_test p")
        status, output = guest.run("cat /okl4/intervm_test | wc -c", timeout=30)

Only the standard library of Debian 12's python3 is used. Every wait has a limit, and everything
that was started ends with the process that started it.
"""
from .agent import Command, CommandFailed
from .daemon import Daemon, DaemonError, guest_config
from .guest import Disk, Guest, GuestError
from .process import (Deadline, Process, Timeout, exit_on_signals, remove_scratch, scratch_dir,
                      until)
from .qmp import QmpError

__all__ = ["Command", "CommandFailed", "Daemon", "DaemonError", "Deadline", "Disk", "Guest",
           "GuestError", "Process", "QmpError", "Timeout", "exit_on_signals", "guest_config",
           "remove_scratch", "scratch_dir", "until"]
