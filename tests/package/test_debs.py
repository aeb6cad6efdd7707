# SPDX-License-Identifier: BSD-3-Clause
"""The packages as files: lintian, control fields, programs, and reproducible bit by bit."""
import hashlib
import os
import re
import subprocess
import unittest
from pathlib import Path

from vm import paths
from vm.process import Process, remove_scratch, scratch_dir

import debs

NAMES = ["libokl4fs-dev", "okl4fs", "okl4fs-dbgsym", "okl4fs-dkms", "okl4fs-guest",
         "python3-okl4fs"]


def readelf(option: str, path: Path) -> str:
    """The output of readelf for a file."""
    return subprocess.run(["readelf", "--wide", option, path], check=True, capture_output=True,
                          text=True).stdout


class Debs(unittest.TestCase):
    """Tests that do not need an installed system."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, cls.scratch)
        cls.debs = debs.build()
        cls.lintian_log = cls.scratch / "lintian"
        with open(cls.lintian_log, "wb") as log:
            cls.lintian = Process(["lintian", "--allow-root", "--tag-display-limit=0",
                                   "--show-overrides", *cls.debs.values()], stdout=log, stderr=log)
        cls.addClassCleanup(cls.lintian.kill)
        cls.version = re.search('define OKL4FS_VERSION "(.*)"', (
            paths.ROOT / "libfs/include/libfs/version.h").read_text())[1]

    def unpack(self, name: str) -> Path:
        """A package's files in a folder."""
        root = self.scratch / name
        if not root.exists():
            subprocess.run(["dpkg-deb", "-x", self.debs[name], root], check=True)
        return root

    def test_names(self):
        """Five packages of one version, all files owned by root, none writable for others."""
        self.assertEqual(sorted(self.debs), NAMES)
        native = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True,
                                text=True).stdout.strip()
        for name, deb in self.debs.items():
            self.assertEqual(debs.field(deb, "Version"), f"{self.version}-1")
            self.assertEqual(debs.field(deb, "Architecture"),
                             "all" if name in ("okl4fs-dkms", "python3-okl4fs") else native)
            programs = [line for line in debs.contents(deb) if line.startswith("-rwx")]
            self.assertEqual(len(programs), {"okl4fs": 2, "okl4fs-dkms": 1, "okl4fs-guest": 2}
                             .get(name, 0), programs)
            for line in debs.contents(deb):
                self.assertRegex(line, r"^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx) root/root ")

    def test_no_file_is_in_two(self):
        """All packages can be installed together."""
        owner = {}
        for name, deb in self.debs.items():
            for line in debs.contents(deb):
                path = line.split()[5]
                if not line.startswith("d"):
                    self.assertEqual(owner.setdefault(path, name), name, path)

    def test_depends(self):
        """okl4fs names the libraries it is linked with; no package depends on another one of ours."""
        depends = " ".join(debs.depends(self.debs["okl4fs"]))
        for library in ("libc6", r"libevent-core-2\.1-\d+(t64)?", r"libjson-c\d+", r"librte-vhost\d+"):
            self.assertRegex(depends, rf"\b{library}\b")
        self.assertIn("dkms", debs.depends(self.debs["okl4fs-dkms"]))
        self.assertEqual(debs.field(self.debs["libokl4fs-dev"], "Depends"), "")
        self.assertEqual(debs.depends(self.debs["python3-okl4fs"]), ["python3"])
        self.assertEqual(debs.field(self.debs["okl4fs-dbgsym"], "Depends"),
                         f"okl4fs (= {self.version}-1)")

    def test_programs(self):
        """Position independent, relocations read-only, stripped; their symbols are in okl4fs-dbgsym."""
        for program in ("usr/sbin/okl4fsd", "usr/bin/okl4fsctl"):
            path = self.unpack("okl4fs") / program
            dynamic, sections = readelf("--dynamic", path), readelf("--sections", path)
            self.assertRegex(dynamic, r"FLAGS_1.* NOW.* PIE")
            self.assertIn("GNU_RELRO", readelf("--segments", path))
            self.assertRegex(readelf("--dyn-syms", path), "__stack_chk_fail")
            self.assertRegex(readelf("--dyn-syms", path), r"_chk@")
            self.assertNotIn(".debug_", sections)
            self.assertNotIn(".symtab", sections)
            build_id = re.search(r"Build ID: (\w+)", readelf("--notes", path))[1]
            symbols = (self.unpack("okl4fs-dbgsym") / "usr/lib/debug/.build-id" / build_id[:2]
                       / f"{build_id[2:]}.debug")
            self.assertIn(".debug_info", readelf("--sections", symbols))
            self.assertNotIn(os.fsencode(paths.ROOT), path.read_bytes())

    def test_library(self):
        """libfs.a has no debug symbols, and its members no date."""
        library, = self.unpack("libokl4fs-dev").glob("usr/lib/*/libfs.a")
        self.assertNotIn(".debug_", readelf("--sections", library))
        listed = subprocess.run(["ar", "tvO", library], check=True, capture_output=True, text=True,
                                env={**os.environ, "TZ": "UTC"}).stdout
        for line in listed.splitlines():
            self.assertRegex(line, r"^rw-r--r-- 0/0 +\d+ Jan  1 00:00 1970 ")

    def test_same_again(self):
        """Made again at another time, with another umask and in another time zone: the same bits.

        (Except for the mode of the archive's three members, which follows cpack's umask and has no effect.)
        """
        def sums() -> dict[str, str]:
            return {name: hashlib.sha256(subprocess.run(["ar", "p", deb], check=True,
                                                        capture_output=True).stdout).hexdigest()
                    for name, deb in self.debs.items()}
        self.lintian.wait(300)
        first, umask = sums(), os.umask(0o077)
        try:
            again = debs.build(TZ="Pacific/Kiritimati", LC_ALL="C")
        finally:
            os.umask(umask)
        self.assertEqual(again, self.debs)
        self.assertEqual(sums(), first)

    def test_lintian(self):
        """Neither errors nor warnings; each override says why it is there."""
        self.lintian.wait(300)
        said = self.lintian_log.read_text()
        self.assertEqual([line for line in said.splitlines() if line[:2] in ("E:", "W:")], [], said)
        overridden = {line.split()[2] for line in said.splitlines() if line.startswith("O:")}
        self.assertEqual(overridden, {"initial-upload-closes-no-bugs",
                                      "maintainer-script-calls-systemctl"}, said)


if __name__ == "__main__":
    unittest.main()
