# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of a running daemon: the numbers, the two formats, the HTTP server, the board and the alerts."""
import http.client
import json
import os
import re
import select
import socket
import subprocess

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from ctl_rig import (Channel, DaemonPerTest, DaemonTest, Driver, Frontend, all_of, free_port,
                     memory_bytes)
from vm import paths, promtool
from vm.daemon import Daemon, guest_config
from vm.process import Deadline

OPENMETRICS = "application/openmetrics-text"
ACCEPT = {"Accept": f"{OPENMETRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}
HOSTILE = ["quote\"back\\slash\\n", "line\nfeed", "escape\x1b[2J\x07\r\t\x7f", "\u0085\u202e\u2028",
           "{a=\"b\"} 1 # EOF", " ", "\U0001f600\u00e4", "x" * 63, "\\" * 63, "\u00e4" * 31]
REQUEST_S = 10  # the daemon's
MAX_CLIENTS = 8  # likewise
CHANNELS = 1024
REFUSED = rb"^(HTTP/1.1 4\d\d |$)"


def connect(place) -> socket.socket:
    """A connection to a port, or to a unix socket."""
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place), timeout=20)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    if error := sock.connect_ex(str(place)):
        sock.close()
        raise OSError(error, os.strerror(error))
    return sock


def samples(text: str) -> dict[tuple, float]:
    """OpenMetrics text, parsed strictly: {(name, labels): value}."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith("."), family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


class Served(DaemonTest):
    """A daemon with guests and channels of any name, and a guest that uses one."""

    @classmethod
    def config(cls):
        cls.port = free_port()
        channels = {name: {"type": "discard"} for name in HOSTILE}
        return {"metrics": {"listen": f"127.0.0.1:{cls.port}"},
                "guests": [guest_config("vm1", "vm1.sock", {
                    "echo": {"ring_bytes": 65536, "endpoint": {"type": "echo"}}, **channels}),
                           guest_config("vm2", "vm2.sock", {
                               "sock": {"type": "unix-listen", "path": "sock"}})]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The daemon ends these while the other tests run.
        cls.silent, cls.dribbling = connect(cls.port), connect(cls.port)
        cls.dribbling.sendall(b"GET /metrics HTTP/1.1\r\nX: ")

    @classmethod
    def tearDownClass(cls):
        cls.silent.close()
        cls.dribbling.close()
        super().tearDownClass()

    def http(self) -> http.client.HTTPConnection:
        """A connection for requests; closed after the test."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.addCleanup(client.close)
        return client

    def ask(self, method: str = "GET", path: str = "/metrics", **options):
        """Send one request on a new connection; return the answer and its body."""
        client = self.http()
        client.request(method, path, **options)
        answer = client.getresponse()
        body = answer.read()
        client.close()  # the daemon has few places
        return answer, body

    def scrape(self) -> dict[tuple, float]:
        """All samples now."""
        return samples(self.ask(headers=ACCEPT)[1].decode())

    # The text

    def test_promtool(self):
        answer, body = self.ask()
        self.assertEqual(answer.getheader("Content-Type"),
                         "text/plain; version=0.0.4; charset=utf-8")
        done = subprocess.run([promtool.program(), "check", "metrics"], input=body,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_formats_say_the_same(self):
        answer, body = self.ask(headers=ACCEPT)
        self.assertEqual(answer.getheader("Content-Type"),
                         f"{OPENMETRICS}; version=1.0.0; charset=utf-8")
        self.assertTrue(body.endswith(b"\n# EOF\n"))
        changing = re.compile(r"^(process_|okl4fs_uptime)")
        strict = {key: value for key, value in samples(body.decode()).items()
                  if not changing.match(key[0])}
        classic = {(s.name, tuple(sorted(s.labels.items()))): s.value
                   for family in parse_classic(self.ask()[1].decode()) for s in family.samples
                   if not changing.match(s.name)}
        self.assertEqual(strict, classic)
        self.assertGreater(len(strict), 40 * len(HOSTILE))

    def test_names_come_back_as_they_are(self):
        got = {dict(labels)["channel"] for name, labels in self.scrape()
               if name == "okl4fs_channel_ring_bytes"}
        self.assertEqual(got, set(HOSTILE) | {"echo", "sock"})

    def test_numbers_are_those_of_channel_list(self):
        """tests/unit/metrics shows that every number is in its place."""
        with Frontend(self.scratch / "vm1.sock") as frontend:
            frontend.setup()
            now = self.scrape()
            for name, value in (("connected", 1), ("ready", 0)):
                self.assertEqual(now[f"okl4fs_guest_{name}", (("guest", "vm1"),)], value, name)
        channel = self.channel("echo")
        channel.echo(os.urandom(200000))

        def listed():
            return self.daemon.rpc("channel.list", {"guest": "vm1"})["channels"][0]
        deadline = Deadline(20)
        before, now = listed(), self.scrape()
        while before != listed():
            deadline.check("a channel at rest")
            before, now = listed(), self.scrape()
        of = {"channel": "echo", "guest": "vm1"}
        for name, labels, value in (
                ("okl4fs_guest_ready", {"guest": "vm1"}, 1),
                ("okl4fs_channel_state", {**of, "state": "attached"}, 1),
                ("okl4fs_channel_bytes_total", {**of, "direction": "to_host"}, 200000),
                ("okl4fs_channel_bytes_total", {**of, "direction": "to_guest"}, 200000),
                ("okl4fs_channel_messages_total", {**of, "direction": "to_host"},
                 before["fwd"]["messages"]),
                ("okl4fs_channel_wakes_sent_total", {**of, "direction": "to_guest"},
                 before["bwd"]["wakes_sent"]),
                ("okl4fs_channel_end_open", {**of, "direction": "to_host", "end": "host"}, 1)):
            self.assertEqual(now[name, tuple(sorted(labels.items()))], value, name)

    def test_sockets_that_were_removed(self):
        """A guest's and an endpoint's; they are no longer lost when the same file is there again."""
        places = {("okl4fs_guest_path_lost", (("guest", "vm1"),)): self.scratch / "vm1.sock",
                  ("okl4fs_endpoint_path_lost", (("channel", "sock"), ("guest", "vm2"))):
                  self.scratch / "sock"}
        for key, path in places.items():
            path.rename(self.scratch / "away")
            now = self.scrape()
            self.assertEqual({other: now[other] for other in places},
                             {other: other == key for other in places})
            (self.scratch / "away").rename(path)
            self.assertEqual(self.scrape()[key], 0)

    def test_why_a_channel_has_failed(self):
        """Only while it has, and a reset can be told from a guest that breaks the rules."""
        def failed() -> list[tuple]:
            return [(dict(labels)["error"], value) for (name, labels), value in self.scrape().items()
                    if name == "okl4fs_channel_failed"]
        channel = self.channel("echo")
        self.assertEqual(failed(), [])
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "echo"})
        self.assertEqual(failed(), [("CHANNEL_RESET", 1)])
        channel.instance += 1
        channel.create()
        channel.attach()
        self.assertEqual(failed(), [])

    def test_process(self):
        before, now = self.scrape(), self.scrape()
        start = now["process_start_time_seconds", ()]
        self.assertEqual(before["process_start_time_seconds", ()], start)
        self.assertAlmostEqual(start, os.stat(f"/proc/{self.daemon.pid}").st_ctime, delta=30)
        self.assertGreater(now["process_cpu_seconds_total", ()],
                           before["process_cpu_seconds_total", ()])
        self.assertGreater(now["okl4fs_uptime_seconds", ()], before["okl4fs_uptime_seconds", ()])
        self.assertGreater(now["process_resident_memory_bytes", ()], 1 << 20)

    def test_by_the_control_socket(self):
        result = self.daemon.rpc("metrics.get")
        self.assertEqual(result["content_type"], f"{OPENMETRICS}; version=1.0.0; charset=utf-8")
        self.assertEqual(set(samples(result["text"])), set(self.scrape()))

    # The HTTP server

    def test_only_get_and_head_of_metrics(self):
        answer, body = self.ask("HEAD")
        self.assertEqual((answer.status, body), (200, b""))
        self.assertGreater(int(answer.getheader("Content-Length")), 1000)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer, _ = self.ask(method, body=None)
            self.assertEqual((answer.status, answer.getheader("Allow")), (405, "GET, HEAD"), method)
        answer, _ = self.ask("POST", body=b"x" * 100)
        self.assertEqual(answer.status, 405)
        for path in ("/", "/metrics/", "/metric", "/metrics.", "/%6Detrics", "//metrics", "*"):
            self.assertEqual(self.ask(path=path)[0].status, 404, path)
        self.assertEqual(self.ask(path="/metrics?x=1")[0].status, 200)

    def test_a_connection_is_kept(self):
        client = self.http()
        for _ in range(3):
            client.request("GET", "/metrics", headers=ACCEPT)
            answer = client.getresponse()
            self.assertEqual(answer.status, 200)
            samples(answer.read().decode())
            port = client.sock.getsockname()[1]
        client.request("GET", "/")
        client.getresponse().read()
        self.assertEqual(client.sock.getsockname()[1], port)

    def test_what_is_too_large(self):
        for request in (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000,
                        b"POST /metrics HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n",
                        b"\0\xff no HTTP at all\r\n\r\n"):
            with self.subTest(request[:20]), connect(self.port) as sock:
                sock.sendall(request)
                self.assertRegex(all_of(sock), REFUSED)
        self.assertEqual(self.ask()[0].status, 200)

    def test_who_comes_too_many_waits(self):
        """Eight are served at a time; the ninth is served when one of them has gone."""
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        clients = [connect(self.port) for _ in range(MAX_CLIENTS + 4)]
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(request)
        waiting, served = set(clients), 0
        deadline = Deadline(20 + REQUEST_S)
        while waiting:
            ready, _, _ = select.select(list(waiting), [], [], deadline.left_s())
            deadline.check("all clients to be served")
            for client in ready:
                self.assertTrue(client.recv(1 << 20).startswith(b"HTTP/1.1 200 OK\r\n"))
                client.close()
                waiting.remove(client)
                served += 1
        self.assertEqual(served, MAX_CLIENTS + 4)

    def test_slow_clients_do_not_hold_up_a_fast_one(self):
        for sock in (self.silent, self.dribbling):
            sock.setblocking(True)
        self.assertEqual(self.ask()[0].status, 200)
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)

    def test_zz_who_makes_no_request_is_dropped(self):
        for sock in (self.silent, self.dribbling):
            sock.settimeout(3 * REQUEST_S)
            self.assertRegex(all_of(sock), REFUSED)
        self.daemon.wait_log("metrics: a client has not sent a request")


