# SPDX-License-Identifier: BSD-3-Clause
"""The guest's packages: installed in a clean Debian, booted as a real guest with systemd, and purged."""
import os
import re
import shlex
import socket
import unittest

from vm import guest_config, paths
from vm.base import VmTest, echo, listens

import debs
import image
from console import PROMPT, Console

TIMEOUT_S = 1800
BOOT_S = 300

# Units that take long to start and that tests do not need
NOT_NEEDED = ("e2scrub_reap.service", "getty-static.service", "getty@tty1.service",
              "serial-getty@ttyS0.service")

# Files that change whenever a package was installed: the records of dpkg and apt, and the group, which stays
NOTED = re.compile(r" \./(var/lib/dpkg/|var/lib/apt/|var/cache/|var/log/|etc/ld\.so\.cache |"
                   r"etc/(group|gshadow)-? |etc/\.pwd\.lock )")


class Install(VmTest):
    """One installation, booted twice side by side: with a device, and without any."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = debs.build()
        cls.deb = made["okl4fs-dkms"]
        cls.out = cls.scratch / "image"
        cls.out.mkdir()
        disk = image.make(image.base(made), [cls.deb, made["okl4fs-guest"]], cls.out)
        path = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", path, {
            "echo": echo(), "hello world": echo(), "out": listens(cls.scratch / "out.sock"),
            "console": {"endpoint": listens(cls.scratch / "console.sock"), "guest_mode": "0600"},
            "nobodys": {"endpoint": echo(), "guest_mode": "0600", "guest_uid": 65534}})])
        options = {"disk": disk, "way": "fs", "smp": 1, "wait": False, "boot_timeout": BOOT_S,
                   "append": " ".join(f"systemd.mask={unit}" for unit in NOT_NEEDED)}
        cls.guest = cls.start_guest(path, **options)
        cls.bare = cls.start_guest(None, **options)
        cls.guest.wait_ready()
        cls.bare.wait_ready()

    def listing(self, when: str) -> dict[str, str]:
        """All files of the system: {line that describes it: path}."""
        lines = (self.out / when).read_text(encoding="utf-8", errors="surrogateescape")
        return {line: line.split(" ")[4] for line in lines.splitlines()
                if not NOTED.search(line + " ")}

    # The package

    def test_02_control(self):
        """Name, version and architecture; all files are readable for everyone."""
        version = self.daemon.rpc("version")["version"]
        for name, value in (("Version", f"{version}-1"), ("Architecture", "all")):
            self.assertEqual(debs.field(self.deb, name), value)
        self.assertIn("dkms", debs.depends(self.deb))
        for line in debs.contents(self.deb):
            self.assertRegex(line, "^(-rw-r--r--|drwxr-xr-x) root/root ")

    # In the unpacked system

    def test_03_built_for_the_guests_kernel(self):
        """dkms has built the module for the kernel of the system, not for the one that runs here."""
        added = set(self.listing("installed").values()) - set(self.listing("before").values())
        modules = [path.removesuffix(".xz") for path in added if path.endswith((".ko", ".ko.xz"))
                   and path.startswith("./usr/lib/modules/")]
        release, = {path.split("/")[4] for path in self.listing("before").values()
                    if path.endswith("/modules.builtin")}
        self.assertEqual(modules, [f"./usr/lib/modules/{release}/updates/dkms/okl4fs.ko"])
        if release != os.uname().release:
            self.assertFalse([path for path in added if os.uname().release in path])

    def test_04_documents(self):
        """Manual pages, the licence and both changelogs are there."""
        added = set(self.listing("installed").values())
        for path in ("doc/okl4fs-dkms/copyright", "doc/okl4fs-dkms/changelog.gz",
                     "doc/okl4fs-dkms/changelog.Debian.gz", "man/man4/okl4fs-driver.4.gz",
                     "man/man7/okl4fs.7guest.gz"):
            self.assertIn(f"./usr/share/{path}", added)

    def test_05_purge_leaves_nothing(self):
        """After a purge every file is as it was before the installation."""
        self.assertNotEqual(self.listing("before"), self.listing("installed"))
        before, purged = set(self.listing("before")), set(self.listing("purged"))
        self.assertEqual((sorted(purged - before), sorted(before - purged)), ([], []))

    # Booted

    def settled(self, guest) -> None:
        """systemd has finished starting, and nothing has failed."""
        status, state = guest.run("systemctl is-system-running --wait", BOOT_S)
        failed = guest.check("systemctl --failed --no-legend --plain")
        self.assertEqual((status, state.strip(), failed), (0, "running", ""))

    def test_10_boot_with_a_device(self):
        """The module is loaded and /okl4 mounted, with a node for each channel."""
        self.settled(self.guest)
        self.assertEqual(self.guest.check("cat /proc/1/comm"), "systemd\n")
        self.assertIn("updates/dkms/okl4fs.ko", self.guest.check("modinfo -n okl4fs"))
        self.guest.check("systemctl is-active systemd-modules-load.service okl4.mount")
        self.assertEqual(self.guest.check("ls -1 /okl4"), "console\necho\nhello world\nnobodys\nout\n")
        options = self.guest.check("findmnt -n -o FSTYPE,OPTIONS /okl4")
        self.assertRegex(options, r"^okl4fs +rw,nosuid,nodev,noexec,")

    def test_10a_for_a_group(self):
        """The package has made the group; only its members may use the channels."""
        entry = self.guest.check("getent group okl4fs")
        self.assertRegex(entry, r"^okl4fs:[^:]*:\d+:\n$")
        self.assertLess(int(entry.split(":")[2]), 1000)
        self.assertEqual(self.guest.check("stat -c '%A %U %G' /okl4 /okl4/echo"),
                         "drwxr-x--x root okl4fs\nprw-rw---- root okl4fs\n")
        self.assertIn(f"gid={entry.split(':')[2]},mode=660",
                      self.guest.check("findmnt -n -o OPTIONS /okl4"))
        talk = "exec 3<>/okl4/{} && echo hello >&3 && head -n 1 <&3"
        plain = "setpriv --reuid 65534 --regid 65534 {} -- sh -c '{}'"
        self.assertEqual(self.guest.check(plain.format("--groups okl4fs", talk.format("echo"))),
                         "hello\n")
        status, said = self.guest.run(plain.format("--clear-groups", talk.format("echo")))
        self.assertNotEqual(status, 0)
        self.assertIn("Permission denied", said)

    def test_10b_for_whom_the_host_says(self):
        """A channel that the host gives to a user is that user's, and not the group's."""
        self.assertEqual(self.guest.check("stat -c '%a %u %G' /okl4/nobodys"),
                         "600 65534 okl4fs\n")
        talk = "exec 3<>/okl4/nobodys && echo hello >&3 && head -n 1 <&3"
        self.assertEqual(self.guest.check("setpriv --reuid 65534 --regid 65534 --clear-groups -- "
                                          f"sh -c '{talk}'"), "hello\n")
        status, said = self.guest.run("setpriv --reuid 65533 --regid 65533 --groups okl4fs -- "
                                      f"sh -c '{talk}'")
        self.assertNotEqual(status, 0)
        self.assertIn("Permission denied", said)

    def test_10c_examples_of_the_manual(self):
        """The examples for systemd in okl4fs(7) work as described."""
        text = (paths.ROOT / "docs/okl4fs.7").read_text(encoding="utf-8")
        files = dict(re.findall(r"\.Bd -literal[^\n]*\n# (/etc/\S+)\n(.*?)\.Ed", text, re.S))
        self.assertEqual(sorted(files), ["/etc/systemd/system/okl4-nodes.service",
                                         "/etc/systemd/system/okl4.mount.d/nodes.conf",
                                         "/etc/tmpfiles.d/okl4.conf"])
        for path, content in files.items():
            self.guest.check(f"mkdir -p {path.rpartition('/')[0]} && "
                             f"printf %s {shlex.quote(content)} > {path}")
        self.guest.check("systemctl daemon-reload && systemctl restart okl4.mount", 60)
        self.guest.check("systemctl start okl4-nodes.service", 60)  # waits for what the mount has begun
        try:
            self.assertEqual(self.guest.check("stat -c '%a %U %G' /okl4/echo /okl4/out"),
                             "640 root adm\n660 root adm\n")
        finally:
            self.guest.check(f"rm {' '.join(files)} && rmdir /etc/systemd/system/okl4.mount.d && "
                             "systemctl daemon-reload && systemctl restart okl4.mount", 60)
        self.settled(self.guest)

    def test_11_boot_without_a_device(self):
        """The module waits for a device, nothing is mounted, and nothing has failed."""
        self.settled(self.bare)
        self.bare.check("test -d /sys/module/okl4fs && grep -q okl4fs /proc/filesystems")
        self.assertEqual(self.bare.run("systemctl is-active okl4.mount"), (3, "inactive\n"))
        self.bare.check("systemctl start okl4.mount && findmnt /okl4 && systemctl stop okl4.mount")

    def test_12_talk(self):
        """echo and cat, through the fifo, the daemon and its socket, both ways."""
        self.assertEqual(self.guest.check("echo hello > /okl4/echo; head -n 1 /okl4/echo"),
                         "hello\n")
        with socket.socket(socket.AF_UNIX) as host:
            host.settimeout(60)
            host.connect(str(self.scratch / "out.sock"))
            host.sendall(b"from the host\n")
            self.assertEqual(self.guest.check("head -n 1 /okl4/out"), "from the host\n")
            self.guest.check("echo from the guest > /okl4/out")
            self.assertEqual(host.makefile("r").readline(), "from the guest\n")

    def test_13_modprobe_by_alias(self):
        """Without modules-load.d: the alias of a device that was ours and that of the file system each
        load the module."""
        self.guest.check("systemctl stop okl4.mount && modprobe -r okl4fs")
        self.guest.check("udevadm trigger --action=add --subsystem-match=virtio && "
                         "udevadm settle && systemctl start okl4.mount && ls /okl4/echo", 60)
        self.guest.check("systemctl stop okl4.mount && modprobe -r okl4fs && "
                         "mount -t okl4fs -o populate okl4fs /okl4 && ls /okl4/echo && umount /okl4")
        self.guest.check("systemctl start okl4.mount")

    # A login over a channel (docs/login.md)

    def console(self) -> Console:
        """A user attaches to the console."""
        console = Console(self.daemon.control_path, "vm/console")
        self.addCleanup(console.close)
        console.see(r"Connected to vm/console \(escape: \^\]\)")
        return console

    def session_ends(self, shell: str) -> None:
        """The guest hangs up that shell."""
        self.guest.check(f"timeout 60 tail -s 0.1 --pid={shell} -f /dev/null", 90)

    def test_14_login(self):
        """As on a serial line: password, size, Ctrl-C, job control, vi, resize; then another login."""
        self.guest.check("useradd -m -s /bin/bash ann && echo ann:secret | chpasswd && "
                         "systemctl enable --now okl4fs-login@console.path", 90)
        console = self.console()
        console.log_in("ann", "secret")
        self.assertRegex(console.run("tty; stty size; id -un"), r"^/dev/pts/\d+\n24 80\nann\n$")
        for key, shown in (("\x03", PROMPT), ("\x1a", f"(?s)Stopped.*{PROMPT}")):
            console.type("sh -c 'echo begun; exec cat'\r")
            console.see("\n\r?begun")
            console.type(key)
            console.see(shown)
        console.type("fg\r")
        console.see("\n\r?sh -c .*\r\n")
        console.type("line\r")
        console.see("line\r\nline\r\n")  # the terminal's, and cat's: it is in the foreground
        console.type("\x03")
        console.see(PROMPT)
        self.assertEqual(console.run("echo status $?"), "status 130\n")
        self.assertEqual(console.run("jobs"), "")
        console.resize(40, 100)
        self.assertEqual(console.run("stty size"), "40 100\n")
        console.type("vi file\r")
        console.see("\\[New")
        console.resize(30, 90)
        console.type("ihello from vi\x1b:r !stty size </dev/tty\r:wq\r")
        console.see(PROMPT)
        self.assertEqual(console.run("cat file"), "hello from vi\n30 90\n")
        console.type("exit\r")
        console.see("Disconnected: the guest has closed the channel")
        self.assertEqual((console.ended(), console.is_restored()), (0, True))

    def test_15_login_of_a_client_that_leaves(self):
        """The escape key, or a kill: the session is hung up, and the next client gets a new login."""
        for leave in ("escape", "kill"):
            console = self.console()
            console.log_in("ann", "secret")
            shell = console.run("echo $$").strip()
            console.type("sh -c 'echo begun; exec sleep 1000'\r")
            console.see("\n\r?begun")
            if leave == "escape":
                console.type("\x1d")
                console.see("Disconnected\\.")
                self.assertEqual((console.ended(), console.is_restored()), (0, True))
            else:
                console.kill()
            self.session_ends(shell)
        self.settled(self.guest)

    def test_16_login_when_the_channel_comes(self):
        """The unit waits while the host does not offer the channel."""
        offered = self.daemon.config["guests"][0]["channels"]
        channel, = (one for one in offered if one["name"] == "console")
        self.daemon.rpc("channel.remove", {"guest": "vm", "channel": "console"})
        self.guest.check("until ! test -e /okl4/console; do :; done", 60)
        self.daemon.rpc("channel.add", {"guest": "vm", "channel": channel})
        self.console().see("login: ")

    def test_20_purge_while_it_runs(self):
        """apt purge unmounts, unloads and removes everything except the group."""
        self.guest.check("DEBIAN_FRONTEND=noninteractive apt-get purge -q -y okl4fs-dkms okl4fs-guest",
                         BOOT_S)
        self.assertNotEqual(self.guest.run("grep -q okl4 /proc/modules /proc/mounts")[0], 0)
        self.assertEqual(self.guest.check("find / -xdev -name '*okl4*' -not -path '/proc/*' "
                                          "-not -path '/var/lib/systemd/*'"), "")
        self.assertEqual(self.guest.check("grep -rl okl4 --exclude='group*' --exclude='gshadow*' "
                                          "/etc /usr/lib/modules/*/modules.* "
                                          "/var/lib/dkms /var/lib/dpkg/info || true"),
                         "/etc/systemd/system/test-agent.service\n")
        self.guest.check("getent group okl4fs")
        self.settled(self.guest)


if __name__ == "__main__":
    unittest.main()
