# SPDX-License-Identifier: BSD-3-Clause
"""The guest's packages: installed in a clean Debian, booted as a real guest with systemd, and purged.

The same system is then booted for docs/recipes.md.
"""
import hashlib
import os
import re
import shlex
import shutil
import socket
import unittest
from pathlib import Path

from vm import Disk, guest_config, manual, paths, remove_scratch, scratch_dir, until
from vm.base import VmTest, echo, listens

import debs
import image
import recipes
from console import PROMPT, Console

TIMEOUT_S = 1800
BOOT_S = 300

# Units that take long to start and that tests do not need
NOT_NEEDED = ("e2scrub_reap.service", "getty-static.service", "getty@tty1.service",
              "serial-getty@ttyS0.service", "ssh.service")

# Those that only recipes need
NO_SERVERS = "systemd.mask=redis-server.service systemd.mask=prometheus-node-exporter.service"

# Files that change whenever a package was installed: the records of dpkg and apt, and the group, which stays
NOTED = re.compile(r" \./(var/lib/dpkg/|var/lib/apt/|var/cache/|var/log/|etc/ld\.so\.cache |"
                   r"etc/(group|gshadow)-? |etc/\.pwd\.lock )")


# What setUpModule() made: the package, the output of make-image, and what to boot
DEB, OUT, DISK = Path(), Path(), Disk(Path(), Path(), Path())


def setUpModule():
    """Install the package, once for all classes."""
    global DEB, OUT, DISK
    OUT = scratch_dir()
    unittest.addModuleCleanup(remove_scratch, OUT)
    made = debs.build()
    DEB = made["okl4fs-dkms"]
    DISK = image.make(image.base(made), [DEB, made["okl4fs-guest"]], OUT, recipes.early())


def boot_options(disk: Disk, append: str = "") -> dict:
    """How a guest of these tests boots."""
    return {"disk": disk, "way": "fs", "smp": 1, "wait": False, "boot_timeout": BOOT_S,
            "append": " ".join([*(f"systemd.mask={unit}" for unit in NOT_NEEDED), append])}


