# SPDX-License-Identifier: BSD-3-Clause
"""Steps of test_service.py: what cannot be served is told, and what was changed live is kept."""
import json
import os

from container import quoted

from rig import CHANNELS, CONFIG, guest

FILE = {"name": "file", "endpoint": {"type": "intervm", "file": "/var/lib/okl4fs/none"}}
PROBLEMS = ["guest vm1: channel file: intervm: /var/lib/okl4fs/none: No such file or directory",
            "guest vm2: socket /run/okl4fs/none/vm2.sock: No such file or directory (make its folder "
            "first, or choose another path)"]


class ProblemSteps:
    """Mixed into a HostTest where the package is installed."""

    def test_16_what_cannot_be_served(self):
        """A start serves the rest; the status, okl4fsctl and systemctl reload say what is missing."""
        self.configure({"guests": [guest("vm1", channels=[*CHANNELS, FILE]),
                                   guest("vm2", folder="/run/okl4fs/none")]})
        self.host.check("systemctl restart okl4fsd.service")
        self.assertEqual(self.show("StatusText"), "2 guests (0 ready), 4 channels, 0 bytes moved; "
                         "2 problems: see okl4fsctl status")
        shown = self.host.check("okl4fsctl status")
        for problem in PROBLEMS:
            self.assertIn(f"  {problem}\n", shown)
        self.assertRegex(self.host.check("okl4fsctl guests"), r"vm2 +unavailable ")
        self.assertRegex(self.host.check("okl4fsctl channels --wide"), r"vm1 +file +unavailable ")
        channel = self.guest().channel("echo")
        channel.echo(os.urandom(1000))
        self.assertNotEqual(self.host.run("systemctl reload okl4fsd.service")[0], 0)
        told = self.host.check("journalctl --sync && journalctl -q -o cat -t okl4fsctl -u okl4fsd.service")
        for sentence in (*PROBLEMS, "the configuration was applied, except for 2 problems"):
            self.assertIn(f"okl4fsctl: {sentence}\n", told)
        self.host.check("cd /run/okl4fs && install -d -o okl4fs none && "
                        "echo hello >/var/lib/okl4fs/none && systemctl reload okl4fsd.service")
        self.wait_show("StatusText", r"2 guests \(1 ready\), 4 channels, [^;]* moved", limit_s=5)
        channel.echo(os.urandom(1000))
        self.assertIn("file", channel.driver.channels())
        self.host.check("rm -r /run/okl4fs/none /var/lib/okl4fs/none")

    def test_16_what_was_changed_is_kept(self):
        """By root; a member of the group may change the daemon, but not the file, and is told so."""
        self.configure({"guests": [guest("vm1")]})
        self.host.check(f"useradd -G okl4fs saver && chgrp okl4fs {CONFIG} && chmod 640 {CONFIG} && "
                        "systemctl restart okl4fsd.service")
        channel = self.guest().channel("echo")
        channel.echo(os.urandom(1000))
        add = quoted("okl4fsctl", "channel-add", "--save", "vm1",
                     json.dumps({"name": "more", "endpoint": {"type": "discard"}}))
        status, said = self.host.run(f"runuser -u saver -- {add}")
        self.assertEqual((status, said), (
            1, f"okl4fsctl: nothing was changed: {CONFIG} cannot be saved: Permission denied "
               "(run okl4fsctl as root, for instance with sudo)\n"))
        self.assertEqual(self.host.check("okl4fsctl channels --names"), "vm1/echo\n")
        self.host.check(add)
        shown = self.host.check("runuser -u saver -- okl4fsctl config show")
        self.assertEqual(self.host.path(CONFIG).read_text(encoding="utf-8"), shown)
        self.assertEqual(self.host.check(f"stat -c '%U:%G %a' {CONFIG}; ls {CONFIG}*"),
                         f"root:okl4fs 640\n{CONFIG}\n")
        self.host.check(f"okl4fsd --config {CONFIG} --check && systemctl reload okl4fsd.service")
        channel.echo(os.urandom(1000))
        self.host.check("systemctl restart okl4fsd.service")
        self.assertEqual(self.host.check("okl4fsctl channels --names"), "vm1/echo\nvm1/more\n")
        self.assertEqual(self.host.check("okl4fsctl config show"), shown)
        self.host.check(f"chown root:root {CONFIG}; chmod 644 {CONFIG}; userdel saver")
