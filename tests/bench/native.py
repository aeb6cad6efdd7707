# SPDX-License-Identifier: BSD-3-Clause
"""The ring between two processes of the host (tests/bench/ring_native.c)."""
import json
import subprocess

from vm import paths, remove_scratch, scratch_dir


def measure(rounds: int) -> dict:
    """Run ring_native, which prints its own table; return its figures."""
    scratch = scratch_dir()
    try:
        subprocess.run([paths.BUILD / "bench/ring_native", "--rounds", str(rounds),
                        "--json", scratch / "native.json"], check=True, timeout=600)
        return json.loads((scratch / "native.json").read_text(encoding="utf-8"))
    finally:
        remove_scratch(scratch)