class Where(DaemonPerTest):
    """The sockets at which metrics are served; a reload changes that."""

    @classmethod
    def config(cls):
        return {"control": {"path": str(cls.scratch / "control.sock"), "mode": "0640"},
                "guests": []}

    def serve_at(self, listen: str | None, outcome: str = "notice: reloaded,") -> str:
        """Reload with another place; return what is logged."""
        self.daemon.config["metrics"] = {"listen": listen}
        if not listen:
            del self.daemon.config["metrics"]
        return self.reload(outcome)

    @staticmethod
    def served(place) -> bool:
        """Whether metrics are served at a port or at a unix socket."""
        try:
            with connect(place) as sock:
                sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                return sock.recv(16).startswith(b"HTTP/1.0 200 OK")
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def test_a_unix_socket(self):
        path = self.scratch / "metrics.sock"
        self.serve_at(f"unix:{path}")
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        with connect(path) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n")
            head, _, text = all_of(sock).partition(b"\r\n\r\n")
        self.assertRegex(head, rb"^HTTP/1.0 200 OK\r\n")
        self.assertEqual(samples(text.decode())["okl4fs_workers", ()], 1)
        self.daemon.kill()
        self.daemon.restart()  # over the socket that it left behind
        self.daemon.signal(15)
        self.assertEqual(self.daemon.wait(), 0)
        self.assertFalse(path.exists())

    def test_come_move_and_go(self):
        one, two = self.scratch / "one.sock", self.scratch / "two.sock"
        self.assertFalse(self.served(one))
        self.serve_at(f"unix:{one}")
        self.assertTrue(self.served(one))
        made_ns = one.stat().st_mtime_ns
        self.assertNotIn("metrics: ", self.serve_at(f"unix:{one}"), "it is left alone")
        self.assertEqual(one.stat().st_mtime_ns, made_ns)
        self.serve_at(f"unix:{two}")
        self.assertEqual((self.served(one), self.served(two)), (False, True))
        self.assertFalse(one.exists())
        self.serve_at(None)
        self.assertEqual((two.exists(), self.served(two)), (False, False))

    def test_ipv6(self):
        port = free_port()
        self.serve_at(f"[::1]:{port}")
        client = http.client.HTTPConnection("::1", port, timeout=20)
        client.request("GET", "/metrics")
        self.assertEqual(client.getresponse().status, 200)
        client.close()

    def test_a_place_that_is_taken(self):
        """Metrics are served as before, and the next reload tries again; a daemon starts without them."""
        one = self.scratch / "one.sock"
        self.serve_at(f"unix:{one}")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            listen = f"127.0.0.1:{port}"
            problem = f"metrics: {listen}: Address already in use"
            log = self.serve_at(listen, ": reloaded, 0 guests; 1 problem")
            self.assertIn(problem, log)
            self.assertEqual(self.daemon.rpc("status")["problems"],
                             [f"{problem}; they are served as before at unix:{one}"])
            self.assertTrue(self.served(one))
            second = Daemon({**self.daemon.config, "control": {"path": "control.sock"}})
            self.addCleanup(second.stop)
            self.assertEqual(second.rpc("status")["problems"], [problem])
        self.serve_at(listen)
        self.assertEqual((self.served(one), self.served(port)), (False, True))


