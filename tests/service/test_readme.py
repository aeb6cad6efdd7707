# SPDX-License-Identifier: BSD-3-Clause
"""README.md, "Your first channel", with QEMU: typed as it stands there, by an ordinary user of a clean Debian.

The host has this machine's QEMU as its own. The guest runs our initramfs; what is typed in a guest of
Debian is tested by the suite package.
"""
import os
import re
import socket
import unittest
from pathlib import Path

from vm import initramfs, kernel as kernels, manual
from vm.agent import Agent
from vm.process import Deadline
from vm.pump import Pump

from rig import HostTest

TIMEOUT_S = 300
PAGE = "README.md"
VM = "/srv/vm"
# What a guest of this test needs; the README's arguments follow
QEMU = f"""\
#!/bin/sh
export QEMU_MODULE_DIR=/machine/usr/lib/x86_64-linux-gnu/qemu
exec /machine/usr/lib64/ld-linux-x86-64.so.2 --argv0 qemu-system-x86_64 \\
	--library-path /machine/usr/lib/x86_64-linux-gnu /machine/usr/bin/qemu-system-x86_64 \\
	-L /machine/usr/share/qemu -L /machine/usr/share/seabios -L /machine/usr/lib/ipxe/qemu \\
	-nodefaults -no-user-config -display none -vga none -nic none -M q35 -accel tcg \\
	-cpu max,-erms,-fsrm,-cx16 -kernel {VM}/vmlinuz -initrd {VM}/initrd \\
	-append 'console=ttyS0 loglevel=7 oops=panic panic=-1' -serial file:{VM}/console \\
	-device virtio-serial-pci,id=agents -chardev socket,id=agent,path={VM}/agent.sock \\
	-device virtserialport,bus=agents.0,nr=1,chardev=agent,name=okl4fs.agent "$@"
"""


class WithQemu(HostTest):
    """alice may use sudo, and has the packages and the image of a virtual machine."""
    BINDS = {Path("/usr"): "/machine/usr"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host.check("useradd -m -s /bin/bash alice && mkdir /home/alice/packages && "
                       "echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice && "
                       f"truncate -s 1M /home/alice/vm.img && mkdir -m 777 {VM}")
        for deb in cls.debs.values():
            cls.host.path(f"/home/alice/packages/{deb.name}").write_bytes(deb.read_bytes())
        cls.host.check("chown -R alice: /home/alice")
        cls.host.path("/usr/bin/qemu-system-x86_64").write_text(QEMU, encoding="utf-8")
        cls.host.check("chmod 755 /usr/bin/qemu-system-x86_64")

    def script(self, text: str, group: str) -> str:
        """A command of root that does what alice types, in a shell from before all this."""
        self.host.path("/home/alice/typed").write_text(text, encoding="utf-8")
        shell = "bash -ex ../typed"
        if group:  # what newgrp does; it has to be a member
            shell = f"sg {group} -c '{shell}'"
        return ("cd /home/alice/packages && exec setpriv --reuid=alice --regid=alice "
                f"--clear-groups env HOME=/home/alice USER=alice {shell}")

    def typed(self, text: str) -> str:
        """Run what alice types before a `newgrp`; the group that newgrp gives to the rest."""
        before, _, group = text.partition("newgrp ")
        self.host.check(self.script(before, ""), 120)
        return group.strip()

    def boot(self, command: str) -> Agent:
        """Start QEMU by a command; its guest, with the driver as the package loads it."""
        folder, kernel = self.host.path(VM), kernels.get(kernels.DEFAULT)
        (folder / "vmlinuz").write_bytes(kernel.vmlinuz.read_bytes())
        (folder / "initrd").write_bytes(initramfs.build(kernel, kernels.module(kernel), ()))
        said = open(self.scratch / "qemu.log", "wb")
        self.addCleanup(said.close)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "agent.sock"))
            os.chmod(folder / "agent.sock", 0o666)
            listener.listen()
            process = self.host.spawn(command, stdout=said, stderr=said)
            self.addCleanup(process.kill)
            self.addCleanup(self.host.run, "pkill -u alice -f qemu-system")
            listener.settimeout(Deadline(30).left_s())
            connection = listener.accept()[0]
        pump = Pump()
        self.addCleanup(pump.close)
        agent = Agent(pump)
        pump.add(agent, connection)
        agent.synchronise()
        pump.start()
        agent.wait(lambda: agent.ready, 90, "boot")
        self.in_guest(agent, "insmod /lib/okl4fs.ko && mkdir -p /okl4 && "
                             "mount -t okl4fs -o populate okl4fs /okl4")
        return agent

    def tearDown(self):
        for log in (self.scratch / "qemu.log", self.host.path(f"{VM}/console")):
            if self._outcome.result.errors and log.exists():
                print(f"-- {log.name}:\n{log.read_text(errors='replace')[-3000:]}")

    def in_guest(self, agent: Agent, command: str) -> None:
        """Type a command in the guest."""
        status, said = agent.start(command, False, False, None).wait(60)
        self.assertEqual(status, 0, said)

    def test_first_channel(self):
        """Five steps; without the group, nothing is allowed."""
        install, start = manual.examples(PAGE, "sh", "With QEMU")
        _, write, read = manual.examples(PAGE, "sh", "In the guest")
        self.assertEqual(manual.steps(PAGE, "With QEMU") + manual.steps(PAGE, "In the guest"), 5)
        group = self.typed(install)
        status, said = self.host.run(self.script(read, ""))
        self.assertNotEqual(status, 0)
        self.assertRegex(said, "(?i)permission denied")
        guest = self.boot(self.script(start, group))
        self.in_guest(guest, write)
        self.assertRegex(self.host.check(self.script(read, group)), r"(?m)^hello$")


class Steps(unittest.TestCase):
    """What the README says about its lists."""

    def test_numbers(self):
        """No list has more than six steps, and they are as many as the text says."""
        in_guest = manual.steps(PAGE, "In the guest")
        found = [manual.steps(PAGE, f"With {way}") + in_guest
                 for way in ("QEMU", "libvirt", "Cloud Hypervisor")]
        self.assertEqual(found, [5, 6, 5])
        text = Path(manual.paths.ROOT / PAGE).read_text(encoding="utf-8")
        self.assertTrue(re.search(r"\*\*five steps\*\* \(libvirt: six\)", text))


if __name__ == "__main__":
    unittest.main()
