# SPDX-License-Identifier: BSD-3-Clause
"""`okl4fsctl doctor` and `okl4fsctl setup`, as users of a host with the package would type them.

Alice is in the group okl4fs, mallory is not, and libvirt-qemu is what libvirt runs QEMU as. Each fault is made
for real, and what doctor says to do mends it.
"""
import json

from container import quoted

from rig import CONFIG, GuestEnd, guest
from vhost_user import Frontend, Ring

SOCKETS = "/run/okl4fs"


def listens(name: str, mode: str) -> dict:
    """A channel of a guest that programs connect to."""
    return {"name": name, "ring_bytes": 4096, "endpoint": {
        "type": "unix-listen", "path": f"{SOCKETS}/{name}.sock", "mode": mode}}


class Doctor:
    """Tests of a HostTest that has the users alice and mallory."""

    def doctor(self, *words, user: str = "alice") -> tuple[int, dict[str, dict]]:
        """The exit status, and {check: what was found}; of a guest's channel: {CHANNEL.check}."""
        become = ("runuser", "-u", user, "--") if user != "root" else ()
        status, said = self.host.run(quoted(*become, "okl4fsctl", "--json", "doctor", *words))
        found = json.loads(said)
        self.assertEqual(status, 0 if found["ok"] else 1)
        return status, {".".join(filter(None, (check["channel"], check["check"]))): check
                        for check in found["checks"]}

    def states(self, *words, user: str = "alice") -> dict[str, str]:
        """Only the states."""
        return {name: check["state"] for name, check in self.doctor(*words, user=user)[1].items()}

    def assert_failed(self, check: dict, detail: str, *way_out: str) -> None:
        """A check has failed, with words in its sentence and these steps."""
        self.assertEqual(check["state"], "failed", check)
        self.assertIn(detail, check["detail"])
        for line, wanted in zip(check["do"].splitlines(), way_out, strict=True):
            self.assertIn(wanted, line)

    def serve_guests(self, *guests) -> None:
        """Let the service serve these guests until the test ends."""
        self.configure({"guests": list(guests)})
        self.host.check("systemctl restart okl4fsd.service")
        self.addCleanup(self.host.check, "systemctl stop okl4fsd.service")

    # The daemon

    def test_doctor_no_daemon(self):
        """The service does not run; it has failed."""
        self.serve_guests(guest("vm1"))
        self.host.check("systemctl stop okl4fsd.socket okl4fsd.service")
        status, found = self.doctor("vm1")
        self.assertEqual((status, found["group"]["state"], found["guest"]["state"]),
                         (1, "ok", "not-yet"))
        self.assert_failed(found["daemon"], "okl4fsd.service does not run",
                           "sudo systemctl start okl4fsd.socket okl4fsd.service")
        self.assertEqual(self.states(user="mallory")["daemon"], "failed")
        self.drop_in("[Service]\nRestart=no\n")
        self.addCleanup(self.drop_in, None)
        config = self.host.path(CONFIG).read_bytes()
        self.host.path(CONFIG).write_text("{", encoding="utf-8")
        self.assertNotEqual(self.host.run("systemctl restart okl4fsd.service")[0], 0)
        self.host.check("systemctl stop okl4fsd.socket")
        self.assert_failed(self.doctor(user="root")[1]["daemon"],
                           "okl4fsd.service has failed (exit-code)",
                           "journalctl -u okl4fsd -n 20", "systemctl restart okl4fsd.socket")
        self.host.path(CONFIG).write_bytes(config)
        self.host.check(found["daemon"]["do"].removeprefix("sudo "))
        self.assertEqual(self.states("vm1")["daemon"], "ok")

    def test_doctor_group(self):
        """Somebody who is not in the group; who was added, but has not logged in again; who has."""
        self.serve_guests(guest("vm1"))
        self.host.check("id libvirt-qemu || useradd -r -M -g kvm libvirt-qemu")
        for user in ("mallory", "libvirt-qemu"):
            status, found = self.doctor("vm1", user=user)
            self.assertEqual((status, found["daemon"]["state"]), (1, "not-yet"))
            self.assert_failed(found["group"], f"{user} is not in the group okl4fs",
                               f"sudo adduser {user} okl4fs", "log in again, or: newgrp okl4fs")
        steps = self.steps("vm1", user="mallory")
        self.assertEqual([step["done"] for step in steps], 6 * [False])
        self.assertEqual(steps[0]["lines"][0], "sudo adduser mallory okl4fs")
        self.assertIn("not known yet", steps[2]["lines"][0])
        self.host.check("usermod -a -G okl4fs mallory")
        self.addCleanup(self.host.check, "gpasswd -d mallory okl4fs")
        said = self.host.run("setpriv --reuid mallory --regid users --clear-groups -- "
                             "okl4fsctl doctor vm1")[1]
        self.assertIn("FAIL  group: mallory is in the group okl4fs, but this login is older than that\n"
                      "      do: log in again, or: newgrp okl4fs\n--    daemon: not yet (group)\n", said)
        self.assertEqual(self.states("vm1", user="mallory")["daemon"], "ok")
        self.assertEqual(self.states("vm1", user="root")["group"], "ok")

    # A guest

    def test_doctor_each_step_of_a_guest(self):
        """From a guest that is not there to one that has opened a channel."""
        self.serve_guests(guest("vm1", channels=[listens("open", "0660"), listens("shut", "0600")]))
        names = ["group", "daemon", "guest", "socket", "qemu", "memory", "driver"]
        self.assert_failed(self.doctor("vm9")[1]["guest"], "not configured", "okl4fsctl setup vm9")
        status, found = self.doctor("vm1")
        self.assertEqual((status, list(found)), (1, names + [
            "open.opened", "open.endpoint", "shut.opened", "shut.endpoint"]))
        self.assert_failed(found["qemu"], "not connected", "okl4fsctl setup vm1")
        self.assertEqual([found[name]["state"] for name in ("socket", "memory", "open.opened")],
                         ["ok", "not-yet", "not-yet"])

        path = f"/proc/{self.leader()}/root{SOCKETS}/vm1.sock"
        with Frontend(path) as frontend:  # QEMU whose guest has not booted
            frontend.ask_u64(1)  # GET_FEATURES
            found = self.doctor("vm1")[1]
            self.assertEqual((found["qemu"]["state"], found["memory"]["state"]), ("ok", "unknown"))
            frontend.handshake()  # the guest uses the device
            self.assert_failed(self.doctor("vm1")[1]["memory"], "QEMU does not share its memory",
                               "share=on")
            self.assertEqual(frontend.set_memory(), 0)
            found = self.doctor("vm1")[1]
            self.assertEqual(found["memory"]["state"], "ok")
            self.assert_failed(found["driver"], "has not said hello", "in the guest: okl4fs-guest-doctor")
            frontend.rings = [Ring(frontend.memory) for _ in range(2)]
            frontend.start_rings()  # as a guest whose requests lie in memory that is not shared
            self.assert_failed(self.doctor("vm1")[1]["driver"], "sees no request of it",
                               "start QEMU with share=on", "okl4fs-guest-doctor")

        end = GuestEnd(path)
        self.addCleanup(end.close)
        found = self.doctor("vm1")[1]
        self.assertEqual({found[name]["state"] for name in names}, {"ok"})
        self.assertEqual(found["open.opened"]["state"], "not-yet")
        self.assertEqual(found["open.opened"]["do"], "in the guest: echo hello >/okl4/open")
        self.assert_failed(found["shut.endpoint"], "alice may not connect to /run/okl4fs/shut.sock",
                           '"mode": "0660"', "sudo okl4fsctl reload")
        channel = end.channel("open")
        self.assertEqual(self.states("vm1")["open.opened"], "ok")
        self.assertEqual(self.doctor("vm1", user="root")[0], 0)
        channel.close_writer()

    def test_doctor_endpoints(self):
        """Sockets that are gone, and programs that do not listen."""
        self.serve_guests(guest("vm1", channels=[
            listens("con", "0660"), {"name": "to", "ring_bytes": 4096, "endpoint": {
                "type": "unix-connect", "path": f"{SOCKETS}/nobody.sock"}}]))
        found = self.doctor("vm1")[1]
        self.assertEqual((found["con.endpoint"]["state"], found["to.endpoint"]["state"]),
                         ("ok", "not-yet"))
        self.assertIn("No such file or directory", found["to.endpoint"]["detail"])
        self.host.check(f"rm {SOCKETS}/con.sock {SOCKETS}/vm1.sock")
        found = self.doctor("vm1")[1]
        for name in ("socket", "con.endpoint"):
            self.assert_failed(found[name], "was removed or replaced", "sudo okl4fsctl reload")
        self.host.check(found["socket"]["do"].removeprefix("sudo ").partition("   ")[0])
        self.assertEqual((self.states("vm1")["socket"], self.states("vm1")["con.endpoint"]), ("ok", "ok"))

    def test_doctor_not_served(self):
        """What the configuration asks for and the daemon cannot do, with its reason."""
        away = {"name": "x", "ring_bytes": 4096, "endpoint": {
            "type": "unix-listen", "path": f"{SOCKETS}/none/x.sock"}}
        self.serve_guests(guest("vm1", channels=[away]), guest("vm2", f"{SOCKETS}/none"))
        status, found = self.doctor("vm1")
        self.assertEqual((status, found["guest"]["state"]), (1, "ok"))
        self.assert_failed(found["x.endpoint"], "not served: ", "sudo okl4fsctl reload")
        self.assertIn(f"{SOCKETS}/none/x.sock", found["x.endpoint"]["detail"])
        found = self.doctor("vm2")[1]
        self.assert_failed(found["guest"], f"{SOCKETS}/none/vm2.sock", "sudo okl4fsctl reload")
        self.assertEqual(self.states("vm1")["x.opened"], "not-yet")
        self.assertEqual((found["socket"]["state"], found["echo.endpoint"]["state"]), ("not-yet", "ok"))

    def test_doctor_libvirt(self):
        """A socket of the group okl4fs is not for libvirt's QEMU; one of kvm is, and is for nobody else."""
        self.host.check("id libvirt-qemu || useradd -r -M -g kvm libvirt-qemu")
        self.serve_guests(guest("vm1"), guest("vm2", socket_group="kvm"),
                          guest("vm3", socket_group="okl4fs", socket_perm="0600"))
        self.assertEqual([self.states(f"vm{n}")["socket"] for n in (1, 2, 3)], ["ok", "ok", "failed"])
        for name, wanted in (("vm1", " "), ("vm2", "x")):
            said = self.ctl_of_service("setup", name, "--libvirt")
            self.assertRegex(said, rf'(?m)^\[{wanted}\] 3\. On the host: "{name}" is in the configuration')
        self.assertIn('"socket_group": "kvm"', self.ctl_of_service("setup", "vm1", "--libvirt"))

    # All of it

    def ctl_of_service(self, *words, user: str = "alice") -> str:
        """Run okl4fsctl as a user."""
        return self.host.check(quoted("runuser", "-u", user, "--", "okl4fsctl", *words))

    def steps(self, *words, user: str = "alice") -> list[dict]:
        """The steps that `setup` lists for a user."""
        return json.loads(self.ctl_of_service("--json", "setup", *words, user=user))["steps"]

    def test_setup(self):
        """What it prints for a guest that nobody has configured, typed; and the steps that are done then."""
        self.serve_guests()
        steps = self.steps("vm7")
        self.assertEqual([step["done"] for step in steps], [True, True] + 4 * [False])
        for line in steps[2]["lines"]:
            self.host.check(line.removeprefix("sudo "))
        self.host.check("okl4fsctl reload")
        steps = self.steps("vm7")
        self.assertEqual([step["done"] for step in steps], [True, True, True] + 3 * [False])
        words = self.ctl_of_service("qemu-args", "vm7").splitlines()
        self.assertEqual(steps[3]["lines"], words)
        end = self.guest("vm7")
        self.assertEqual([step["done"] for step in self.steps("vm7")], 5 * [True] + [False])
        last = self.steps("vm7")[5]["lines"]
        self.assertEqual(last, ["host$ okl4fsctl attach vm7/console", "guest$ echo hello >/okl4/console"])
        channel = end.channel("console")
        channel.write_some(b"hello\n")
        channel.close_writer()
        self.assertEqual(self.host.check("runuser -u alice -- okl4fsctl attach vm7/console </dev/null", 20),
                         "hello\n")
        text = self.ctl_of_service("setup", "vm7")
        self.assertRegex(text, r"(?m)^\[x\] 6\. The first bytes$")


__all__ = ["Doctor"]
