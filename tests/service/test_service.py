# SPDX-License-Identifier: BSD-3-Clause
"""okl4fsd under a real systemd: the package is installed, and its units are as shipped."""
import hashlib
import os
import re
import shutil
import socket
import tempfile
import unittest
from pathlib import Path

from vm import paths
from vm.process import Deadline
from vm.ptrace import VHOST_THREAD, StoppedThread

from rig import CHANNELS, CONFIG, RING_BYTES, HostTest, guest
from steps_problems import ProblemSteps
from steps_sandbox import SandboxSteps
from guest_end import Channel  # after rig, which says where these are
import vhost_user
from memory import Memory, Region

TIMEOUT_S = 600
READY = "ebc70cb3d4da4dc28afae7c54d138cda"
CONNECTED = "a6aaebe153b4464b9dbc99a1f4f5e1b4"
RELOADED = "e1f2c029404b4dddb4eb952d2e412462"
REFUSED = "268ec56a94724c9dbdabe67b1c0849d7"
STUCK = "fb9fc3d899634341ba1118448562083a"

TWO = {"guests": [guest("vm1", channels=CHANNELS), guest("vm2", socket_group="kvm")]}


class Service(ProblemSteps, SandboxSteps, HostTest):
    """The tests are steps, in the order of their numbers."""

    def test_00_install(self):
        """dpkg installs it; the user, the directory and the units are there, and it runs."""
        self.host.check("dpkg -i /srv/okl4fs.deb")
        type(self).shipped = self.host.path(CONFIG).read_bytes()
        self.assertIn("(okl4fs),", self.host.check("id okl4fs"))
        self.assertIn("(kvm)", self.host.check("id okl4fs"))
        self.assertEqual(self.host.check("stat -c '%U:%G %a' /run/okl4fs").strip(),
                         "okl4fs:okl4fs 755")
        self.assertEqual(self.host.check("systemctl is-enabled okl4fsd.service okl4fsd.socket"),
                         "enabled\nenabled\n")
        self.wait_show("ActiveState", "active")
        self.assertEqual(self.host.check("stat -c '%U:%G %a' /run/okl4fs/control.sock").strip(),
                         "okl4fs:okl4fs 660")

    def test_00_shipped_configuration_on_a_terminal(self):
        """What is shipped fits 80 columns, and nothing is cut from the names."""
        for command, shown in (("guests", "/run/okl4fs/default.sock (listen)"),
                               ("channels", "intervm_test")):
            text = self.host.check(f"script -qec 'okl4fsctl {command}' /dev/null </dev/null")
            self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
            self.assertIn("default ", text)
            self.assertIn(shown, text)

    def test_00_user_who_may_not_connect(self):
        """It is told which group, and after joining that it has to log in again."""
        as_user = "setpriv --reuid=alice --regid=users --clear-groups okl4fsctl status 2>&1 || :"
        self.host.check("useradd --no-create-home alice")
        self.assertIn("members of the group okl4fs can connect: sudo adduser alice okl4fs, then "
                      "log in again", self.host.check(as_user))
        self.host.check("usermod --append --groups okl4fs alice")
        self.assertIn("user alice is in the group okl4fs, but this session began before: log in "
                      "again, or run: newgrp okl4fs", self.host.check(as_user))
        self.assertIn("okl4fsd ", self.host.check(
            "setpriv --reuid=alice --regid=users --init-groups okl4fsctl status"))

    def test_01_units_are_well_formed(self):
        """systemd-analyze finds no fault, and an exposure of at most 1.0, in both services."""
        units = " ".join(f"/lib/systemd/system/okl4fsd{name}" for name in (
            ".service", ".socket", "@.service", "@.socket"))
        self.assertEqual(self.host.check(f"systemd-analyze verify --man=no {units} 2>&1"), "")
        for unit in ("okl4fsd.service", "okl4fsd@.service"):
            self.host.check("systemd-analyze security --offline=true --threshold=10 --no-pager "
                            f"/lib/systemd/system/{unit}")

    def test_02_one_sandbox(self):
        """An instance has the same settings, and its folder in place of the whole."""
        def settings(name: str) -> set[str]:
            text = (paths.ROOT / "systemd" / name).read_text(encoding="utf-8")
            return {line for line in text.splitlines() if "=" in line and line[0] != "#"}

        one, instance = settings("okl4fsd.service"), settings("okl4fsd@.service")
        self.assertEqual(sorted(line.partition("=")[0] for line in one - instance), sorted((
            "Description", "Requires", "ExecStart", "ExecReload", "RuntimeDirectory",
            "StateDirectory", "NoExecPaths", "Also")))
        self.assertEqual({line for line in instance - one if "%i" not in line},
                         {"TemporaryFileSystem=/run/okl4fs:ro"})

    def test_03_status(self):
        """The status text is that of the new configuration, and follows the guest."""
        self.configure(TWO)
        self.host.check("systemctl restart okl4fsd.service")
        self.assertEqual(self.show("StatusText"),
                         "2 guests (0 ready), 3 channels, 0 bytes moved")
        channel = self.guest().channel("echo")
        channel.echo(os.urandom(10 * RING_BYTES))
        self.wait_show("StatusText", r"2 guests \(1 ready\), 3 channels, .* moved", limit_s=5)
        self.assertIn('Status: "2 guests (1 ready)',
                      self.host.check("systemctl status --no-pager okl4fsd.service"))
        self.assertIn("guests    2: 1 connected", self.host.check("okl4fsctl status"))
        self.guest("vm2").close()
        self.wait_show("StatusText", r"2 guests \(1 ready\), 3 channels, 1.3 MB moved", limit_s=5)

    def test_04_activation(self):
        """A client of the control socket starts a daemon that was stopped, and is answered."""
        self.host.check("systemctl stop okl4fsd.service")
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.host.check("ls -A /run/okl4fs").split(), ["control.sock", "qemu"])
        self.assertIn("guests    2: 0 connected", self.host.check("okl4fsctl status"))
        self.assertEqual(self.show("ActiveState"), "active")

    def test_05_sandbox(self):
        """What the process may not do; its sockets have the configured groups and modes."""
        status, pid = self.status(), self.pid()
        self.assertEqual((status["CapEff"], status["CapBnd"], status["NoNewPrivs"],
                          status["Seccomp"]), ("0" * 16, "0" * 16, "1", "2"))
        self.assertEqual(int(status["Uid"].split()[0]), int(self.host.check("id -u okl4fs")))
        for space in ("mnt", "net", "ipc", "uts"):
            self.assertNotEqual(os.stat(f"/proc/{pid}/ns/{space}").st_ino,
                                os.stat(f"/proc/{self.leader()}/ns/{space}").st_ino, space)
        for path in ("/etc/okl4fs/x", "/usr/lib/x", "/var/x", "/run/x"):
            with self.subTest(path), self.assertRaisesRegex(OSError, "Read-only file system"):
                Path(f"/proc/{pid}/root{path}").touch()
        mounts = [line.split()[4:6] for line in
                  Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8").splitlines()]
        flags = {path: options.split(",") for path, options in mounts}
        for path in ("/run/okl4fs", "/var/lib/okl4fs", "/tmp", "/var/tmp"):
            self.assertIn("noexec", flags[path], path)
        self.assertEqual(list(Path(f"/proc/{pid}/root/tmp").iterdir()),
                         [Path(f"/proc/{pid}/root/tmp/dpdk")])
        self.assertEqual(
            self.host.check("cd /run/okl4fs; stat -c '%n %U:%G %a' *.sock").splitlines(),
            ["control.sock okl4fs:okl4fs 660", "out.sock okl4fs:okl4fs 660",
             "vm1.sock okl4fs:okl4fs 660", "vm2.sock okl4fs:kvm 660"])

    def test_05_memory_in_a_file_on_a_disk(self):
        """As libvirt's <source type='file'/> makes it: the sandbox lets the daemon ask what it is."""
        with tempfile.TemporaryFile(dir="/var/tmp") as file:
            file.truncate(1 << 20)
            region = Region(0, 1 << 20)
            os.dup2(file.fileno(), region.fd)
            with vhost_user.Frontend(f"/proc/{self.leader()}/root/run/okl4fs/vm2.sock",
                                     Memory(region)) as frontend:
                frontend.handshake()
                self.assertEqual(frontend.set_memory(), 0)

    def test_06_stream_goes_on(self):
        """Bytes through echo and through a socket; SIGKILL twice; nothing lost, nothing doubled."""
        end = self.guest()
        echo, out = end.channel("echo"), end.channel("out")
        data, sent, received = os.urandom(40 * RING_BYTES), 0, b""
        for kill_at in (300000, 900000):
            while len(received) < kill_at:
                sent += echo.write_some(data[sent:])
                received += echo.read_some(5000)
                echo.ring()
            before, restarts = self.pid(), int(self.show("NRestarts"))
            self.host.check("systemctl kill --signal=SIGKILL okl4fsd.service")
            sent += echo.write_some(data[sent:])
            self.wait_show("NRestarts", str(restarts + 1))
            end.come_back()
            self.assertNotEqual(self.pid(), before)
        while len(received) < len(data):
            sent += echo.write_some(data[sent:])
            piece = echo.read_some()
            received += piece
            if not piece:
                echo.sleep_read(room=sent < len(data))
        self.assertEqual(hashlib.sha256(received).hexdigest(), hashlib.sha256(data).hexdigest())
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(f"/proc/{self.leader()}/root/run/okl4fs/out.sock")
            client.sendall(b"to the guest")
            self.assertEqual(out.read(12), b"to the guest")
            out.write(b"to the host")
            self.assertEqual(client.recv(100), b"to the host")

    def test_06a_attach(self):
        """A member of the group sends and fetches files; what a restart cuts off does not end with 0."""
        self.host.check("useradd -m -G okl4fs ann && runuser -u ann -- sh -c 'seq 20000 >~/sent'")
        as_ann = "exec runuser -u ann -- sh -c"
        driver = self.guest().driver
        guest = Channel(driver, "out", instance=1).attach()
        guest.rx.phase.value += 1
        guest.ring()
        sending = self.host.spawn(f"{as_ann} 'cat ~/sent | okl4fsctl attach --progress vm1/out'")
        data = guest.read(self.host.path("/home/ann/sent").stat().st_size)
        while (phase := guest.rx.peer_phase.value) % 2:
            guest.sleep_read(phase=phase)
        guest.close_reader()
        self.assertEqual(sending.wait(60), 0)
        guest.tx.phase.value += 1
        guest.ring()
        fetching = self.host.spawn(
            f"{as_ann} 'okl4fsctl attach --receive vm1/out >~/got; test $? = 0 && cmp ~/sent ~/got'")
        guest.write(data)
        guest.close_writer()
        self.assertEqual(fetching.wait(60), 0)
        guest.tx.phase.value += 1
        guest.ring()
        cut = self.host.spawn(f"{as_ann} 'okl4fsctl attach --receive vm1/out >~/got'")
        guest.write(data * 2)  # more than the ring: a part has arrived
        self.host.check("systemctl restart okl4fsd.service")
        self.assertEqual(cut.wait(60), 3)

    def test_07_reload(self):
        """systemctl reload applies a configuration, or fails with it, and says why in the journal."""
        end = self.guest()
        channel = end.channel("echo")
        channel.echo(os.urandom(1000))
        pid = self.pid()
        self.configure({"guests": [*TWO["guests"], guest("vm3")]})
        self.host.check("systemctl reload okl4fsd.service")
        self.wait_show("StatusText", r"3 guests \(1 ready\), 4 channels, .* moved", limit_s=5)
        self.assertEqual(self.journal(f"MESSAGE_ID={RELOADED}")[-1]["MESSAGE"], "reloaded, 3 guests")
        self.configure({"guests": [guest("vm1", colour="red")]})
        status, said = self.host.run("systemctl reload okl4fsd.service")
        self.assertEqual(status, 1, said)
        self.wait_journal(f"nothing was changed: {CONFIG}:", f"MESSAGE_ID={REFUSED}")
        self.assertEqual(self.show("ActiveState"), "active")
        self.host.check("pid=$(systemctl show --value -p MainPID okl4fsd) && kill -HUP $pid")
        self.wait_journal("nothing was changed", f"MESSAGE_ID={REFUSED}",
                          "MESSAGE='reload: nothing was changed'")
        self.wait_journal(f"{CONFIG}:", "PRIORITY=3")
        self.configure(TWO)
        self.host.check("systemctl reload okl4fsd.service")
        channel.echo(os.urandom(1000))
        self.assertEqual(self.pid(), pid)

    def test_08_journal(self):
        """Entries carry level, guest, channel, event and place."""
        self.guest("vm2").channel("echo")
        entry = self.journal("OKL4FS_GUEST=vm2", f"MESSAGE_ID={CONNECTED}")[-1]
        self.assertEqual((entry["PRIORITY"], entry["MESSAGE"], entry["_TRANSPORT"]),
                         ("6", "guest vm2: a frontend is connected", "journal"))
        self.assertEqual((entry["CODE_FILE"], entry["CODE_FUNC"]),
                         ("daemon/guest/device.c", "device_connected"))
        entry = self.journal("OKL4FS_GUEST=vm2", "OKL4FS_CHANNEL=echo")[-1]
        self.assertRegex(entry["MESSAGE"], "^guest vm2: channel echo: attached")
        self.assertIn("ready, 2 guests", self.journal(f"MESSAGE_ID={READY}", "PRIORITY=5")[-1]
                      ["MESSAGE"])

    def test_09_watchdog(self):
        """If a thread makes no progress, the daemon is killed by SIGABRT and restarted."""
        self.drop_in("[Service]\nWatchdogSec=2s\nTimeoutAbortSec=2s\n")
        for thread, name, threads in (("worker-0", "vm1", ["worker-0"]),
                                      ("dpdk-vhost", "vm2", VHOST_THREAD)):
            with self.subTest(thread):
                end = self.guest(name)
                channel = end.channel("echo")
                channel.write(b"before")
                restarts = int(self.show("NRestarts"))
                with StoppedThread(self.pid(), *threads) as stopped:
                    end.frontend.send(vhost_user.SET_OWNER)  # DPDK's thread is watched when it has work
                    stopped.wait_end(30)
                self.wait_show("NRestarts", str(restarts + 1))
                said = self.wait_journal(f"watchdog: the thread {thread} has made no progress",
                                         f"MESSAGE_ID={STUCK}")
                self.assertEqual(said["PRIORITY"], "3")
                self.assertIn("result 'watchdog'", self.host.check(
                    "journalctl --no-pager -o cat _PID=1 UNIT=okl4fsd.service"))
                end.come_back()
                self.assertEqual(channel.read(6), b"before")
        # Without a fault it goes on running
        restarts, said = self.show("NRestarts"), self.show("WatchdogTimestampMonotonic")
        while int(self.show("WatchdogTimestampMonotonic")) < int(said) + 5000000:
            self.assertEqual(self.show("NRestarts"), restarts)
        self.drop_in(None)

    def test_10_network(self):
        """There is none, which is logged; the drop-in in the package gives it one."""
        tcp = {"name": "tcp", "endpoint": {"type": "tcp-listen", "address": "127.0.0.1:19715"}}
        self.configure({"metrics": {"listen": "127.0.0.1:19714"},
                        "guests": [guest("vm1", channels=[*CHANNELS, tcp])]})
        self.host.check("systemctl restart okl4fsd.service")
        self.wait_journal("Address family not supported", "PRIORITY=3")
        self.assertRegex(self.host.check("okl4fsctl status"),
                         r"(?s)problems  2;.*  metrics: 127\.0\.0\.1:19714: Address family .*network\.conf"
                         r".*  guest vm1: channel tcp: tcp-listen: .*network\.conf")
        self.drop_in(self.host.path("/usr/share/doc/okl4fs/examples/network.conf").read_text(
            encoding="utf-8"))
        page = self.host.check("exec 3<>/dev/tcp/127.0.0.1/19714; printf 'GET /metrics HTTP/1.0\\r\\n"
                               "\\r\\n' >&3; cat <&3".join(("bash -c \"", "\"")))
        self.assertIn("okl4fs_", page)
        channel = self.guest().channel("tcp")
        with open(self.scratch / "tcp", "wb") as said:
            client = self.host.spawn("bash -c 'exec 3<>/dev/tcp/127.0.0.1/19715; printf hello >&3; "
                                     "head -c 5 <&3'", stdout=said)
        self.assertEqual(channel.read(5), b"hello")
        channel.write(b"world")
        self.assertEqual(client.wait(20), 0)
        self.assertEqual((self.scratch / "tcp").read_text(), "world")
        self.configure(TWO)
        self.drop_in(None)

    def test_11_metrics_on_a_socket(self):
        """Metrics need no network."""
        self.configure({"metrics": {"listen": "unix:/run/okl4fs/metrics.sock"}, **TWO})
        self.host.check("systemctl restart okl4fsd.service")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(f"/proc/{self.leader()}/root/run/okl4fs/metrics.sock")
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            self.assertIn(b" 200 OK", client.recv(4096))
        self.configure(TWO)
        self.host.check("systemctl restart okl4fsd.service")

    def test_12_instance(self):
        """okl4fsd@vm9 has a configuration, a directory and a control socket of its own."""
        folder = "/run/okl4fs/vm9"
        self.configure({"guests": [guest("vm9", folder)]}, "/etc/okl4fs/vm9.json")
        self.host.check("systemctl start okl4fsd@vm9.service")
        self.assertEqual(self.show("StatusText", "okl4fsd@vm9.service"),
                         "1 guest (0 ready), 1 channel, 0 bytes moved")
        self.assertEqual(self.host.check(f"stat -c '%U:%G %a' {folder} {folder}/*.sock").splitlines(), [
            "okl4fs:okl4fs 755", "okl4fs:okl4fs 660", "okl4fs:okl4fs 660"])
        end = self.guest("vm9", folder)
        channel = end.channel("echo")
        channel.echo(os.urandom(5 * RING_BYTES))
        self.assertIn(f"control   {folder}/control.sock",
                      self.host.check(f"okl4fsctl -s {folder}/control.sock status"))
        root = Path(f"/proc/{self.pid('okl4fsd@vm9.service')}/root")
        self.assertEqual([path.name for path in (root / "run/okl4fs").iterdir()], ["vm9"])
        channel.write(b"before")
        self.host.check("systemctl kill --signal=SIGKILL okl4fsd@vm9.service")
        self.wait_show("NRestarts", "1", "okl4fsd@vm9.service")
        end.come_back()
        self.assertEqual(channel.read(6), b"before")
        self.host.check("systemctl reload okl4fsd@vm9.service")
        self.host.check("systemctl stop okl4fsd@vm9.service okl4fsd@vm9.socket")
        self.assertEqual(self.host.check(f"ls -A {folder}"), "qemu\n")

    def test_13_faults_at_the_start(self):
        """After a configuration with errors nothing is repeated; after other faults a start is, for a while."""
        self.configure({"guests": [guest("vm1", colour="red")]})
        self.host.check("systemctl reset-failed okl4fsd.service")  # forgets the starts before
        status, said = self.host.run("systemctl restart okl4fsd.service")
        self.assertNotEqual(status, 0, said)
        self.wait_journal("colour", "PRIORITY=3")
        self.assertEqual((self.show("ActiveState"), self.show("ExecMainStatus"),
                          self.show("NRestarts")), ("failed", "78", "0"))
        self.assertIn("status=78/CONFIG",
                      self.host.run("systemctl status --no-pager okl4fsd.service")[1])
        self.configure(TWO)
        folder = self.host.path("/etc/systemd/system/okl4fsd.service.d")
        folder.mkdir()
        (folder / "test.conf").write_text("[Service]\nExecStart=\nExecStart=/bin/false\n")
        self.host.run("systemctl daemon-reload; systemctl reset-failed okl4fsd.service; "
                      "systemctl restart okl4fsd.service")
        self.wait_show("ActiveState", "failed", limit_s=60)
        self.assertGreater(int(self.show("NRestarts")), 5)
        shutil.rmtree(folder)
        self.host.check("systemctl daemon-reload")
        self.host.check("systemctl reset-failed okl4fsd.service && "
                        "systemctl restart okl4fsd.socket okl4fsd.service")
        self.assertEqual(self.show("ActiveState"), "active")

    def test_14_manual(self):
        """The examples of okl4fsd(8) do what they say; it has all the events."""
        page = (paths.ROOT / "docs/okl4fsd.8").read_text(encoding="utf-8")
        source = (paths.ROOT / "daemon/util/log.c").read_text(encoding="utf-8")
        self.assertEqual(sorted(re.findall(r'\] = "([0-9a-f]{32})"', source)),
                         sorted(set(re.findall(r"^\.It ([0-9a-f]{32})$", page, re.M))))
        self.host.path(CONFIG).write_bytes(self.shipped)
        self.host.check("systemctl restart okl4fsd.service")
        blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", page, re.M | re.S)
        self.assertEqual(len(blocks), 5)
        said = [self.host.check("set -e\n" + block) for block in blocks]
        for text, word in zip(said, ("no errors", "default", "guest default: waiting",
                                       "", "exposure level")):
            self.assertIn(word, text)
        self.assertEqual(self.show("PrivateNetwork"), "no")
        self.assertEqual(self.show("ActiveState", "okl4fsd@vm1.service"), "active")
        self.host.check("systemctl disable --now okl4fsd@vm1.service okl4fsd@vm1.socket")
        self.drop_in(None)

    def test_15_joined(self):
        """Guest to guest in an instance; SIGKILL in mid-stream; nothing lost, nothing doubled."""
        folder, unit = "/run/okl4fs/pair", "okl4fsd@pair.service"
        self.configure({"guests": [guest(name, folder, [
            {"name": "link", "ring_bytes": RING_BYTES, "endpoint": {
                "type": "channel", "guest": other, "channel": "link"}}])
            for name, other in (("a", "b"), ("b", "a"))]}, "/etc/okl4fs/pair.json")
        self.host.check(f"systemctl start {unit}")
        ends = [self.guest(name, folder) for name in ("a", "b")]
        source, sink = [end.channel("link") for end in ends]
        self.assertNotEqual(self.host.check(f"find {folder}/joined -type f"), "")
        data, sent, received = os.urandom(30 * RING_BYTES), 0, b""
        for kill_at in (10 * RING_BYTES, 20 * RING_BYTES):
            while len(received) < kill_at:
                sent += source.write_some(data[sent:])
                received += sink.read_some(5000)
                source.ring()
                sink.ring()
            restarts = int(self.show("NRestarts", unit))
            self.host.check(f"systemctl kill --signal=SIGKILL {unit}")
            self.wait_show("NRestarts", str(restarts + 1), unit)
            for end in ends:
                end.come_back()
        while len(received) < len(data):
            n = source.write_some(data[sent:])
            sent += n
            piece = sink.read_some()
            received += piece
            if not piece and not n:
                sink.sleep_read()
        self.assertEqual(hashlib.sha256(received).hexdigest(), hashlib.sha256(data).hexdigest())
        self.host.check("systemctl stop okl4fsd@pair.service okl4fsd@pair.socket")

    def test_16_control_socket_is_removed(self):
        """A restart makes it again, and so does SIGHUP; restarting both units gives it back to its unit."""
        gone = "rm /run/okl4fs/control.sock && "
        for command in ("systemctl restart okl4fsd.service",
                        "systemctl kill --signal=HUP okl4fsd.service",
                        "systemctl restart okl4fsd.socket okl4fsd.service"):
            with self.subTest(command):
                self.host.check(gone + command)
                deadline = Deadline(20)
                while self.host.run("okl4fsctl status")[0]:
                    deadline.check("the control socket to be there again")
        self.host.check("systemctl stop okl4fsd.service && okl4fsctl status")

    def test_17_python(self):
        """The example of python3-okl4fs, typed by a user whose only right is the group okl4fs.

        It waits until the guest has opened the channel, sends a file, and prints the guest's answer.
        """
        self.host.check("dpkg -i /srv/python3-okl4fs.deb && useradd -m -G okl4fs joe && useradd -m eve")
        self.configure(TWO)
        self.host.check("systemctl restart okl4fsd.service")
        data = os.urandom(3 * RING_BYTES)
        self.host.path("/srv/file").write_bytes(data)  # which both may read
        program = "python3 /usr/share/doc/python3-okl4fs/examples/send_file.py vm1/out /srv/file"
        end = self.guest()
        out, errors = self.scratch / "answer", self.scratch / "errors"
        with open(out, "wb") as to, open(errors, "wb") as said:
            client = self.host.spawn(f"runuser -u joe -- {program}", stdout=to, stderr=said)
        self.addCleanup(client.kill)
        deadline = Deadline(20)
        while "waiting for vm1 to open out" not in errors.read_text():
            deadline.check("the example to wait for the guest")
        channel = end.channel("out")
        self.assertEqual(channel.read(len(data)), data)
        channel.write(b"thank you")
        channel.close_writer()
        self.assertEqual(client.wait(20), 0, errors.read_text())
        self.assertEqual(out.read_text(), "thank you")
        status, said = self.host.run(f"runuser -u eve -- {program}")
        self.assertEqual(status, 1)
        self.assertIn("send_file.py: [Errno 13] Permission denied: '/run/okl4fs/control.sock'", said)

    def test_20_stop_leaves_nothing(self):
        """Neither a process nor a socket."""
        self.host.check("systemctl stop okl4fsd.service okl4fsd.socket")
        self.assertEqual(self.show("Result"), "success")
        self.assertEqual(self.host.check("find /run/okl4fs -type s"), "")
        self.assertNotEqual(self.host.run("grep -l okl4fsd /proc/[0-9]*/comm")[0], 0)
        self.assertEqual(self.host.check("systemctl --failed --no-legend --plain"), "")


if __name__ == "__main__":
    unittest.main()
