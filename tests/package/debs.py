# SPDX-License-Identifier: BSD-3-Clause
"""The packages, freshly made."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from vm import paths


def build(**environment: str) -> dict[str, Path]:
    """Make all packages again; {name: file}."""
    shutil.rmtree(paths.BUILD / "packages", ignore_errors=True)
    for made in (paths.BUILD / "packaging").glob("**/*.gz"):
        made.unlink()
    subprocess.run(["cmake", "--build", paths.BUILD, "--target", "package"], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    return {path.name.partition("_")[0]: path
            for path in sorted((paths.BUILD / "packages").glob("*.deb"))}


def field(deb: Path, name: str) -> str:
    """A field of a package's control file."""
    return subprocess.run(["dpkg-deb", "-f", deb, name], check=True, capture_output=True,
                          text=True).stdout.strip()


def contents(deb: Path) -> list[str]:
    """The files in a package, one line of tar's listing per file."""
    return subprocess.run(["dpkg-deb", "-c", deb], check=True, capture_output=True,
                          text=True).stdout.splitlines()


def depends(deb: Path) -> list[str]:
    """The names of the packages that a package depends on."""
    return re.findall(r"(?:^|, )([^\s,]+)", field(deb, "Depends"))


def predecessor(deb: Path, folder: Path, version: str, files: dict[str, str]) -> Path:
    """The package as if it were of another version; files: {path: what is added at its end}."""
    root = folder / "root"
    subprocess.run(["dpkg-deb", "-R", deb, root], check=True)
    control = root / "DEBIAN/control"
    control.write_text(re.sub("(?m)^Version: .*", f"Version: {version}", control.read_text()))
    for path, text in files.items():
        with open(root / path, "a", encoding="utf-8") as file:
            file.write(text)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", root, folder], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(root)
    made, = folder.glob(f"{field(deb, 'Package')}_{version}_*.deb")
    return made
