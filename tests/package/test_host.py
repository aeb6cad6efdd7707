# SPDX-License-Identifier: BSD-3-Clause
"""All packages in a clean Debian that does not run: installed, examined, removed, purged."""
import json
import re
import shutil
import subprocess
import unittest

from container import Container, image as images
from vm import paths
from vm.process import remove_scratch, scratch_dir

import debs
import image

APT = "apt-get -q -y --no-install-recommends"
OURS = ["okl4fs", "okl4fs-dbgsym", "libokl4fs-dev", "okl4fs-dkms", "python3-okl4fs"]
UNITS = ("okl4fsd.socket", "okl4fsd.service")

# Files that change whenever a package was installed: the records of dpkg, apt, man and ldconfig, and users,
# which stay
NOTED = re.compile(r" \./(var/lib/dpkg/|var/lib/apt/|var/cache/|var/log/|etc/ld\.so\.cache |"
                   r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-? |etc/\.pwd\.lock )")


class Host(unittest.TestCase):
    """The tests are steps, in the order of their numbers."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, cls.scratch)
        cls.debs = debs.build()
        root = images.unpack(image.base(cls.debs), cls.scratch / "root")
        for deb in cls.debs.values():
            shutil.copy(deb, root / "srv")
        cls.system = Container(root)
        cls.addClassCleanup(cls.system.close)
        cls.system.check("true")  # what nspawn makes in a system is there before
        cls.before = cls.listing()

    @classmethod
    def listing(cls) -> dict[str, str]:
        """All files of the system: {line that describes it: path}."""
        lines = subprocess.run(
            "find . -path ./proc -prune -o -path ./dev -prune -o -path ./sys -prune -o -path ./tmp "
            "-prune -o -path ./run -prune -o -printf '%y %m %U:%G %s %p %l\\n' | "
            r"sed 's/^d \([^ ]* [^ ]*\) [0-9]*/d \1 -/' | sort -k 5",
            shell=True, cwd=cls.system.root, check=True, capture_output=True).stdout.decode()
        return {line: line.split(" ")[4] for line in lines.splitlines()
                if not NOTED.search(line + " ")}

    def state(self, package: str) -> str:
        """The state of a package in dpkg: `installed`, `config-files`, or nothing."""
        return self.system.run(f"dpkg-query -W -f '${{db:Status-Status}}' {package}")[1] \
            if not self.system.run(f"dpkg-query -W {package}")[0] else ""

    # Installed

    def test_01_install(self):
        """apt installs all of them, and leaves X11's libfs-dev alone."""
        self.system.check(f"{APT} install /srv/*.deb", 300)
        for package in [*OURS, "libfs-dev"]:
            self.assertEqual(self.state(package), "installed", package)
        self.assertIn("X11", self.system.check("dpkg -s libfs-dev"))
        self.assertEqual(self.system.check(f"dpkg --audit; dpkg --verify {' '.join(OURS)}"), "")

    def test_02_user(self):
        """The daemon has a user and a group that do not allow logins."""
        self.assertRegex(self.system.check("getent passwd okl4fs"),
                         r"^okl4fs:[^:]*:\d+:\d+:[^:]*:/[^:]*:/usr/sbin/nologin\n$")
        self.assertRegex(self.system.check("getent group okl4fs"), r"^okl4fs:[^:]*:\d+:\n$")

    def test_03_configuration(self):
        """The installed one is a conffile owned by root, and is the same as running without one."""
        self.assertIn("/etc/okl4fs/okl4fsd.json",
                      self.system.check("dpkg-query -W -f '${Conffiles}' okl4fs"))
        self.assertEqual(self.system.check("stat -c '%U %a' /etc/okl4fs/okl4fsd.json"), "root 644\n")
        self.system.check("okl4fsd --config /etc/okl4fs/okl4fsd.json --check")

    def test_04_examples(self):
        """Each example is well-formed for the daemon that was installed."""
        self.system.check("cd /usr/share/doc/okl4fs/examples; for file in *.json; do "
                          "okl4fsd --config $file --check=file || exit; done")
        listed = self.system.check("cd /usr/share/doc/okl4fs/examples && ls *.json").split()
        self.assertEqual(listed, sorted(
            path.name for path in (paths.ROOT / "conf").glob("*.json")
            if path.name != "okl4fsd.schema.json" and not path.name.startswith("grafana")))
        schema = json.loads(self.system.path("/usr/share/okl4fs/okl4fsd.schema.json").read_text())
        self.assertIn("guests", schema["properties"])

    def test_05_programs(self):
        """They start, and say the version of their package."""
        version = debs.field(self.debs["okl4fs"], "Version").rpartition("-")[0]
        self.assertEqual(self.system.check("okl4fsd --version"), f"okl4fsd {version}\n")
        self.assertIn("usage: okl4fsctl", self.system.check("okl4fsctl --help"))

    def test_05_python(self):
        """Python finds the module, which was compiled at the installation."""
        self.assertRegex(self.system.check("python3 -c 'import okl4fs; print(okl4fs.__cached__)' && "
                                           "ls /usr/lib/python3/dist-packages/__pycache__"),
                         r"^/usr/lib/python3/dist-packages/__pycache__/(okl4fs\.cpython-\d+\.pyc)\n\1\n")

    def test_06_manual(self):
        """man(1) finds each page, by its name and by its section; okl4fs(7) is there for both sides."""
        for path in sorted((paths.ROOT / "docs").glob("*.[1-8]")):
            name, section = path.stem, path.suffix[1:]
            found = self.system.check(f"man -w {section} {name}")
            self.assertIn(f"/usr/share/man/man{section}/{name}.{section}", found)
        found = self.system.check("man -a -w okl4fs").split()
        self.assertEqual(sorted(found), ["/usr/share/man/man7/okl4fs.7.gz",
                                         "/usr/share/man/man7/okl4fs.7guest.gz"])

    def test_07_completion(self):
        """bash loads the completion of okl4fsctl; zsh's lies where zsh looks."""
        loaded = self.system.check("bash -c '. /usr/share/bash-completion/bash_completion && "
                                   "{ _completion_loader okl4fsctl; complete -p okl4fsctl; }'")
        self.assertNotIn("_minimal", loaded)
        self.assertRegex(self.system.path("/usr/share/zsh/vendor-completions/_okl4fsctl").read_text(),
                         r"^#compdef .*okl4fsctl")

    def test_08_units(self):
        """The service is enabled, and systemd finds nothing wrong with what was installed."""
        for unit in UNITS:
            self.assertEqual(self.system.check(f"systemctl is-enabled {unit}"), "enabled\n")
        said = self.system.run("systemd-analyze verify --man=yes /usr/lib/systemd/system/okl4fsd*.s*")[1]
        self.assertNotIn("okl4fs", said)

    def test_09_documents(self):
        """Licence and change logs in each package, by the name that Debian wants."""
        for package in OURS:
            self.system.check(f"cd /usr/share/doc/{package} && test -s copyright && "
                              "zcat changelog.gz changelog.Debian.gz | grep -q .")

    # libokl4fs-dev

    def examples(self) -> list[str]:
        """The examples of libfs(3)."""
        page = (paths.ROOT / "docs/libfs.3").read_text(encoding="utf-8")
        return [text.replace("\\-", "-").replace("\\&", "")
                for text in re.findall(r"(?ms)^\.EX\n(.*?)^\.EE$", page)]

    def try_out(self, build: str) -> None:
        """Build the example in a new folder; bytes come out of it unchanged, many and none."""
        self.addCleanup(self.system.check, "rm -rf /srv/try")
        self.system.check(f"mkdir /srv/try && cd /srv/try && set -e\n{build}", 120)
        self.system.check("cd /srv/try && head -c 20000000 /dev/urandom >in && ./libfs_pair <in >out "
                          "&& cmp in out && ./libfs_pair </dev/null | cmp - /dev/null")
        status, said = self.system.run("cd /srv/try && ./libfs_pair <in >/dev/full")
        self.assertNotEqual(status, 0)
        self.assertIn("No space left on device", said)

    def test_10_pkg_config(self):
        """The example of libfs(3), as it stands there and with X11's libfs beside it."""
        self.try_out(self.examples()[0])
        self.assertIn("-lFS", self.system.check("pkg-config --libs libfs"))
        source = self.system.path("/usr/share/doc/libokl4fs-dev/examples/libfs_pair.c").read_text()
        self.assertIn(re.search("(?m)^cc .*$", self.examples()[0])[0], source)

    def test_11_cmake(self):
        """find_package() as in libfs(3) finds it, but not in another version."""
        project = ("cmake_minimum_required(VERSION 3.25)\nproject(try LANGUAGES C)\n"
                   "add_executable(libfs_pair /usr/share/doc/libokl4fs-dev/examples/libfs_pair.c)\n"
                   + self.examples()[1])
        build = "cmake -B . . && cmake --build ."
        self.try_out(f"cat >CMakeLists.txt <<'END'\n{project}END\n{build}")
        project = re.sub(r"okl4fs [\d.]+", "okl4fs 99", project)
        status, said = self.system.run(f"cd /srv/try && rm -r CMake* && cat >CMakeLists.txt <<'END'\n"
                                       f"{project}END\n{build}")
        self.assertNotEqual(status, 0)
        self.assertIn('with requested version "99"', said)

    def test_12_headers(self):
        """Each header compiles alone."""
        self.system.check("cd /usr/include && for file in libfs/*.h; do "
                          "echo \"#include <$file>\" | cc -std=c11 -Wall -Wextra -Werror -x c "
                          "-fsyntax-only - || exit; done")

    # okl4fs-dkms (test_dkms.py boots it)

    def test_13_driver_again(self):
        """The next version replaces the module, for each kernel."""
        def built() -> str:
            return self.system.check("dkms status okl4fs; stat -c '%n %Y' "
                                     "/lib/modules/*/updates/dkms/okl4fs.ko*")
        first = built()
        said = self.system.check(f"{APT} install --reinstall /srv/okl4fs-dkms_*.deb", 120)
        self.assertEqual(first.count(": installed\n"), 1, first)
        self.assertEqual(built().count(": installed\n"), 1, said)
        self.assertNotEqual(built(), first)

    def test_14_what_the_driver_lacks(self):
        """The installation says that the headers are missing, and what to install; it does not fail."""
        kernel, = self.system.check("ls /lib/modules").split()
        self.assertIn(f"ok    module: built for Linux {kernel} (/lib/modules/{kernel}/updates/",
                      self.system.check("okl4fs-guest-doctor"))
        headers = f"/lib/modules/{kernel}/build"
        self.system.check(f"mv {headers} /srv/build")
        try:
            said = self.system.check(f"{APT} install --reinstall /srv/okl4fs-dkms_*.deb", 120)
            wanted = (f"FAIL  module: not built: the kernel headers for Linux {kernel} are missing\n"
                      f"      do: apt install linux-headers-{kernel}\n")
            self.assertIn(wanted, said)
            self.assertIn("--    the other checks: not yet", said)
            status, again = self.system.run("okl4fs-guest-doctor")
            self.assertEqual(status, 1)
            self.assertIn(wanted, again)
            self.assertEqual(self.state("okl4fs-dkms"), "installed")
        finally:
            self.system.check(f"mv /srv/build {headers}")

    # Gone again

    def test_20_remove(self):
        """The administrator's files stay, everything else goes."""
        with open(self.system.path("/etc/okl4fs/okl4fsd.json"), "a", encoding="utf-8") as file:
            file.write("// by hand\n")
        self.system.check(f"{APT} remove {' '.join(OURS)}", 120)
        self.assertEqual(self.state("okl4fs"), "config-files")
        for package in ("okl4fs-dbgsym", "libokl4fs-dev", "python3-okl4fs"):
            # dpkg still knows one that another package names
            self.assertIn(self.state(package), ("", "not-installed"), package)
        left = set(self.listing().values()) - set(self.before.values())
        self.assertEqual({path for path in left if not path.startswith("./var/lib/systemd/")
                          and not path.endswith((".wants", *UNITS))},
                         {"./etc/okl4fs", "./etc/okl4fs/okl4fsd.json"})

    def test_21_install_again(self):
        """It finds its configuration as it was left."""
        self.system.check(f"{APT} install /srv/okl4fs_*.deb")
        self.assertTrue(self.system.path("/etc/okl4fs/okl4fsd.json").read_text()
                        .endswith("// by hand\n"))
        self.system.check("systemctl is-enabled okl4fsd.service")

    def test_22_disabled_stays_disabled(self):
        """A service that the administrator has disabled is not enabled by the next version."""
        self.system.check("systemctl disable okl4fsd.service okl4fsd.socket")
        self.system.check(f"{APT} install --reinstall /srv/okl4fs_*.deb")
        self.assertEqual(self.system.run("systemctl is-enabled okl4fsd.service"), (1, "disabled\n"))

    def test_23_purge(self):
        """Every file is as it was before the first installation."""
        self.system.check("mkdir -p /var/lib/okl4fs && touch /var/lib/okl4fs/state")
        self.system.check(f"{APT} purge okl4fs okl4fs-dkms", 120)
        purged = set(self.listing())
        self.assertEqual((sorted(purged - set(self.before)), sorted(set(self.before) - purged)),
                         ([], []))
        self.assertEqual(self.state("libfs-dev"), "installed")


if __name__ == "__main__":
    unittest.main()
