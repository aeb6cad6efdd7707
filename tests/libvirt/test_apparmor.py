# SPDX-License-Identifier: BSD-3-Clause
"""The rules for AppArmor, where libvirt's profile includes them, read by AppArmor's parser.

Nothing is loaded: this needs no kernel with AppArmor.
"""
import os
import re
import shutil
import subprocess
import unittest

from vm import apt, manual, paths, release, remove_scratch, scratch_dir
from vm.cache import folder, say

RULES = paths.ROOT / "conf/apparmor-libvirt-qemu"
# A profile of a domain, as virt-aa-helper makes it from libvirt's TEMPLATE.qemu
NAME = "libvirt-00000000-0000-0000-0000-000000000001"


def libvirts():
    """What libvirt's package has in /etc/apparmor.d; the package itself is not installed."""
    def fill(temp):
        say("fetching libvirt's profiles for AppArmor (once)")
        apt.unpack(release.codename(), "amd64", lambda _apt: ["libvirt-daemon-system"], temp)
    return folder(paths.cache_dir() / "apparmor" / release.codename(), fill) / "etc/apparmor.d"


class AppArmor(unittest.TestCase):
    """A folder like /etc/apparmor.d."""

    def setUp(self):
        self.etc = scratch_dir()
        self.addCleanup(remove_scratch, self.etc)
        for source in ("/etc/apparmor.d", libvirts()):
            shutil.copytree(source, self.etc, dirs_exist_ok=True)
        self.local = self.etc / "local/abstractions/libvirt-qemu"
        self.profile = self.etc / "libvirt" / NAME
        template = (self.etc / "libvirt/TEMPLATE.qemu").read_text(encoding="utf-8")
        self.profile.write_text(template.replace("LIBVIRT_TEMPLATE", NAME), encoding="utf-8")

    def parsed(self, *options: str) -> subprocess.CompletedProcess:
        """What the parser says of the profile, without the kernel and without its cache."""
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        return subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache",
                               "--base", self.etc, *options, self.profile], text=True, timeout=120,
                              capture_output=True, check=False, env={**os.environ, "PATH": path})

    def test_as_in_the_manual(self):
        """The commands of docs/libvirt.md put the rules where libvirt's profile reads them."""
        commands = manual.examples("libvirt.md", "sh", "AppArmor")[0]
        for path, here in (("/etc/apparmor.d", self.etc), ("/usr/share/okl4fs", RULES.parent)):
            self.assertIn(path, commands)
            commands = commands.replace(path, str(here))
        subprocess.run(["sh", "-e", "-c", f'sudo() {{ "$@"; }}\n{commands}'], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        done = self.parsed()
        self.assertEqual(done.returncode, 0, done.stderr)
        rules = re.findall(r"^(?:deny )?/.*,$", RULES.read_text(encoding="utf-8"), re.M)
        self.assertEqual(len(rules), 3)
        seen = self.parsed("--preprocess").stdout
        for rule in rules:
            self.assertRegex(seen, rf"(?m)^\s*{re.escape(rule)}$")

    def test_an_error_is_found(self):
        """So the parser does read that file."""
        self.local.parent.mkdir(parents=True, exist_ok=True)
        self.local.write_text("/run/okl4fs/*.sock readwrite,\n", encoding="utf-8")
        done = self.parsed()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(self.local), done.stderr)


if __name__ == "__main__":
    unittest.main()