class Many(DaemonPerTest):
    """A guest with as many channels as it can have."""

    @classmethod
    def config(cls):
        cls.port = free_port()
        return {"metrics": {"listen": f"127.0.0.1:{cls.port}"},
                "guests": [guest_config("vm1", "vm1.sock", {
                    f"channel-{i:055}": {"type": "discard"} for i in range(CHANNELS)})]}

    def scrape(self) -> bytes:
        """One scrape."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        client.request("GET", "/metrics", headers=ACCEPT)
        body = client.getresponse().read()
        client.close()
        return body

    def test_memory_stays_flat(self):
        body = self.scrape()
        self.assertTrue(body.endswith(b"# EOF\n"))
        n_lines = body.count(b"\nokl4fs_channel_bytes_total{")
        self.assertEqual(n_lines, 2 * CHANNELS)
        self.assertLess(len(body), 10 << 20)
        for _ in range(3):
            self.scrape()
        before = memory_bytes(self.daemon.pid)
        for _ in range(10):
            self.assertEqual(self.scrape().count(b"\n"), body.count(b"\n"))
        self.assertLess(memory_bytes(self.daemon.pid) - before, 2 * len(body))

    def test_clients_that_do_not_read(self):
        """Each one holds one answer, and the control socket goes on."""
        body, before = self.scrape(), memory_bytes(self.daemon.pid)
        clients = []
        for _ in range(MAX_CLIENTS):
            client = connect(self.port)
            self.addCleanup(client.close)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            clients.append(client)
        for client in clients:
            self.assertTrue(client.recv(1))
        self.assertEqual(self.daemon.rpc("status")["pid"], self.daemon.pid)
        self.assertLess(memory_bytes(self.daemon.pid) - before, (MAX_CLIENTS + 2) * len(body))


class Board(DaemonTest):
    """conf/grafana-okl4fs.json and conf/prometheus-rules.yml use only metrics that the daemon has."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {"echo": {"type": "echo"}})]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        frontend = Frontend(cls.scratch / "vm1.sock")
        driver = Driver(frontend.setup())
        driver.hello()
        Channel(driver, "echo").attach().open()
        # This makes an error
        cls.daemon.rpc("channel.reset", {"guest": "vm1", "channel": "echo"})
        text = cls.daemon.rpc("metrics.get")["text"]
        frontend.close()
        cls.labels: dict[str, set[str]] = {"up": set()}
        for name, labels in samples(text):
            cls.labels.setdefault(name, set()).update(key for key, _ in labels)
        with open(paths.ROOT / "conf/grafana-okl4fs.json", encoding="utf-8") as board:
            cls.board = json.load(board)

    FUNCTIONS = {"sum", "count", "rate", "increase", "changes", "by", "on", "and", "or", "group_left",
                 "label_values", "topk", "max_over_time", "end"}

    def check(self, expression: str) -> None:
        """Check that every metric and label of a query exists."""
        bare = re.sub(r'"[^"]*"', '""', expression).replace("$top", "10")
        self.assertNotIn("}}", bare)
        for name, matchers in re.findall(r"([a-z]\w*)(?:\{([^}]*)\})?", re.sub(
                r"\b(by|on|group_left) *\([^)]*\)|\[[^]]*\]", "", bare)):
            if name in self.FUNCTIONS:
                continue
            if name in ("instance", "guest", "channel"):  # of label_values()
                self.assertIn("label_values", bare)
                continue
            self.assertIn(name, self.labels, expression)
            for label in re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers):
                self.assertIn(label, self.labels[name] | {"instance", "job"}, expression)
        known = set().union(*self.labels.values(), {"instance", "job"})
        for names in re.findall(r"\b(?:by|on|group_left) *\(([^)]*)\)", bare):
            self.assertLessEqual({name.strip() for name in names.split(",")}, known, expression)

    def expressions(self) -> list[str]:
        """The board's queries."""
        return [target["expr"] for panel in self.board["panels"]
                for target in panel.get("targets", [])]

    def test_metrics_and_labels_exist(self):
        expressions = self.expressions()
        self.assertGreater(len(expressions), 15)
        for expression in expressions + [variable["definition"] for variable in
                                         self.board["templating"]["list"]
                                         if variable["type"] == "query"]:
            self.check(expression)
        for panel in self.board["panels"]:
            for target in panel.get("targets", []):
                named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                used = set().union(*(labels for name, labels in self.labels.items()
                                     if name in target["expr"]))
                self.assertLessEqual(named, used | {"instance"}, target["legendFormat"])
        with self.assertRaises(AssertionError):
            self.check('okl4fs_channel_bytes_total{colour="red"}')
        with self.assertRaises(AssertionError):
            self.check("rate(okl4fs_bytes_total[5m])")

    def test_board_is_well_formed(self):
        ids = [panel["id"] for panel in self.board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in self.board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                     for y in range(at["y"], at["y"] + at["h"])}
            self.assertLessEqual(at["x"] + at["w"], 24)
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells
            self.assertTrue(panel["title"])
            if panel["type"] != "row":
                self.assertTrue(panel["description"])
                self.assertEqual(panel["datasource"], {"type": "prometheus",
                                                       "uid": "${datasource}"})
                self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
        names = {variable["name"] for variable in self.board["templating"]["list"]}
        for name in set(re.findall(r"\$\{?(\w+)", json.dumps(self.board))):
            self.assertIn(name, names | {"__all", "__rate_interval", "__range"})

    def test_lines_are_few(self):
        """With a thousand channels, a panel has as many lines as the variable `top` says, or sums them up.

        A line stays for the whole time that is shown, so it is chosen by its value over all of it.
        """
        for panel in self.board["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"]
                if not re.search("okl4fs_(channel|endpoint|guest)_", query):
                    continue
                with self.subTest(panel["title"]):
                    self.assertRegex(query, r"^(sum|count)( by \((state|type)\))? ?\(|topk\(\$top, ")
                    if target["range"] and "topk" in query:
                        self.assertRegex(query, r" and topk\(.*\[\$__range\] @ end\(\)")

    def test_queries_are_promql(self):
        """promtool parses them as rules."""
        rules = []
        for i, expression in enumerate(self.expressions()):
            rules.append({"record": f"test:q{i}",
                          "expr": expression.replace("$__rate_interval", "5m")
                          .replace("$__range", "1h").replace("$top", "10")})
        path = self.scratch / "rules.json"  # which is YAML, too
        path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}),
                        encoding="utf-8")
        self.promtool(path, len(rules))

    def promtool(self, path, n_rules: int) -> None:
        """Check that a file of rules is well-formed and has that many rules."""
        done = subprocess.run([promtool.program(), "check", "rules", path], text=True,
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn(f"SUCCESS: {n_rules} rules found", done.stdout)

    def test_alerts(self):
        path = paths.ROOT / "conf/prometheus-rules.yml"
        text = path.read_text(encoding="utf-8")
        self.promtool(path, text.count("- alert:"))
        expressions = re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*))", text)
        self.assertEqual(len(expressions), text.count("- alert:"))
        for expression in expressions:
            self.check("".join(expression))