class Install(VmTest):
    """One installation, booted twice side by side: with a device, and without any."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.deb, cls.out = DEB, OUT
        path = cls.scratch / "vm.sock"
        cls.start_daemon([guest_config("vm", path, {
            "echo": echo(), "hello world": echo(), "out": listens(cls.scratch / "out.sock"),
            "console": {"endpoint": listens(cls.scratch / "console.sock"), "guest_mode": "0600"},
            "nobodys": {"endpoint": echo(), "guest_mode": "0600", "guest_uid": 65534}})])
        packages = cls.scratch / "packages"  # the README shows this folder to the guest
        packages.mkdir()
        shutil.copy(cls.deb, packages)
        cls.guest = cls.start_guest(path, **boot_options(DISK, NO_SERVERS), qemu_args=[
            "-drive", f"file=fat:ro:{packages},format=raw,if=virtio,readonly=on"])
        cls.bare = cls.start_guest(None, **boot_options(DISK, NO_SERVERS))
        cls.guest.wait_ready()
        cls.bare.wait_ready()

    def listing(self, when: str) -> dict[str, str]:
        """All files of the system: {line that describes it: path}."""
        lines = (self.out / when).read_text(encoding="utf-8", errors="surrogateescape")
        return {line: line.split(" ")[4] for line in lines.splitlines()
                if not NOTED.search(line + " ")}

    # The package

    def test_02_control(self):
        """Name, version and architecture; everyone may read all files, and execute the one program."""
        version = self.daemon.rpc("version")["version"]
        for name, value in (("Version", f"{version}-1"), ("Architecture", "all")):
            self.assertEqual(debs.field(self.deb, name), value)
        self.assertIn("dkms", debs.depends(self.deb))
        for line in debs.contents(self.deb):
            self.assertRegex(line, "^-rwxr-xr-x root/root .* ./usr/sbin/okl4fs-guest-doctor$"
                             if "doctor\n" in line + "\n" else
                             "^(-rw-r--r--|drwxr-xr-x) root/root ")

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
        """Manual pages, recipes, the licence and both changelogs are there."""
        added = set(self.listing("installed").values())
        for path in ("doc/okl4fs-dkms/copyright", "doc/okl4fs-dkms/changelog.gz",
                     "doc/okl4fs-dkms/changelog.Debian.gz", "doc/okl4fs-dkms/recipes.md",
                     "man/man4/okl4fs-driver.4.gz", "man/man7/okl4fs.7guest.gz",
                     "man/man8/okl4fs-guest-doctor.8.gz"):
            self.assertIn(f"./usr/share/{path}", added)

    def test_04_installation_says_what_is_there(self):
        """The output of apt ends with the guest's doctor, which found the module."""
        said = (self.out / "install.log").read_text(encoding="utf-8")
        self.assertRegex(said, r"(?m)^okl4fs-dkms: what .*:\nok    module: built for Linux \S+ \(\S+\)\n"
                               r"--    the other checks: not yet")

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

    def test_12_as_in_the_readme(self):
        """README.md, "In the guest": the drive with the package, and the first byte.

        (The commands that install it were typed when the disk was made: image.make().)
        """
        text = " ".join((paths.ROOT / "README.md").read_text(encoding="utf-8").split())
        mount, = re.findall("`(mount -o ro [^`]*)`", text)
        said = self.guest.check(f"set -e; {mount}; sha256sum okl4fs-dkms_*.deb")
        self.assertEqual(said.split(), [hashlib.sha256(self.deb.read_bytes()).hexdigest(),
                                        self.deb.name])
        self.guest.check("umount /mnt")
        _, write, _ = manual.examples("README.md", "sh", "In the guest")
        self.daemon.rpc("channel.add", {"guest": "vm", "channel": {
            "name": "intervm_test", "endpoint": listens(self.scratch / "intervm_test.sock")}})
        try:
            until(lambda: self.guest.run("test -p /okl4/intervm_test")[0] == 0, "the node", 60)
            self.guest.check(write)
            with socket.socket(socket.AF_UNIX) as host:
                host.settimeout(60)
                host.connect(str(self.scratch / "intervm_test.sock"))
                self.assertEqual(host.makefile("r").read(), "hello\n")
        finally:
            self.daemon.rpc("channel.remove", {"guest": "vm", "channel": "intervm_test"})
        until(lambda: self.guest.run("test -e /okl4/intervm_test")[0], "the node to go", 60)

    def doctor(self, guest, user: str = "") -> tuple[int, dict[str, str]]:
        """What okl4fs-guest-doctor says: its status, and {check: the line and the way out}."""
        status, said = guest.run(f"{user} okl4fs-guest-doctor 2>&1")
        lines = said.replace("\n      do: ", " DO ").splitlines()
        return status, {line[6:].partition(":")[0]: line[:6].strip() + line[6:].partition(":")[2]
                        for line in lines}

    def test_12a_doctor(self):
        """All is well with the device; the guest without one lacks just that."""
        status, said = self.doctor(self.guest)
        self.assertEqual((status, list(said)),
                         (0, ["module", "driver", "device", "host", "mount", "rights"]), said)
        self.assertEqual({line[:3] for line in said.values()}, {"ok "}, said)
        self.assertIn("virtio", said["device"])
        self.assertEqual(said["host"], "ok answers, and offers 5 channels")
        self.assertEqual(said["rights"], "ok root may use all 5 channels")
        status, said = self.doctor(self.bare)
        self.assertEqual(status, 1)
        self.assertEqual(said["driver"][:3], "ok ")
        self.assertEqual(said["device"], "FAIL QEMU has given this guest none DO on the host: "
                                         "okl4fsctl setup GUEST prints what QEMU needs")
        self.assertEqual(said["mount"], "-- not yet (device)")

    def test_12b_doctor_of_a_user(self):
        """A user outside of the group is told how to get into it; a member may use what is for members."""
        self.guest.check("useradd -M alice && useradd -M -G okl4fs bob")
        status, said = self.doctor(self.guest, "runuser -u alice --")
        self.assertEqual((status, said["rights"]), (
            1, "FAIL alice may not use what is in /okl4: it is for the group okl4fs "
               "DO sudo adduser alice okl4fs, then log in again"))
        self.guest.check("usermod -a -G okl4fs alice")
        old = "setpriv --reuid alice --regid alice --clear-groups --"
        self.assertIn("DO log in again", self.doctor(self.guest, old)[1]["rights"])
        status, said = self.doctor(self.guest, "runuser -u bob --")
        self.assertEqual((status, said["host"]), (0, "-- only root may look at it"))
        self.assertIn("-- bob may not use 2 of 5 channels", said["rights"])

    def test_12c_doctor_without_a_module(self):
        """Not loaded; not built; without headers; on a kernel that wants signed modules."""
        self.guest.check("systemctl stop okl4.mount && modprobe -r okl4fs")
        modules = "/lib/modules/$(uname -r)"
        status, said = self.doctor(self.guest)
        self.assertEqual((status, said["driver"][:31]), (1, "FAIL not loaded DO modprobe okl"))
        self.assertEqual(said["device"], "-- not yet (driver)")
        self.guest.check("mount -t tmpfs signed /sys/kernel/security && "
                         "echo 'none [integrity] confidentiality' > /sys/kernel/security/lockdown")
        said = self.doctor(self.guest)[1]
        self.guest.check("umount /sys/kernel/security")
        self.assertIn("Secure Boot wants a signature", said["driver"])
        self.guest.check(f"mv {modules}/updates /srv")
        self.assertIn("DO dkms autoinstall -k ", self.doctor(self.guest)[1]["module"])
        self.guest.check(f"mv {modules}/build /srv")
        status, said = self.doctor(self.guest)
        self.assertEqual(status, 1)
        self.assertRegex(said["module"], r"FAIL not built: the kernel headers for Linux (\S+) are missing"
                                         r" DO apt install linux-headers-\1 && modprobe okl4fs$")
        self.assertEqual(said["driver"], "-- not yet (module)")
        self.guest.check(f"mv /srv/updates /srv/build {modules}/ && modprobe okl4fs && "
                         "udevadm settle && systemctl start okl4.mount")
        self.assertEqual(self.doctor(self.guest)[0], 0)

    def test_12d_installation_loads_and_mounts(self):
        """The postinst in a system that runs, once dkms has built the module: it says what is there."""
        configure = ("mount --bind /bin/true /usr/lib/dkms/common.postinst && "
                     "/var/lib/dpkg/info/okl4fs-dkms.postinst configure 2>&1; status=$?; "
                     "umount /usr/lib/dkms/common.postinst; exit $status")
        self.guest.check("systemctl stop okl4.mount && modprobe -r okl4fs")
        said = self.guest.check(f"({configure})", 60)
        for check in ("module", "driver", "device", "host", "mount", "rights"):
            self.assertRegex(said, rf"(?m)^ok    {check}: ")

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

    def test_17_serve(self):
        """The units wait for a channel that the host adds later; the purge below removes them as they run."""
        self.guest.check("mkdir /etc/okl4fs-serve; echo 'echo hello; cat' > /srv/answer; "
                         "echo ARGS=-v -- sh /srv/answer > /etc/okl4fs-serve/many.conf; "
                         "systemctl enable --now okl4fs-serve@many.path okl4fs-listen@many.socket", 60)
        self.daemon.rpc("channel.add", {"guest": "vm", "channel": {
            "name": "many", "sessions": 8, "endpoint": listens(self.scratch / "many.sock")}})
        clients = [self.client(self.scratch / "many.sock") for _ in range(3)]
        for client in clients:
            self.assertEqual(client.makefile().readline(), "hello\n")
        self.assertEqual(self.guest.check("systemctl is-active okl4fs-serve@many.service"), "active\n")
        until(lambda: "session 3: open" in self.guest.check("journalctl -o cat -u okl4fs-serve@many"),
              "the journal", 60)
        self.settled(self.guest)

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


class Recipes(recipes.Recipes):
    """docs/recipes.md in the installed system, with the initrd that it makes."""

    @classmethod
    def boot(cls, path, append):
        return cls.start_guest(path, **boot_options(image.early_initrd(DISK), append))


if __name__ == "__main__":
    unittest.main()
