# SPDX-License-Identifier: BSD-3-Clause
"""Suite dpdk: the daemon's one file that uses DPDK, compiled against the headers of several versions.

The headers are those of Debian's releases, unpacked in the cache and not installed.
"""
import re
import subprocess
from pathlib import Path

from vm import apt, paths
from vm.cache import folder

from .tally import Tally

SOURCE = "daemon/vhost/library.c"
# The long-term versions since the oldest that we support
VERSIONS = ("22.11", "23.11", "24.11", "25.11")
RELEASES = ("bookworm", "trixie", "sid")
FLAGS = ("-std=gnu11", "-O2", "-D_GNU_SOURCE", "-DALLOW_EXPERIMENTAL_API", "-march=corei7", "-Wall",
         "-Wextra", "-Wno-unused-parameter", "-Werror", "-include", "rte_config.h")


def _headers(release: str, version: str) -> Path:
    """DPDK's headers of a release."""
    return folder(paths.cache_dir() / "dpdk" / version, lambda temp: apt.unpack(
        release, "amd64", lambda _: ["libdpdk-dev"], temp)) / "usr/include"


def _compile(headers: Path) -> str:
    """What the compiler says; nothing if all is well."""
    places = [word for folder in (headers / "dpdk", *headers.glob("*/dpdk"))
              for word in ("-isystem", folder)]
    if len(places) < 4:
        return f"{headers}: not the headers of DPDK"
    done = subprocess.run(["gcc", *FLAGS, *places, "-Idaemon", "-Ilibfs/include", "-c", SOURCE,
                           "-o", "/dev/null"], cwd=paths.ROOT, capture_output=True, text=True,
                          check=False)
    return done.stderr or (f"exit status {done.returncode}" if done.returncode else "")


def run(tally: Tally) -> None:
    """Run the suite; a version that no release has is skipped."""
    found: dict[str, tuple[str, str]] = {}
    for release in RELEASES:
        version = apt.version(release, "amd64", "libdpdk-dev", newest=True)
        found.setdefault(re.match(r"\d+\.\d+", version)[0], (release, version))
    for wanted in sorted({*VERSIONS, *found}):
        if wanted not in found:
            tally.skipped("dpdk", wanted, f"none of {', '.join(RELEASES)} has this version of DPDK")
            continue
        release, version = found[wanted]
        said = _compile(_headers(release, version))
        if said:
            tally.failed("dpdk", version, said)
        else:
            tally.passed()
            print(f"ok   dpdk: {SOURCE} with {version} of {release}", flush=True)
