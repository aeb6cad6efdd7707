# SPDX-License-Identifier: BSD-3-Clause
"""Suites on another release of Debian: what `./dev test` does on a machine that runs it.

The machine is a system in a folder (container/inside) with all the packages that ./dev would install.
It sees the source tree and the cache, and builds in build/RELEASE with its own compiler and libraries. So
whatever a suite needs (guests, the package, systems in containers) is of that release, too.
"""
import os
import subprocess
from pathlib import Path

from container import image
from vm import apt, paths

from . import build
from .process import run as run_program
from .tally import Tally

INSIDE = paths.ROOT / "tests/container/inside"
LIMIT_S = 3600
# What is run there if no suite is named
RELEASES = {"trixie": ("unit", "integration", "main", "service", "install"),
            "sid": ("unit", "integration")}


def _image(release: str) -> Path:
    """The system, with the package lists that apt.mirror() reads; sid's is new when its DPDK is."""
    packages = subprocess.run([paths.ROOT / "dev", "deps", "--list"], check=True,
                              capture_output=True, text=True).stdout.split()
    mark = apt.version(release, "amd64", "libdpdk-dev", newest=True) if release == "sid" else ""
    return image.base(packages, release, "--skip=cleanup/apt/lists", mark=mark)


def _environment(directory: Path) -> list[str]:
    """Nothing of ours except what the user says about tests."""
    settings = {key: value for key, value in os.environ.items()
                if key.startswith("OKL4FS_") or key.lower().endswith("_proxy")}
    settings |= {"OKL4FS_BUILD": directory, "XDG_CACHE_HOME": paths.cache_dir().parent,
                 "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    return [f"{key}={value}" for key, value in settings.items()]


def run(release: str, suites: tuple[str, ...], tally: Tally) -> None:
    """Run suites on a release, or those of RELEASES if none is named."""
    directory = paths.BUILD / release
    directory.mkdir(parents=True, exist_ok=True)
    report = directory / "report.json"
    report.unlink(missing_ok=True)
    try:
        system = _image(release)
    except (apt.AptError, image.ImageError) as error:
        raise build.BuildFailed(str(error)) from error
    folders = dict.fromkeys((paths.ROOT, directory, paths.cache_dir()))
    outcome = run_program(
        [INSIDE, system, *folders, "--", "/usr/bin/env", "-i", *_environment(directory),
         paths.ROOT / "dev", "test", "--report", report, "-k", tally.only,
         *(suites or RELEASES[release])],
        LIMIT_S, show=lambda line: print(line, flush=True), as_root=True)
    build.take_back()
    if report.exists():
        tally.add(report, f"{release}/")
    if outcome.trouble() or not report.exists():
        tally.failed(release, "./dev test", outcome.trouble() or f"exit status {outcome.status}")
