# SPDX-License-Identifier: BSD-3-Clause
"""Prepare guest kernels: `python3 -m vm.fetch [--module] [--print] [VERSION]`, or --all."""
import argparse
import subprocess
import sys

from . import kernel, newqemu, promtool
from .apt import AptError
from .process import exit_on_signals


def main() -> None:
    """Fetch a kernel if it is not in the cache; with --module, build the driver for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", action="store_true", help="also build okl4fs.ko for it")
    parser.add_argument("--print", action="store_true", help="print where its files are")
    parser.add_argument("--all", action="store_true",
                        help="fetch everything that the tests need, with the newer QEMU and promtool")
    parser.add_argument("version", nargs="?")
    args = parser.parse_args()
    exit_on_signals()
    if args.all:
        for name in kernel.OTHERS:
            kernel.get(name)
        newqemu.root()
        promtool.program()
    found = kernel.get(args.version)
    if args.module:
        kernel.module(found)
    if args.print:
        for key in ("release", "vmlinuz", "modules", "headers"):
            print(f"{key}={getattr(found, key)}")


if __name__ == "__main__":
    try:
        main()
    except (AptError, kernel.KernelError, subprocess.CalledProcessError) as error:
        sys.exit(f"okl4fs: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
