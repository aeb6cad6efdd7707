# SPDX-License-Identifier: BSD-3-Clause
"""The examples of okl4fsctl(1) do what they say."""
import re
import subprocess
import threading

from ctl_rig import TIMEOUT_S, DaemonTest, Driver, Frontend
from vhost_user import Dropped
from vm import paths
from vm.daemon import guest_config


def examples() -> list[str]:
    """The literal blocks in the section EXAMPLES, as a reader would paste them."""
    page = (paths.ROOT / "docs/okl4fsctl.1").read_text(encoding="utf-8")
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", page, re.M | re.S)[1]
    return [block.replace("\\(aq", "'").replace("\\e", "\\") for block in
            re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", section, re.M | re.S)]


class Manual(DaemonTest):
    """A daemon as the examples expect it."""

    @classmethod
    def config(cls):
        return {"guests": [guest_config("vm1", "vm1.sock", {
            "console": {"type": "unix-listen", "path": "console.sock"}})]}

    def setUp(self):
        tools = self.scratch / "bin"
        tools.mkdir()
        (tools / "okl4fsctl").write_text(
            f'#!/bin/sh\nexec {paths.BUILD}/okl4fsctl -s {self.daemon.control_path} "$@"\n',
            encoding="utf-8")
        (tools / "okl4fsctl").chmod(0o755)

    def run_block(self, block: str) -> subprocess.CompletedProcess:
        """Run an example."""
        return subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=self.scratch, text=True,
                              env={"PATH": f"{self.scratch}/bin:/usr/bin:/bin"}, check=False,
                              capture_output=True, timeout=TIMEOUT_S)

    def guests_come(self) -> None:
        """A guest's driver comes and goes, until the example has ended."""
        while not self.done.is_set():
            frontend = Frontend(self.scratch / "vm1.sock")
            try:
                Driver(frontend.setup(2, 128)).hello()
            except Dropped:
                pass  # the daemon has not yet seen that the previous one ended
            finally:
                frontend.close()

    def test_examples(self):
        blocks = examples()
        self.assertGreaterEqual(len(blocks), 6)
        for block in blocks:
            with self.subTest(block):
                self.done = threading.Event()
                visitor = None
                if "events" in block:
                    visitor = threading.Thread(target=self.guests_come)
                    visitor.start()
                done = self.run_block(block.replace("-d 10", "-d 0.1"))
                self.done.set()
                if visitor:
                    visitor.join()
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
                self.assertTrue(done.stdout or "log-level" in block)
