# SPDX-License-Identifier: BSD-3-Clause
"""Each alert of conf/prometheus-rules.yml fires when it should, and not otherwise: promtool tries them."""
import json
import re
import subprocess
import unittest

from vm import paths, promtool
from vm.process import remove_scratch, scratch_dir

RULES = paths.ROOT / "conf/prometheus-rules.yml"
DAEMON = 'job="okl4fs",instance="a"'
GUEST = DAEMON + ',guest="vm1"'
CHANNEL = GUEST + ',channel="c"'
TO_HOST = CHANNEL + ',direction="to_host"'


def writer(ring: int, fill: str, moved: str) -> dict[str, str]:
    """The series of a ring to the host."""
    return {f"okl4fs_channel_ring_bytes{{{CHANNEL}}}": f"{ring}x60",
            f"okl4fs_channel_fill_bytes{{{TO_HOST}}}": fill,
            f'okl4fs_channel_fill_bytes{{{CHANNEL},direction="to_guest"}}': f"{ring}x60",
            f"okl4fs_channel_bytes_total{{{TO_HOST}}}": moved}


def connects(failed: str, connected: str) -> dict[str, str]:
    """The series of an endpoint that connects."""
    return {f"okl4fs_endpoint_attempts_failed_total{{{CHANNEL}}}": failed,
            f"okl4fs_endpoint_connected{{{CHANNEL}}}": connected}


# What happens, with one value per minute (promtool's notation); and for an alert, the minutes at which it
# fires and those at which it does not
CASES = [
    ("a daemon stops answering",
     {f"up{{{DAEMON}}}": "1x9 0x20", 'up{job="other",instance="a"}': "0x30"},
     "Down", [12], [9, 10]),
    ("a daemon is started three times, then runs",
     {f"process_start_time_seconds{{{DAEMON}}}": "1x9 2x4 3x4 4x40"},
     "Restarts", [21], [9, 16, 50]),
    ("a port is taken until a reload",
     {f"okl4fs_config_problems{{{DAEMON}}}": "0x9 1x10 0x20"},
     "NotServed", [17], [9, 12, 25]),
    ("a guest breaks a rule",
     {f'okl4fs_channel_failed{{{CHANNEL},error="PIPE_HEAD"}}': "_x4 1x20"},
     "ChannelFailed", [7], [3, 4]),
    ("a guest breaks a rule and opens the channel again at once",
     {f'okl4fs_channel_failed{{{CHANNEL},error="PIPE_HEAD"}}': "_x4 1 stale"},
     "ChannelFailed", [], [5, 7, 10]),
    ("an operator resets a channel",
     {f'okl4fs_channel_failed{{{CHANNEL},error="CHANNEL_RESET"}}': "1x20",
      f'okl4fs_channel_state{{{CHANNEL},state="failed"}}': "1x20",
      f'okl4fs_channel_errors_total{{{CHANNEL},error="CHANNEL_RESET"}}': "0+5x20"},
     "ChannelFailed", [], [2, 20]),
    ("an operator resets a channel again and again",
     {f'okl4fs_channel_errors_total{{{CHANNEL},error="CHANNEL_RESET"}}': "0+5x20"},
     "ProtocolErrors", [], [10, 20]),
    ("a guest breaks a rule again and again",
     {f'okl4fs_channel_errors_total{{{CHANNEL},error="PIPE_HEAD"}}': "0x9 0+1x20 20x30"},
     "ProtocolErrors", [20], [9, 12, 50]),
    ("bytes are lost",
     {f"okl4fs_channel_lost_bytes_total{{{CHANNEL}}}": "0x9 100x30"},
     "BytesLost", [11], [9, 30]),
    ("a tail is taken after two hours, another one at once",
     {f"okl4fs_channel_tail_bytes{{{CHANNEL}}}": "0x9 5x110 0x40",
      f'okl4fs_channel_tail_bytes{{{GUEST},channel="d"}}': "0x9 5x20 0x200"},
     "TailWaits", [75], [60, 140]),
    ("a guest is shut down, and started again",
     {f"okl4fs_guest_connected{{{GUEST}}}": "1x9 0x30 1x20", f"okl4fs_guest_ready{{{GUEST}}}": "0x60"},
     "GuestAway", [27], [9, 20, 45]),
    ("a guest reboots",
     {f"okl4fs_guest_connected{{{GUEST}}}": "1x9 0x3 1x20"},
     "GuestAway", [], [11, 20]),
    ("a guest boots without a driver",
     {f"okl4fs_guest_connected{{{GUEST}}}": "0x9 1x30", f"okl4fs_guest_ready{{{GUEST}}}": "0x40"},
     "DriverMissing", [22], [9, 15]),
    ("a guest boots",
     {f"okl4fs_guest_connected{{{GUEST}}}": "0x9 1x30", f"okl4fs_guest_ready{{{GUEST}}}": "0x11 1x30"},
     "DriverMissing", [], [11, 22]),
    ("a guest's socket is removed and made again",
     {f"okl4fs_guest_path_lost{{{GUEST}}}": "0x9 1x10 0x10"},
     "SocketLost", [17], [9, 12, 22]),
    ("an endpoint's socket is removed and made again",
     {f"okl4fs_endpoint_path_lost{{{CHANNEL}}}": "0x9 1x10 0x10"},
     "SocketLost", [17], [9, 12, 22]),
    ("a program that the daemon connects to stops, and comes back",
     connects("0x9 0+12x20 240x20", "1x9 0x20 1x20"), "CannotConnect", [20], [9, 12, 33]),
    ("nobody opens a channel whose last attempts failed",
     connects("0+12x4 60x20", "0x30"), "CannotConnect", [], [4, 12, 20]),
    ("connections fail now and then",
     connects("0+1x30", "1x30"), "CannotConnect", [], [10, 20]),
    ("a large write fills the ring, and nobody reads",
     writer(65536, "0x9 65536x30", "9x60"), "NobodyReads", [25], [9, 15]),
    ("a writer of lines waits, since the next one does not fit",
     writer(65536, "0x9 65436x30 10x20", "9x60"), "NobodyReads", [25], [9, 15, 45]),
    ("there is room for any line",
     writer(65536, "61440x60", "9x60"), "NobodyReads", [], [30, 60]),
    ("a stream that is always full, but flows",
     writer(65536, "65536x60", "0+1000x60"), "NobodyReads", [], [30, 60]),
    ("a line lies in the smallest ring",
     writer(4096, "80x60", "9x60"), "NobodyReads", [], [30, 60]),
    ("the smallest ring is full",
     writer(4096, "4000x60", "9x60"), "NobodyReads", [30], [9]),
]


