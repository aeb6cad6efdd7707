# SPDX-License-Identifier: BSD-3-Clause
"""`okl4fsctl qemu-args` for each program and way, with paths that need quoting."""
import json
import socket
from xml.etree import ElementTree

from ctl_rig import DaemonTest, one_answer
from schema import load_commented
from vm import manual, paths
from vm.daemon import Daemon, guest_config
from vm.process import remove_scratch, scratch_dir

ODD = "a, b='c' & <d> \"e\" [f] ü.sock"


class QemuArgs(DaemonTest):
    """A daemon with guests whose sockets have all kinds of names."""

    @classmethod
    def config(cls):
        cls.odd = str(cls.scratch / ODD)
        return {"guests": [
            guest_config("vm1", cls.scratch / "vm1.sock", {}),
            guest_config("vm2", cls.scratch / "vm2.sock", {}, socket_mode="connect"),
            guest_config("odd", cls.odd, {}),
            guest_config("-relative", "vm3.sock", {}),
            guest_config("line", cls.scratch / "line\nfeed.sock", {}),
            guest_config("win", cls.scratch / "win", {"a": {"type": "echo"}, "b, c": {"type": "echo"}},
                         way="serial", socket_mode="connect"),
            guest_config("many", cls.scratch / "many", {f"c{i}": {"type": "echo"} for i in range(32)},
                         way="serial"),
            guest_config("none", cls.scratch / "none", {}, way="serial")]}

    def good(self, *args) -> str:
        """Run okl4fsctl qemu-args, which must succeed; return its output."""
        return super().good("qemu-args", *args)

    def json(self, *args) -> dict:
        """The same with --json."""
        return json.loads(self.good("--json", *args))

    def bad(self, wanted: int, sentence: str, *args) -> None:
        """Run okl4fsctl qemu-args, which must fail with a status and a sentence in one line."""
        with self.subTest(args=args):
            errors = super().bad(wanted, sentence, "qemu-args", *args)
            self.assertEqual(len(errors.splitlines()), 1, errors)

    def words(self, *args) -> list[str]:
        """The arguments that the pasted output makes; they must equal those in JSON."""
        words = manual.words(self.good(*args))
        self.assertEqual(words, self.json(*args)["args"])
        return words

    # QEMU

    def test_fs(self):
        self.assertEqual(self.words("vm1"), [
            "-m", "512M", "-object", "memory-backend-memfd,id=okl4fs-mem,size=512M,share=on",
            "-machine", "memory-backend=okl4fs-mem",
            "-chardev", f"socket,id=okl4fs,path={self.scratch}/vm1.sock",
            "-device", "vhost-user-fs-pci,chardev=okl4fs,tag=okl4fs0"])
        self.assertEqual(self.words("vm1", "--way", "fs"), self.words("vm1"))

    def test_qemu_listens(self):
        words = self.words("vm2", "--memory=1024")
        self.assertEqual(words[:4], ["-m", "1024M", "-object",
                                     "memory-backend-memfd,id=okl4fs-mem,size=1024M,share=on"])
        self.assertEqual(words[7], f"socket,id=okl4fs,path={self.scratch}/vm2.sock,server=on")
        for memory in ("1G", "1024M", "1GiB", "1g", "1048576K"):
            self.assertEqual(self.words("vm2", "--memory", memory), words)

    def test_qemu_listens_in_the_folder_of_a_group(self):
        """The folder's setgid bit says so; then the umask matters. Otherwise nothing is said."""
        wanted = self.good("vm2")
        self.scratch.chmod(0o2770)
        self.addCleanup(self.scratch.chmod, 0o700)
        status, output, errors = self.daemon.ctl("qemu-args", "vm2")
        self.assertEqual((status, output), (0, wanted))
        self.assertIn(f"vm2: start QEMU with umask 007, as a member of the group {self.scratch.group()}",
                      errors)
        self.assertEqual(self.daemon.ctl("qemu-args", "vm1")[2], "")

    def test_generic(self):
        words = self.words("--way=generic", "vm1")
        self.assertEqual(words[7], f"socket,id=okl4fs,path={self.scratch}/vm1.sock")
        self.assertEqual(words[9], "vhost-user-test-device-pci,chardev=okl4fs,virtio-id=38,num_vqs=2")

    def test_generic_where_qemu_listens(self):
        """It works, with a warning."""
        status, output, errors = self.daemon.ctl("qemu-args", "vm2", "--way", "generic")
        self.assertEqual(status, 0)
        self.assertIn("vm2: warning: this QEMU ends when a second daemon connects", errors)
        self.assertIn("server=on", output)
        self.assertIn("vhost-user-test-device-pci", output)

    def test_paths(self):
        """Paths with what is special to a shell or to QEMU; a relative path; one like an option."""
        self.assertEqual(self.words("odd")[7],
                         f"socket,id=okl4fs,path={self.odd.replace(',', ',,')}")
        self.assertEqual(self.words("--", "-relative")[7],
                         f"socket,id=okl4fs,path={self.scratch}/vm3.sock")
        self.assertEqual(self.words("line")[7],
                         f"socket,id=okl4fs,path={self.scratch}/line\nfeed.sock")

    # Ports of virtio-serial

    def test_ports(self):
        self.assertEqual(self.words("win"), [
            "-device", "virtio-serial-pci,id=okl4fs0",
            "-chardev", f"socket,id=okl4fs-port0,path={self.scratch}/win.a,server=on,wait=off",
            "-device", "virtserialport,bus=okl4fs0.0,chardev=okl4fs-port0,name=okl4.a",
            "-chardev", f"socket,id=okl4fs-port1,path={self.scratch}/win.b,, c,server=on,wait=off",
            "-device", "virtserialport,bus=okl4fs0.0,chardev=okl4fs-port1,name=okl4.b,, c"])

    def test_many_ports(self):
        """One device has 30 of them. The daemon listens, which QEMU needs at its start."""
        status, printed, errors = self.daemon.ctl("qemu-args", "many")
        self.assertEqual(status, 0)
        self.assertIn("many: this QEMU needs okl4fsd at its start, and does not connect again", errors)
        words = manual.words(printed)
        devices = [word for word in words if word.startswith("virtio-serial-pci")]
        self.assertEqual(devices, ["virtio-serial-pci,id=okl4fs0", "virtio-serial-pci,id=okl4fs1"])
        self.assertEqual(words[-3], f"socket,id=okl4fs-port31,path={self.scratch}/many.c31")
        self.assertEqual(words[-1],
                         "virtserialport,bus=okl4fs1.0,chardev=okl4fs-port31,name=okl4.c31")

    def test_ports_of_libvirt(self):
        for guest, mode, port in (("win", "bind", "b, c"), ("many", "connect", "c1")):
            status, printed, errors = self.daemon.ctl("qemu-args", guest, "--libvirt")
            self.assertEqual((status, "warning: libvirt makes a socket" in errors), (0, mode == "bind"))
            domain = ElementTree.fromstring(printed)
            self.assertEqual(domain.findtext("name"), guest)
            self.assertIsNone(domain.find("memoryBacking"))
            channel = domain.findall("devices/channel")[1]
            source = channel.find("source")
            self.assertEqual((channel.get("type"), source.get("mode"), source.get("path")),
                             ("unix", mode, f"{self.scratch}/{guest}.{port}"))
            self.assertEqual(source.find("reconnect") is not None, mode == "connect")
            self.assertEqual(channel.find("target").attrib,
                             {"type": "virtio", "name": f"okl4.{port}"})
        example, = manual.examples("serial.md", "xml")
        example = example.replace("/run/okl4fs/win.log", f"{self.scratch}/many.c0")
        self.assertIn(" ".join(example.replace("okl4.log", "okl4.c0").split()),
                      " ".join(self.good("many", "--libvirt").split()))

    def test_what_ports_cannot(self):
        self.bad(1, "win: Cloud Hypervisor has no virtio-serial ports", "win", "--cloud-hypervisor")
        self.bad(1, "win: --way is not for a guest", "win", "--way", "generic")
        self.bad(1, "win: a guest with \"way\": \"serial\" has no file system", "win",
                 "--libvirt=filesystem")
        self.bad(1, "none: it has no channels", "none")

    def test_setup_of_ports(self):
        """No driver, no memory: the arguments, and the port in the guest."""
        text = super().good("setup", "win")
        self.assertIn("-device virtio-serial-pci,id=okl4fs0", text)
        self.assertIn("guest$ echo hello >/dev/virtio-ports/okl4.a", text)
        self.assertNotIn("driver", text)

    def test_doctor_of_ports(self):
        """It says which ports QEMU has; a guest's driver is not asked for."""
        status, text, _ = self.daemon.ctl("doctor", "win")
        self.assertEqual(status, 1)
        self.assertRegex(text, r"FAIL +win qemu: 0 of 2 ports are connected")
        self.assertNotIn("driver", text)
        with socket.socket(socket.AF_UNIX) as qemu:
            qemu.bind(str(self.scratch / "win.a"))
            qemu.listen()
            qemu.settimeout(20)
            with qemu.accept()[0]:
                text = self.daemon.ctl("doctor", "win")[1]
        (self.scratch / "win.a").unlink()
        self.assertRegex(text, r"-- +win qemu: 1 of 2 ports are connected")
        self.assertRegex(text, r"ok +win/a opened: its port .*win.a is connected")
        self.assertRegex(text, r"FAIL +win/b, c opened: QEMU does not listen: connect .*No such file")

    def test_guests_of_ports(self):
        self.assertRegex(super().good("guests", "--wide"), r"win\.CHANNEL \(serial\) \(connect\)")

    def test_manual_of_ports(self):
        """docs/serial.md has the lines that are printed for the guest of conf/serial.json."""
        example, = manual.examples("serial.md", "sh")
        config = load_commented((paths.ROOT / "conf/serial.json").read_text(encoding="utf-8"))
        config["guests"][0]["socket"] = str(self.scratch / "page")
        del config["control"]
        config["guests"][0]["channels"][0]["endpoint"]["path"] = str(self.scratch / "page.client")
        scratch = scratch_dir()
        self.addCleanup(remove_scratch, scratch)
        with Daemon(config, scratch=scratch) as daemon:
            status, printed, errors = daemon.ctl("qemu-args", "win")
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(manual.words(example.replace("/run/okl4fs/qemu/win", f"{self.scratch}/page")),
                         manual.words(printed))

    # Cloud Hypervisor

    def test_cloud_hypervisor(self):
        self.assertEqual(self.words("vm1", "--cloud-hypervisor", "--memory", "2048"), [
            "--memory", "size=2048M,shared=on", "--fs",
            f"tag=okl4fs0,socket={self.scratch}/vm1.sock,num_queues=1,queue_size=128"])
        self.assertEqual(self.words("vm1", "--cloud-hypervisor", "--way=generic")[2:], [
            "--generic-vhost-user",
            f"socket={self.scratch}/vm1.sock,device_type=38,queue_sizes=[128,128]"])
        quoted = self.odd.replace('"', '""')
        self.assertIn(f',socket="{quoted}",', self.words("odd", "--cloud-hypervisor")[3])

    def test_manual(self):
        """docs/cloud-hypervisor.md has the lines that are printed."""
        for example, way in zip(manual.examples("cloud-hypervisor.md", "sh"), ("fs", "generic"),
                                strict=True):
            said = manual.words(example.replace("/run/okl4fs", str(self.scratch)))
            self.assertEqual(said[:2], ["cloud-hypervisor", "…"])
            self.assertEqual(said[2:], self.words("vm1", "--cloud-hypervisor", "--memory=1024",
                                                  f"--way={way}"))

    # libvirt

    def test_domain(self):
        text = self.good("vm1", "--libvirt", "--memory", "768")
        self.assertEqual(self.json("vm1", "--memory", "768", "--libvirt=domain"), {"domain": text})
        domain = ElementTree.fromstring(text)
        self.assertEqual((domain.tag, domain.get("type")), ("domain", "qemu"))
        self.assertEqual(domain.findtext("name"), "vm1")
        self.assertEqual((domain.findtext("memory"), domain.find("memory").get("unit")),
                         ("768", "MiB"))
        self.assertEqual(domain.find("memoryBacking/source").get("type"), "memfd")
        self.assertEqual(domain.find("memoryBacking/access").get("mode"), "shared")
        device, = domain.findall("devices/filesystem")
        alone = ElementTree.fromstring(self.good("vm1", "--libvirt=filesystem"))
        for found in (device, alone):
            self.assertEqual(found.find("driver").attrib, {"type": "virtiofs", "queue": "128"})
            self.assertEqual(found.find("source").attrib, {"socket": f"{self.scratch}/vm1.sock"})
            self.assertEqual(found.find("target").attrib, {"dir": "okl4fs0"})
        self.assertEqual(alone.attrib, {"type": "mount"})
        self.assertIn("filesystem", self.json("vm1", "--libvirt=filesystem"))

    def test_domain_with_an_odd_path(self):
        for part in ("domain", "filesystem"):
            text = self.good("odd", f"--libvirt={part}")
            self.assertEqual(ElementTree.fromstring(text).find(".//source[@socket]").get("socket"),
                             self.odd)

    def test_domain_where_qemu_listens(self):
        """libvirt has no element for that, so QEMU gets the same arguments as without libvirt."""
        text = self.good("vm2", "--libvirt")
        domain = ElementTree.fromstring(text)
        self.assertEqual(domain.find("memoryBacking/access").get("mode"), "shared")
        self.assertIsNone(domain.find("devices/filesystem"))
        name = "{http://libvirt.org/schemas/domain/qemu/1.0}"
        words = [arg.get("value") for arg in domain.findall(f"{name}commandline/{name}arg")]
        self.assertEqual([words[0], words[1], words[2]], self.words("vm2")[6:9])
        self.assertEqual(words[3], self.words("vm2")[9] + ",bus=pcie.0,addr=0x10")

    # What is refused

    def test_refused(self):
        self.bad(1, 'there is no guest "vm9"', "vm9")
        for target, name in (("--libvirt=filesystem", "a <filesystem> of libvirt"),
                             ("--cloud-hypervisor", "Cloud Hypervisor")):
            self.bad(1, f'vm2: {name} does not listen: the guest needs "socket_mode": "listen"',
                     "vm2", target)
        for target, name in (("--libvirt", "libvirt"), ("--libvirt=filesystem", "libvirt"),
                             ("--cloud-hypervisor", "Cloud Hypervisor")):
            self.bad(1, f"line: {name} cannot have a control character in the socket's path",
                     "line", target)

    def test_usage(self):
        for sentence, *args in (
                ("qemu-args: an argument is missing",),
                ("qemu-args: an argument is missing", "--libvirt"),
                ("qemu-args: too many arguments", "vm1", "vm2"),
                ("qemu-args: too many arguments", *["vm1"] * 20),
                ("qemu-args: there is no option --frobnicate; see okl4fsctl help qemu-args", "vm1", "--frobnicate"),
                ('--way: "pci" is neither fs nor generic', "vm1", "--way", "pci"),
                ('--libvirt: "x" is neither domain nor filesystem', "vm1", "--libvirt=x"),
                ("libvirt supports only the way fs", "vm1", "--libvirt", "--way=generic"),
                ("--libvirt or --cloud-hypervisor, not both", "vm1", "--libvirt",
                 "--cloud-hypervisor"),
                *((f'--memory: "{memory}" is neither a size such as 512M or 2G nor a number', "vm1", f"--memory={memory}")
                  for memory in ("0", "", "-1", "+5", "1.5G", "1X", "1GB", "512K", "1023T", "99999999999999999999", "16777217"))):
            self.bad(2, sentence, *args)

    def test_no_daemon(self):
        super().bad(3, "no daemon at", "qemu-args", "vm1", "--libvirt", "-s",
                    self.scratch / "none.sock")

    def test_another_daemon(self):
        """An answer that makes no sense is reported, whatever is in it."""
        path = self.scratch / "other.sock"
        for result in ({}, {"guests": 1}, {"guests": []}, {"guests": [1]},
                       {"guests": [{"name": "vm1", "socket": "relative"}]}):
            def answer(line, result=result):
                return json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"],
                                   "result": result}).encode() + b"\n"
            with one_answer(path, answer):
                self.bad(1, "the daemon's answer names no socket", "vm1", "-s", path)
