# SPDX-License-Identifier: BSD-3-Clause
"""docs/recipes.md, typed block by block in a guest and on its host."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

from vm import Process, guest_config, paths, until
from vm.base import VmTest

USER = "alice"
LIMIT_S = 60

# Listens as docker does; answers with the request and how many bytes came with it
HTTP_SERVER = """
import http.server, os, socketserver

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def do_GET(self, n=0):
        answer = f"{self.command} {self.path} {n}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        n = 0
        while size := int(self.rfile.readline(), 16):
            n += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        self.do_GET(n)

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 32

Server("/run/docker.sock", Handler).serve_forever()
"""


class Recipe:
    """A section of the page: its channels, and its other blocks in their order.

    channels: entries of the configuration
    files: {(side, path): content}, side is host or guest
    host, guest, root: what is typed on the host, by a user of the guest, and by its root
    hosts: {first line: blocks} of a recipe for two hosts
    """

    HOSTS = ("# ca", "# left, as root", "// left: vm1", "// right: vm2")

    def __init__(self, title: str):
        text = (paths.ROOT / "docs/recipes.md").read_text(encoding="utf-8")
        section, = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        self.channels: list[dict] = []
        self.files: dict[tuple[str, str], str] = {}
        self.host: list[str] = []
        self.guest: list[str] = []
        self.root: list[str] = []
        self.hosts: dict[str, list[str]] = {line: [] for line in self.HOSTS}
        typed = {"# host": self.host, "# guest": self.guest, "# guest, as root": self.root,
                 **self.hosts}
        for language, block in re.findall(r"^```(\S+)\n(.*?)^```$", section, re.M | re.S):
            first, _, rest = block.partition("\n")
            path = re.match(r"# (host|guest): (\S+)$", first)
            if language == "json":
                self.channels.append(json.loads(block))
            elif path:
                self.files[path[1], path[2]] = rest
            else:
                typed[first].append(rest)


def titles() -> list[str]:
    """All recipes."""
    return re.findall(r"^## (.*)$", (paths.ROOT / "docs/recipes.md").read_text(encoding="utf-8"),
                      re.M)


def writes(files: dict[str, str]) -> str:
    """Commands of sh that write files."""
    return "".join(f"mkdir -p {shlex.quote(os.path.dirname(path))}\n"
                   f"printf %s {shlex.quote(content)} > {shlex.quote(path)}\n"
                   for path, content in files.items())


def is_listening(port: int) -> bool:
    """Whether a program listens at a port of this machine."""
    with socket.socket() as probe:
        return not probe.connect_ex(("127.0.0.1", port))


def early() -> str:
    """What makes the initrd of the last recipe."""
    recipe = Recipe("The initramfs")
    return writes({path: text for (_, path), text in recipe.files.items()}) + recipe.root[0]


class Recipes(VmTest):
    """One boot for all recipes; boot() is the subclass's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = cls.scratch / "home"
        for made in (cls.folder, cls.scratch / "run/qemu", cls.scratch / "srv", cls.scratch / "bin",
                     cls.scratch / "ssh"):
            made.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cls.port = free.getsockname()[1]
        entries = [entry for title in titles() for entry in Recipe(title).channels]
        channels = json.loads(cls.here(json.dumps({entry.pop("name"): entry for entry in entries})))
        cls.start_daemon([guest_config("vm1", cls.scratch / "vm1.sock", channels)])
        cls.put_programs()
        cls.guest = cls.boot(cls.scratch / "vm1.sock", "security=selinux selinux=1")
        cls.guest.wait_ready()
        cls.guest.check(f"useradd --create-home --groups okl4fs {USER}")
        cls.user("mkdir documents && seq 100000 > documents/numbers && echo é > documents/ü")

    @classmethod
    def boot(cls, path: Path, append: str):
        """Start the guest."""
        raise NotImplementedError

    @classmethod
    def put_programs(cls) -> None:
        """okl4fsctl and ssh as an administrator has them: for this daemon, with a key and a home."""
        options = ["-F", cls.scratch / "ssh/config", "-i", cls.scratch / "key",
                   "-o", f"UserKnownHostsFile={cls.scratch}/known_hosts",
                   "-o", "StrictHostKeyChecking=accept-new"]
        for name, argv in (("okl4fsctl", [paths.BUILD / "okl4fsctl", "-s", cls.daemon.control_path]),
                           ("ssh", ["/usr/bin/ssh", *options]),
                           ("scp", ["/usr/bin/scp", "-q", *options])):
            program = cls.scratch / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, argv))} "$@"\n')
            program.chmod(0o755)

    # Where things are typed

    @classmethod
    def here(cls, text: str) -> str:
        """A text of the page with our folders in place of the host's."""
        for theirs, ours in (("/run/okl4fs/", "run"), ("~/.ssh/", "ssh"), ("/srv/", "srv")):
            text = text.replace(theirs, f"{cls.scratch}/{ours}/")
        return text.replace("127.0.0.1:6379", f"127.0.0.1:{cls.port}")

    def host(self, text: str) -> Process:
        """Start a block on the host."""
        with open(self.scratch / "out", "wb") as out, open(self.scratch / "errors", "wb") as errors:
            process = Process(["sh", "-e", "-c", self.here(text)], stdin=subprocess.DEVNULL,
                              stdout=out, stderr=errors, cwd=self.folder,
                              env={**os.environ, "PATH": f"{self.scratch}/bin:{os.environ['PATH']}"})
        self.addCleanup(process.kill)
        return process

    def said(self, name: str = "out") -> str:
        """What the last block of the host has printed: its output, or its errors."""
        return (self.scratch / name).read_text(errors="replace")

    def done(self, process: Process) -> str:
        """A block of the host ends with status 0; its output."""
        status = process.wait(LIMIT_S)
        self.assertEqual(status, 0, self.said("errors"))
        return self.said()

    def host_file(self, name: str) -> str:
        """A file that a block has written, or nothing yet."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @classmethod
    def user(cls, text: str) -> str:
        """Type a block as the user."""
        return cls.guest.check(f"runuser -l {USER} -c {shlex.quote('set -e;' + text)} 2>&1", LIMIT_S)

    def root(self, text: str) -> str:
        """Type a block as the guest's root."""
        return self.guest.check("set -e\n" + text, LIMIT_S)

    def recipe(self, title: str) -> Recipe:
        """A recipe whose files are in place."""
        recipe = Recipe(title)
        self.guest.check(writes({path: content for (side, path), content in recipe.files.items()
                                 if side == "guest"}))
        for (side, path), content in recipe.files.items():
            if side == "host":
                (self.folder / self.here(path)).write_text(self.here(content), encoding="utf-8")
        return recipe

    # The recipes

    def test_00_all(self):
        """Each recipe has a test that names it, and none is left out."""
        source = "".join(path.read_text(encoding="utf-8") for path in (
            Path(__file__), paths.ROOT / "tests/frontend/test_across.py"))
        for title in titles():
            self.assertRegex(source, rf'[rR]ecipe\("{re.escape(title)}"\)')

    def test_01_initramfs(self):
        """What the initramfs wrote waits for the host."""
        self.assertEqual(self.done(self.host(Recipe("The initramfs").host[0])),
                         "the initramfs has started\n")
        state = self.guest.run("systemctl is-system-running --wait", 300)
        self.assertEqual(state, (0, "running\n"))
        self.assertEqual(self.guest.check("findmnt -n -o TARGET -t okl4fs"), "/okl4\n")

    def test_02_log_of_a_service(self):
        """Written before the host reads, by both of the service's descriptors; or while it reads."""
        recipe = self.recipe("The log of a service")
        self.guest.check(writes({"/etc/systemd/system/greeter.service":
            "[Service]\nType=oneshot\nExecStart=sh -c 'echo hello; echo oh >&2'\n"}))
        self.root(recipe.root[0])
        self.done(self.host(recipe.host[0]))
        for word in ("file", "truncate"):
            self.guest.check(writes({path: text.replace("append:", f"{word}:")
                                     for (_, path), text in recipe.files.items()}))
            reader = self.host(recipe.host[0])
            until(lambda: self.channel("log")["endpoint"]["connected"], self.said, LIMIT_S)
            self.root(recipe.root[0])
            self.done(reader)
        self.assertEqual(self.host_file("vm1.log"), "hello\noh\n" * 3)

    def test_03_journal(self):
        """What is logged while the host does not listen comes afterwards."""
        recipe = self.recipe("The journal")
        self.root(recipe.root[0])
        until(lambda: self.guest.check("logger -t recipe first")
              or self.channel("journal")["fwd"]["fill_bytes"], "journalctl to follow", LIMIT_S)
        self.guest.check("logger -t recipe before")
        self.host(recipe.host[0])
        until(lambda: "]: before\n" in self.host_file("vm1-journal.log"), self.said, LIMIT_S)
        self.guest.check("logger -t recipe after")
        until(lambda: "]: after\n" in self.host_file("vm1-journal.log"), self.said, LIMIT_S)
        self.assertRegex(self.host_file("vm1-journal.log"), r"^\d{4}-\d\d-\d\dT\S+ guest ")
        self.guest.check("systemctl stop okl4-journal.service")

    def test_04_backup(self):
        """There and back, by a user."""
        recipe = self.recipe("A backup by tar")
        self.user(recipe.guest[0])
        self.done(self.host(recipe.host[0]))
        listed = subprocess.run(["tar", "-tf", self.folder / "documents.tar.gz"], check=True,
                                capture_output=True).stdout
        self.assertIn(b"documents/numbers\n", listed)
        reading = self.guest.spawn(f"runuser -l {USER} -c {shlex.quote(recipe.guest[1])}")
        self.done(self.host(recipe.host[1]))
        self.ends_well(reading)
        self.user("diff -r documents restored/documents")

    def test_05_git(self):
        """Clone, push and fetch, by a user."""
        recipe = self.recipe("git")
        bare, work = self.scratch / "srv/git/project.git", self.scratch / "work"

        def git(*args) -> str:
            return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *map(str, args)],
                                  check=True, capture_output=True, text=True).stdout

        git("init", "-q", "--bare", "-b", "main", bare)
        git("clone", "-q", bare, work)
        (work / "from the host").write_text("hello\n")
        git("-C", work, "add", ".")
        git("-C", work, "commit", "-q", "-m", "The first")
        git("-C", work, "push", "-q", "origin", "HEAD:main")
        self.host(recipe.host[0])
        self.user(recipe.guest[0])
        self.user("cd project && cat 'from the host' && git config user.name a && "
                  "git config user.email a@b && seq 50000 > numbers && git add numbers && "
                  "git commit -q -m 'The second' && git push && git fetch --tags && git pull")
        git("-C", work, "pull", "-q", "origin", "main")
        self.assertEqual((work / "numbers").read_text().split()[-1], "50000")
        self.user("exec 3< /okl4/git; git clone 'ext::socat - /okl4/git %G/project.git' second")

    def test_06_rsync(self):
        """To the host and back, by a user."""
        recipe = self.recipe("rsync")
        module = self.scratch / "srv/vm1"
        module.mkdir()
        for folder in (self.scratch, module.parent):
            folder.chmod(0o755)
        shutil.chown(module, "nobody")
        self.host(recipe.host[0])
        self.user(recipe.guest[0])
        self.assertEqual((module / "documents/ü").read_text(encoding="utf-8"), "é\n")
        self.user("RSYNC_CONNECT_PROG='socat - /okl4/rsync' "
                  "rsync -a rsync://host/vm1/documents/ copied && diff -r documents copied")

    def test_07_ssh(self):
        """A command, files and a repository; then many connections, two of which wait for each other."""
        recipe = self.recipe("ssh")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.scratch / "key"],
                       check=True)
        key = (self.scratch / "key.pub").read_text()
        self.user("mkdir -m 700 .ssh; " + writes({f"/home/{USER}/.ssh/authorized_keys": key})
                  + "git init -q --bare -b main notes.git && git clone -q notes.git notes && cd notes && "
                  "git config user.name a && git config user.email a@b && echo note > note && "
                  "git add note && git commit -q -m 'The first' && git push -q origin HEAD:main")
        self.root(recipe.root[0])
        data = os.urandom(3 << 20)
        (self.folder / "documents.tar.gz").write_bytes(data)
        self.assertRegex(self.done(self.host(recipe.host[0])), rf"uid=\d+\({USER}\)")
        self.assertEqual(self.user("sha256sum < documents.tar.gz").split()[0],
                         hashlib.sha256(data).hexdigest())
        self.assertEqual(self.host_file("documents/ü"), "é\n")
        self.assertEqual(self.host_file("notes/note"), "note\n")
        both = "ssh vm1 mkfifo f && { ssh vm1 'echo one > f' & } && ssh vm1 'cat f; exit 3'"
        process = self.host(both)
        self.assertEqual((process.wait(LIMIT_S), self.said()), (3, "one\n"))
        for name in ("a", "b"):
            (self.folder / name).write_bytes(data)
        self.done(self.host("scp a vm1: & scp b vm1: & wait"))
        self.assertEqual(self.user("sha256sum a b | cut -d ' ' -f 1 | uniq -c").split(),
                         ["2", hashlib.sha256(data).hexdigest()])

    def test_07a_http(self):
        """curl as it stands there; then twenty at once that keep their connections, and a body in chunks."""
        recipe = self.recipe("An HTTP server on a socket")
        self.guest.check(writes({"/run/server.py": HTTP_SERVER}))
        self.guest.check("systemd-run --quiet --unit=server python3 /run/server.py && "
                         "until test -S /run/docker.sock; do :; done", LIMIT_S)
        self.root(recipe.root[0])
        self.assertEqual(self.done(self.host(recipe.host[0])), "GET /version 0")
        path = self.here("/run/okl4fs/vm1.docker.sock")

        def use(number: int) -> list[str]:
            connection = http.client.HTTPConnection("docker", timeout=LIMIT_S)
            with socket.socket(socket.AF_UNIX) as connection.sock:
                connection.sock.settimeout(LIMIT_S)
                connection.sock.connect(path)
                answers = []
                for turn in range(3):
                    pieces = [bytes(number) for _ in range(turn * 10)]
                    connection.request("POST", f"/{number}/{turn}", iter(pieces), encode_chunked=True,
                                       headers={"Transfer-Encoding": "chunked"})
                    answers.append(connection.getresponse().read().decode())
            return answers
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            for number, answers in enumerate(pool.map(use, range(20))):
                self.assertEqual(answers, [f"POST /{number}/{turn} {number * turn * 10}"
                                           for turn in range(3)])
        self.assertGreater(self.channel("docker")["sessions"]["opened"], 20)

    def test_07b_database(self):
        """The host's redis-cli in the guest's server; and the guest's one, to the host and back."""
        recipe = self.recipe("A database in both directions")
        self.root(recipe.root[0])
        self.guest.check("systemctl start redis-server", LIMIT_S)
        self.assertEqual(self.done(self.host(recipe.host[0])), "OK\n")
        self.host(f"socat TCP-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr "
                  "UNIX-CONNECT:/run/okl4fs/vm1.redis.sock")
        until(lambda: is_listening(self.port), self.said, LIMIT_S)
        self.root(recipe.root[1])
        self.assertEqual(self.user(recipe.guest[0]), "hello\n")
        self.user("seq 1000 | sed 's/.*/incr counter/' > in; for i in 1 2 3 4; do "
                  "redis-cli -s /run/okl4fs-listen/database < in > out.$i & done; wait")
        self.assertEqual(self.user("redis-cli -s /run/okl4fs-listen/database get counter"), "4000\n")

    def test_07c_agent(self):
        """A key that is only on the host signs in the guest."""
        recipe = self.recipe("The host's ssh-agent")
        key = self.scratch / "agent key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of the host", "-f", key],
                       check=True)
        agent = Process(["ssh-agent", "-D", "-a", self.scratch / "agent.sock"],
                        stdout=subprocess.DEVNULL)
        self.addCleanup(agent.kill)
        until((self.scratch / "agent.sock").exists, "the agent", LIMIT_S)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(self.scratch / "agent.sock")}
        subprocess.run(["ssh-add", "-q", key], env=environment, check=True)
        self.host(f"export SSH_AUTH_SOCK={self.scratch}/agent.sock\n" + recipe.host[0])
        until(Path(self.here("/run/okl4fs/qemu/agent.sock")).exists, self.said, LIMIT_S)
        self.root(recipe.root[0])
        self.assertIn(" of the host (ED25519)", self.user(recipe.guest[0]))
        public = key.with_name("agent key.pub").read_text()
        self.user("export SSH_AUTH_SOCK=/run/okl4fs-listen/agent; " + writes({"key.pub": public})
                  .replace("mkdir -p ''\n", "") + "ssh-keygen -q -Y sign -n file -f key.pub in && "
                  "test -s in.sig")

    def test_07d_notify(self):
        """The host's notification socket gets the guest's message, and each one by itself."""
        recipe = self.recipe("The guest tells systemd that it is ready")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(self.scratch / "notify"))
            manager.settimeout(LIMIT_S)
            self.host(f"export NOTIFY_SOCKET={self.scratch}/notify\n" + recipe.host[0])
            until(Path(self.here("/run/okl4fs/qemu/notify.sock")).exists, self.said, LIMIT_S)
            self.root(recipe.root[0])
            self.assertEqual(manager.recv(1000), b"READY=1\nSTATUS=The guest is up\n")
            self.user("for i in 1 2 3; do echo STATUS=$i > /okl4/notify; done")
            self.assertEqual({manager.recv(1000) for _ in range(3)},
                             {b"STATUS=1\n", b"STATUS=2\n", b"STATUS=3\n"})

    def test_07e_prometheus(self):
        """The node exporter's figures, in Prometheus' format."""
        recipe = self.recipe("Prometheus")
        self.root(recipe.root[0])
        self.guest.check("systemctl start prometheus-node-exporter", LIMIT_S)
        self.guest.check("until echo > /dev/tcp/127.0.0.1/9100; do :; done 2> /dev/null".join(
            ["bash -c '", "'"]), LIMIT_S)
        said = self.done(self.host(recipe.host[0]))
        self.assertRegex(said, r'(?m)^node_uname_info\{.*nodename="guest"')

    def test_08_a_channel_appears(self):
        """The unit waits for the channel, which is added now."""
        recipe = self.recipe("A unit that starts when a channel appears")
        self.root(recipe.root[0])
        self.assertEqual(self.guest.run("systemctl is-active tool.path tool.service"),
                         (0, "active\ninactive\n"))
        self.done(self.host(recipe.host[0]))
        until(lambda: self.channel("tool")["fwd"]["bytes"] == len("here I am\n"),
              lambda: self.channel("tool"), LIMIT_S)
        self.guest.check("systemctl is-active tool.service")

    def test_09_fstab(self):
        """The line is correct, and so is what it mounts."""
        self.root(Recipe("fstab").root[0])
        self.guest.check("findmnt --verify")
        self.assertRegex(self.guest.check("stat -c '%A %U %G' /srv/okl4/only"),
                         "^prw-r----- root adm\n")
        self.guest.check("systemctl daemon-reload && umount /srv/okl4 && mount -a && "
                         "mountpoint /srv/okl4")

    def test_10_container(self):
        """One channel, and its own users."""
        recipe = Recipe("A container that has one channel")
        self.assertEqual(self.root(recipe.root[0]), "only\nfrom a container\n")

    def test_11_service(self):
        """One channel, for a service's own user."""
        self.recipe("A service that has one channel")
        self.guest.check(writes({"/etc/systemd/system/single.service":
            "[Service]\nType=oneshot\nRuntimeDirectory=single\nRuntimeDirectoryPreserve=yes\n"
            "ExecStart=sh -c '{ ls /okl4; echo mine > /okl4/only; head -n 1 /okl4/only; "
            "id -u; } > /run/single/said'\n"}))
        self.guest.check("systemctl daemon-reload && systemctl start single.service", LIMIT_S)
        self.assertRegex(self.guest.check("cat /run/single/said"), r"^only\nmine\n6\d{4}\n$")

    def test_12_usual_programs(self):
        """A user's everyday programs write to a channel and read from one."""
        self.user("printf 'a\\nb\\n' > in")
        for write in ("cp in {}", "dd if=in of={} conv=fsync status=none", "sort -o {} in",
                      "tee -a {} < in > /dev/null", "sed -n 'w {}' in; sync {}"):
            with self.subTest(write=write):
                command = write.format("/okl4/log", "/okl4/log")
                reader = self.host("okl4fsctl attach --receive vm1/log")
                until(lambda: self.channel("log")["endpoint"]["connected"], self.said, LIMIT_S)
                self.user(command)
                self.assertEqual(self.done(reader), "a\nb\n")
        for read in ("cp {} out", "dd if={} of=out status=none", "tail -n 2 {} > out",
                     "while read x; do echo $x; done < {} > out", "head -c 4 {} > out"):
            with self.subTest(read=read):
                reading = self.guest.spawn(f"runuser -l {USER} -c "
                                           + shlex.quote(read.format("/okl4/backup")))
                self.done(self.host("printf 'a\\nb\\n' | okl4fsctl attach --send vm1/backup"))
                self.ends_well(reading)
                self.user("cmp in out && rm out")

    def test_13_mqtt(self):
        """Guests (two channels stand for them), a session that is away, a retained message, a restart."""
        recipe = self.recipe("Many guests and an MQTT broker")
        entry = {**recipe.channels[0], "name": "mqtt2"}
        entry["endpoint"]["path"] = self.here(entry["endpoint"]["path"])
        self.daemon.rpc("channel.add", {"guest": "vm1", "channel": entry})
        (unit, text), = ((path, text) for (side, path), text in recipe.files.items()
                         if side == "guest")
        self.guest.check(writes({unit.replace("mqtt", "mqtt2"):
                                 text.replace("/okl4/mqtt", "/okl4/mqtt2").replace("1883", "1884")}))
        config = self.folder / "mqtt.conf"  # root's mosquitto becomes another user otherwise
        config.write_text(config.read_text(encoding="utf-8") + "user root\n", encoding="utf-8")
        start = recipe.host[0].replace("mosquitto", "exec mosquitto")  # so that it gets the signal
        broker = self.host(start)
        until((self.scratch / "run/qemu/mqtt.sock").exists, self.said, LIMIT_S)
        self.root(recipe.root[0] + recipe.root[0].replace("mqtt", "mqtt2"))
        self.user(recipe.guest[0].strip() + " -E")  # a subscription that stays
        self.done(self.host(recipe.host[1]))
        self.user("mosquitto_pub -h 127.0.0.1 -p 1884 -q 1 -t doors/back -m 'from a guest' -r")
        self.assertEqual(broker.stop(), 0)
        broker = self.host(start)
        taken = self.user(recipe.guest[0].strip() + " -C 2 -v")
        self.assertEqual(taken, "doors/front open\ndoors/back from a guest\n")
        taken = self.user("mosquitto_sub -h 127.0.0.1 -p 1884 -q 1 -t doors/back -C 1")
        self.assertEqual(taken, "from a guest\n")
        taker = self.guest.spawn(f"runuser -l {USER} -c "
                                 "'mosquitto_sub -h 127.0.0.1 -p 1884 -t alarm -C 1 -W 60'")
        until(lambda: self.channel("mqtt2")["endpoint"]["connected"], "it to subscribe", LIMIT_S)
        waiting = self.guest.spawn(f"runuser -l {USER} -c "
                                   "'mosquitto_pub -h 127.0.0.1 -p 1884 -t x -m x'")
        self.user("mosquitto_pub -h 127.0.0.1 -q 1 -t alarm -m now -r")
        self.assertEqual(self.ends_well(taker), "now\n")
        self.ends_well(waiting)

    def test_20_selinux(self):
        """A mount and its nodes have the context; for this the guest gets a policy, which forbids nothing."""
        recipe = Recipe("SELinux")
        policy = Path(__file__).with_name("selinux.conf").read_text(encoding="utf-8")
        self.guest.check(writes({"/run/policy.conf": policy,
                                 "/etc/selinux/config": "SELINUX=permissive\nSELINUXTYPE=none\n"}))
        self.guest.check("checkpolicy -M -U allow -o /run/policy /run/policy.conf && "
                         "cat /run/policy > /sys/fs/selinux/load")
        listed = self.root(recipe.root[0])
        self.assertRegex(listed, r"(?m)^system_u:object_r:tmpfs_t:s0 only$")
        self.assertNotIn("kernel_t", listed)
        self.assertIn("context=system_u:object_r:tmpfs_t:s0",
                      self.guest.check("findmnt -n -o OPTIONS /run/labelled"))
        self.fails("chcon system_u:object_r:kernel_t:s0 /run/labelled/only", "not supported")
        self.fails("mount -o remount,context=system_u:object_r:kernel_t:s0 /run/labelled")
        self.assertEqual(self.guest.check("echo hello > /run/labelled/only; "
                                          "head -n 1 /run/labelled/only; umount /run/labelled"),
                         "hello\n")