def case_as_test(name: str, series: dict[str, str], alert: str, fires: list[int],
                 silent: list[int]) -> dict:
    """A case as promtool wants it."""
    labels = [f'{key}="vm1"' if key == "guest" else f'{key}="c"' for key in ("guest", "channel")
              if f"{key}=" in next(iter(series))]
    expected = ",".join([f'alertname="Okl4fs{alert}"', *labels])
    query = (f'count by (alertname, guest, channel) (ALERTS{{alertname="Okl4fs{alert}",'
             'alertstate="firing"})')
    return {"name": name, "interval": "1m",
            "input_series": [{"series": key, "values": value} for key, value in series.items()],
            "promql_expr_test": [
                {"expr": query, "eval_time": f"{minute}m",
                 "exp_samples": [{"labels": f"{{{expected}}}", "value": 1}] if minute in fires else []}
                for minute in fires + silent]}


class Alerts(unittest.TestCase):
    """The rules as they are shipped."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = scratch_dir()
        cls.addClassCleanup(remove_scratch, cls.scratch)
        cls.rules = RULES.read_text(encoding="utf-8")

    def promtool(self, tests: list[dict]) -> subprocess.CompletedProcess:
        """Try tests."""
        path = self.scratch / "tests.json"  # which is YAML, too
        path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m",
                                    "tests": tests}), encoding="utf-8")
        return subprocess.run([promtool.program(), "test", "rules", path], text=True, timeout=60,
                              capture_output=True, check=False)

    def test_they_fire_and_do_not(self):
        """Every alert has a case in which it fires, and a minute at which it does not."""
        alerts = re.findall(r"- alert: Okl4fs(\w+)", self.rules)
        for at, word in ((3, "fires"), (4, "is silent")):
            self.assertEqual(sorted({case[2] for case in CASES if case[at]}), sorted(alerts), word)
        done = self.promtool([case_as_test(*case) for case in CASES])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_wrong_expectation_fails(self):
        name, series, alert, fires, silent = CASES[0]
        self.assertEqual(self.promtool([case_as_test(name, series, alert, silent, fires)]).returncode, 1)

    def test_text(self):
        """Labels are filled in, also where a guest's socket has no channel."""
        tests = []
        for metric, labels, where in (("guest", GUEST, "vm1"), ("endpoint", CHANNEL, "vm1, channel c,")):
            about = dict(re.findall(r'(\w+)="(\w+)"', labels))
            tests.append({"interval": "1m", "input_series": [
                {"series": f"okl4fs_{metric}_path_lost{{{labels}}}", "values": "1x20"}],
                "alert_rule_test": [{"alertname": "Okl4fsSocketLost", "eval_time": "10m", "exp_alerts": [
                    {"exp_labels": {"severity": "warning", **about}, "exp_annotations": {
                        "summary": f"the file of a socket of guest {where} was removed or replaced",
                        "description": re.search(r'description: "(Nothing new.*)"', self.rules)[1]}}]}]})
        done = self.promtool(tests)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_says_what_to_run(self):
        rules = self.rules.split("- alert: ")[1:]
        for rule in rules:
            about = re.search(r'description: "(.*)"', rule)
            self.assertIsNotNone(about, rule)
            self.assertRegex(about[1], r"okl4fsctl [a-z]|journalctl -u|systemctl status|modprobe")


if __name__ == "__main__":
    unittest.main()
