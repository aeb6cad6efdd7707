# SPDX-License-Identifier: BSD-3-Clause
"""Certificates: good ones as docs/tls.md says, and bad ones of every kind."""
import re
import ssl
import subprocess
from pathlib import Path

from vm.paths import ROOT

CA_CONFIG = """
[ca]
default_ca = d
[d]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = p
copy_extensions = copy
unique_subject = no
default_days = 30
[p]
commonName = supplied
"""
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Certificates:
    """A directory with the CA `ca`, the certificates left and right, and those that tests make."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir()
        manual = (ROOT / "docs/tls.md").read_text(encoding="utf-8")
        commands = re.search(r"^```sh\n(.*?)^```", manual, re.M | re.S)[1]
        self._run("sh", "-euc", commands)
        (directory / "ca.cnf").write_text(CA_CONFIG, encoding="utf-8")

    def _run(self, *command) -> None:
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def path(self, name: str) -> str:
        """A file's name."""
        return str(self.directory / name)

    def tls(self, who: str, ca: str = "ca", **more) -> dict:
        """The TLS configuration of an endpoint with this certificate."""
        return {"cert": self.path(f"{who}.pem"), "key": self.path(f"{who}.key"),
                "ca": self.path(f"{ca}.pem"), **more}

    def context(self, server: bool, name: str | None = "right", ca: str = "ca") -> ssl.SSLContext:
        """A peer's side; name None: without a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.path(f"{ca}.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if name:
            context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context

    def make_ca(self, name: str) -> None:
        """Make another CA."""
        self._run("openssl", "req", "-x509", *KEY, "-subj", f"/CN={name}", "-keyout",
                  f"{name}.key", "-out", f"{name}.pem")

    def make(self, name: str, *, san: str = "DNS:left.example", ca: str = "ca", dates=(),
             usage: str = "") -> None:
        """Make a certificate; dates: options of `openssl ca`."""
        more = ["-addext", f"extendedKeyUsage={usage}"] if usage else []
        self._run("openssl", "req", *KEY, "-subj", f"/CN={name}", "-addext",
                  f"subjectAltName={san}", *more, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self.directory / "index.txt").write_text("", encoding="utf-8")
        self._run("openssl", "ca", "-batch", "-config", "ca.cnf", "-notext", "-cert", f"{ca}.pem",
                  "-keyfile", f"{ca}.key", *dates, "-in", f"{name}.csr", "-out", f"{name}.pem")
