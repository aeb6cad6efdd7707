# SPDX-License-Identifier: BSD-3-Clause
"""Debian packages for a guest, fetched without installing anything on this machine.

A private apt root verifies the archive's signatures with Debian's keyring and uses the same mirror as
this machine's apt. It has its own lists and state, so it needs no privileges and may use another suite
than the machine.
"""
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable

from . import paths
from .cache import locked

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class AptError(Exception):
    """apt could not do what was asked."""


def _output(argv, env=None) -> str:
    try:
        return subprocess.run(argv, env=env, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True).stdout
    except subprocess.CalledProcessError as error:
        raise AptError(f"{' '.join(map(str, argv[:3]))}: exit status {error.returncode}") from error


def mirror() -> str:
    """The site of a Debian main suite in this machine's apt configuration."""
    sites = _output(["/usr/bin/apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)",
                     "Created-By: Packages", "Origin: Debian"]).split("\n")
    for line in sites:
        codename, _, site = line.partition(" ")
        if site and "-" not in codename:
            return site
    raise AptError("no Debian suite in the lists of apt: run apt-get update (as root) first")


def settings() -> list[str]:
    """How this machine's apt reaches the archive, and whether a list of packages may be old."""
    return [line for line in _output(["/usr/bin/apt-config", "dump"]).splitlines()
            if re.match(r"Acquire::(Check-Valid-Until|https?::)", line)]


class PrivateApt:
    """apt with a root of its own in `base`, for one suite and architecture of Debian.

    Backports come with the suite that they are for.
    """

    def __init__(self, base: Path, suite: str, arch: str = "amd64"):
        self.base = base.resolve()
        self.suite = suite
        for part in ("state/lists/partial", "cache/archives/partial", "debs"):
            (self.base / part).mkdir(parents=True, exist_ok=True)
        (self.base / "state/status").touch()
        site = mirror()
        (self.base / "sources.list").write_text("".join(
            f"deb [signed-by={KEYRING}] {site} {name} main\n"
            for name in dict.fromkeys((suite.partition("-")[0], suite))))
        (self.base / "apt.conf").write_text(f'''\
Dir::State "{self.base}/state";
Dir::State::status "{self.base}/state/status";
Dir::Cache "{self.base}/cache";
Dir::Etc::sourcelist "{self.base}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
APT::Architecture "{arch}";
APT::Architectures "{arch}";
APT::Default-Release "{suite}";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
''')
        self.env = {**os.environ, "APT_CONFIG": str(self.base / "apt.conf"), "LC_ALL": "C"}

    def update(self) -> None:
        """Fetch the suite's package lists."""
        _output(["/usr/bin/apt-get", "-qq", "update"], self.env)

    def depends(self, package: str) -> list[str]:
        """The packages that `package` depends on, as its record in the suite names them."""
        text = _output(["/usr/bin/apt-cache", "--no-recommends", "--no-suggests",
                        "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
                        "depends", package], self.env)
        return re.findall(r"^ +\|?Depends: ([^<\s]+)", text, re.M)

    def closure(self, packages) -> list[str]:
        """Packages and all they depend on, as if nothing were installed."""
        text = _output(["/usr/bin/apt-get", "-s", "install", *packages], self.env)
        return re.findall(r"^Inst (\S+)", text, re.M)

    def download(self, packages) -> list[Path]:
        """Fetch packages; those that an earlier run has fetched completely are kept."""
        debs = self.base / "debs"
        uris = _output(["/usr/bin/apt-get", "--print-uris", "download", *packages], self.env)
        names = re.findall(r"^'[^']*' (\S+)", uris, re.M)
        if len(names) != len(packages):
            raise AptError(f"suite {self.suite} does not offer all of {' '.join(packages)}")
        process = subprocess.run(["/usr/bin/apt-get", "-q", "download", *packages], cwd=debs,
                                 env=self.env, stdin=subprocess.DEVNULL, stdout=sys.stderr,
                                 check=False)
        if process.returncode:
            raise AptError(f"apt-get download: exit status {process.returncode}")
        return [debs / name for name in names]


def version(suite: str, arch: str, package: str, newest: bool) -> str:
    """A package's version in a suite, by the present package lists or by new ones."""
    base = paths.cache_dir() / "apt" / f"{suite}-{arch}"
    base.mkdir(parents=True, exist_ok=True)
    with locked(base / ".lock"):
        private = PrivateApt(base, suite, arch)
        if newest or not any((base / "state/lists").glob("*_Packages*")):
            private.update()
        record = _output(["/usr/bin/apt-cache", "--no-all-versions", "show", package], private.env)
    return re.findall(r"^Version: (\S+)", record, re.M)[0]


def unpack(suite: str, arch: str, choose: Callable[[PrivateApt], list[str]], root: Path) -> None:
    """Fetch the packages of a suite that choose(apt) names, and unpack them into `root`.

    None of their scripts is run. Packages that were fetched completely are kept until all are there.
    """
    base = paths.cache_dir() / "apt" / f"{suite}-{arch}"
    base.mkdir(parents=True, exist_ok=True)
    with locked(base / ".lock"):
        private = PrivateApt(base, suite, arch)
        private.update()
        debs = private.download(choose(private))
        for deb in debs:
            _output(["/usr/bin/dpkg-deb", "-x", deb, root])
        for deb in debs:
            deb.unlink()
