# SPDX-License-Identifier: BSD-3-Clause
"""Steps of test_service.py: what the service's user and sandbox let through, and how that is told."""
import json
import re
import shutil

from certificates import Certificates
from container import quoted
from vm import paths

from rig import CONFIG, guest

EXAMPLES = sorted(path for path in (paths.ROOT / "conf").glob("*.json")
                  if path.name not in ("okl4fsd.schema.json", "demo.json", "instance.json")
                  and not path.name.startswith("grafana"))
# A program on the host: sends five bytes into a socket and prints five
CLIENT = ("my $s = IO::Socket::UNIX->new(Peer => shift) or die \"$!\\n\"; "
          "$s->print(\"hello\"); $s->flush; $s->read(my $b, 5) == 5 or die; print $b")
COMMENTED = re.compile(r"^//\t(.*)$", re.M)


def listening(path: str) -> dict:
    """A channel whose host end listens."""
    return {"name": "c", "endpoint": {"type": "unix-listen", "path": path}}


class SandboxSteps:
    """Mixed into a HostTest where the package is installed."""

    def checked(self, path: str = CONFIG) -> tuple[int, str]:
        """okl4fsd --check, run by root: status, and all it says."""
        return self.host.run(f"okl4fsd --config {path} --check 2>&1")

    def serves_all(self, unit: str = "okl4fsd.service") -> None:
        """Check that a service runs and has reported no error since it started."""
        self.assertEqual(self.show("ActiveState", unit), "active")
        self.host.check("journalctl --sync")
        self.assertEqual(self.host.check(
            "journalctl --no-pager -q -o cat -p err "
            f"_SYSTEMD_INVOCATION_ID={self.show('InvocationID', unit)}"), "")

    def test_17_examples(self):
        """Each example in conf/ is one for the service as shipped; what one needs, its text says."""
        for path in EXAMPLES:
            with self.subTest(path.name):
                self.host.path(CONFIG).write_bytes(path.read_bytes())
                if path.name == "tcp-tls.json":
                    self.prepare_tcp_tls(path.read_text(encoding="utf-8"))
                status, said = self.checked()
                self.assertEqual(status, 0, said)
                self.assertRegex(said, r"no errors, \d not tried; as user okl4fs in the sandbox of "
                                       r"okl4fsd\.service\n$")
                self.host.check("systemctl restart okl4fsd.service")
                self.serves_all()
        self.drop_in(None)
        text = (paths.ROOT / "conf/instance.json").read_text(encoding="utf-8")
        self.host.path("/etc/okl4fs/vm1.json").write_text(text, encoding="utf-8")
        self.assertEqual(self.checked("/etc/okl4fs/vm1.json")[0], 0)
        self.host.check("systemctl start okl4fsd@vm1.service")
        self.serves_all("okl4fsd@vm1.service")
        self.host.check("systemctl stop okl4fsd@vm1.service okl4fsd@vm1.socket")

    def prepare_tcp_tls(self, text: str) -> None:
        """Before and after the steps in the text of the example."""
        status, said = self.checked()
        self.assertEqual(status, 1, said)
        self.assertRegex(said, r"(?m)endpoint\.tls\.cert: certificate \S+left\.pem: No such file")
        self.assertRegex(said, r"(?m)endpoint\.address: 0\.0\.0\.0:7000: Address family not supported "
                               r"by protocol \(the service has no network; network\.conf gives it one")
        made = Certificates(self.scratch / "tls")
        folder = self.host.path("/etc/okl4fs/tls")
        folder.mkdir()
        for name in ("ca.pem", "left.pem", "left.key"):
            shutil.copy(made.path(name), folder)
        (folder / "left.key").chmod(0o600)
        self.assertIn("key /etc/okl4fs/tls/left.key: Permission denied", self.checked()[1])
        self.host.check("; ".join(["set -e", *COMMENTED.findall(text)]))

    def test_18_what_the_sandbox_keeps_away(self):
        """--check and channel-add refuse it, with the reason and what works instead."""
        way_out = "choose a path below /run/okl4fs"
        refused = {
            "/tmp/x.sock": "the service has a /tmp of its own, which no other program sees: " + way_out,
            "/home/x.sock": "the service does not see /home: " + way_out,
            "/srv/x.sock": "the service may not write there: " + way_out,
            "/var/x.sock": "the service may not write there: " + way_out,
            "/run/x.sock": "the service may not write there: " + way_out}
        channels = [listening(path) | {"name": f"c{i}"} for i, path in enumerate(refused)]
        self.configure({"guests": [guest("vm1", channels=channels)]})
        status, said = self.checked()
        self.assertEqual(status, 1, said)
        for i, (path, why) in enumerate(refused.items()):
            self.assertRegex(said, rf"(?m)^{CONFIG}:\d+:\d+: guests\[0\]\.channels\[{i}\]\.endpoint\.path: "
                                   rf"{path}: .*\({re.escape(why)}")
        self.assertIn("5 errors, 0 not tried", said)

        self.host.check("systemctl restart okl4fsd.service")
        self.host.check("systemctl is-active okl4fsd.service")
        status, said = self.host.run("okl4fsctl reload")
        self.assertEqual(status, 1, said)
        for why in refused.values():
            self.assertIn(why, said)

        self.configure({"guests": [guest("vm1")]})
        self.host.check("okl4fsctl reload")
        connecting = {"name": "c", "endpoint": {"type": "unix-connect", "path": "/tmp/x.sock"}}
        file = {"name": "c", "endpoint": {"type": "intervm", "file": "/root/x"}}
        tcp = {"name": "c", "endpoint": {"type": "tcp-listen", "address": "127.0.0.1:19715"}}
        for channel, why in (*((listening(path), why) for path, why in refused.items()),
                             (connecting, "a /tmp of its own, which no other program sees: have the"),
                             (file, "Permission denied (the service does not see /root: put the file "
                                    "below /var/lib/okl4fs)"),
                             (tcp, "(the service has no network; network.conf gives it one: install ")):
            with self.subTest(channel=channel):
                status, said = self.host.run(
                    "okl4fsctl " + quoted("channel-add", "vm1", json.dumps(channel)))
                self.assertEqual(status, 1, said)
                self.assertIn(why, said)
        status, said = self.host.run("okl4fsctl " + quoted("guest-add", json.dumps(
            {"name": "vm2", "socket": "/tmp/vm2.sock", "channels": []})))
        self.assertEqual(status, 1, said)
        self.assertIn("a /tmp of its own", said)
        self.host.check("okl4fsctl " + quoted("channel-add", "vm1", json.dumps(listening("rel.sock"))))
        self.assertEqual(self.host.check("stat -c '%U:%G %a' /run/okl4fs/rel.sock").strip(),
                         "okl4fs:okl4fs 660")

    def test_19_drop_ins_count(self):
        """--check looks from inside the unit as it is now, as its user."""
        self.configure({"guests": [guest("vm1", channels=[listening("/srv/okl4fs/x.sock")],
                                         socket_group="adm")]})
        self.host.check("mkdir /srv/okl4fs")
        self.assertIn("the service may not write there", self.checked()[1])
        self.drop_in("[Service]\nReadWritePaths=/srv/okl4fs\n")
        said = self.checked()[1]
        self.assertIn("user okl4fs may not make files in /srv/okl4fs: Permission denied", said)
        self.assertRegex(said, r"socket_group: user okl4fs is not a member of the group \"adm\".*"
                               r"\(adduser okl4fs adm")
        self.host.check("chown okl4fs /srv/okl4fs && usermod -aG adm okl4fs")
        status, said = self.checked()
        self.assertEqual(status, 0, said)
        self.host.check("systemctl restart okl4fsd.service")
        self.serves_all()
        self.host.check("gpasswd -d okl4fs adm")
        self.drop_in(None)

    def test_19_members(self):
        """A user in the group okl4fs uses the first example's channel; another one is told why not."""
        self.host.check("useradd -G okl4fs member && useradd stranger")
        self.host.path(CONFIG).write_bytes(self.shipped)
        self.host.check("systemctl restart okl4fsd.service")
        channel = self.guest("default").channel("intervm_test")
        client = quoted("perl", "-MIO::Socket::UNIX", "-e", CLIENT,
                        "/run/okl4fs/default.intervm_test.sock")
        with open(self.scratch / "client", "wb") as said:
            member = self.host.spawn(f"runuser -u member -- {client}", stdout=said)
        self.assertEqual(channel.read(5), b"hello")
        channel.write(b"world")
        self.assertEqual(member.wait(20), 0)
        self.assertEqual((self.scratch / "client").read_text(), "world")
        status, said = self.host.run(f"runuser -u stranger -- {client} 2>&1")
        self.assertEqual((status, said), (13, "Permission denied\n"))
        said = self.host.check("INVOCATION_ID=1 runuser -u member -- "
                               f"okl4fsd --config {CONFIG} --check")
        self.assertIn("not tried: what user okl4fs can use; run this as root", said)
