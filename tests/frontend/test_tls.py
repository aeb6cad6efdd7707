# SPDX-License-Identifier: BSD-3-Clause
"""The endpoints tcp-listen and tcp-connect with TLS: bytes, ends, and who is not trusted."""
import hashlib
import os
import re
import shutil
import socket
import ssl
import struct
import threading
import warnings

from certificates import Certificates
from guest_end import Channel
from rig import RING_BYTES, assert_idle
from socket_rig import LIMIT_S, SocketTest, TlsSocket, free_port
from vm.paths import ROOT
from vm.process import Process

PAST = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
FUTURE = ("-startdate", "20990101000000Z", "-enddate", "20990102000000Z")
BAD_DATES = (
    ("expired", "the peer's certificate has expired, on 2020-01-02 00:00:00 UTC"),
    ("early", "the peer's certificate is not valid before 2099-01-01 00:00:00 UTC"))


class TlsTest(SocketTest):
    """left (the daemon) and right (we, or the daemon too)."""

    @classmethod
    def make(cls) -> Certificates:
        """The certificates, in the daemon's directory."""
        cls.certs = Certificates(cls.scratch / "tls")
        return cls.certs

    def make_bad(self, usage: str) -> None:
        """Certificates that a peer must not accept, each for another reason."""
        self.certs.make("expired", dates=PAST)
        self.certs.make("early", dates=FUTURE)
        self.certs.make("usage", usage=usage)
        self.certs.make_ca("other")
        self.certs.make("stranger", ca="other")
        self.certs.make("wrong", san="DNS:wrong.example,IP:192.0.2.1")

    def says(self, client: TlsSocket, channel: Channel, data: bytes) -> None:
        """The client sends this to the guest."""
        client.send(data)
        self.assertEqual(channel.read(len(data)), data)

    def client(self, port: int, version: ssl.TLSVersion | None = None) -> TlsSocket:
        """A client of the daemon's."""
        sock = self.connect_to(port)
        self.addCleanup(sock.close)
        context = self.certs.context(False)
        if version:
            context.minimum_version = context.maximum_version = version
        return TlsSocket(sock, context, False, "left.example")


class Listen(TlsTest):
    """tcp-listen."""

    @classmethod
    def channels(cls):
        certs, cls.ports = cls.make(), {name: free_port() for name in ("any", "right", "files")}
        for name in ("cert", "key", "ca"):
            shutil.copy(certs.path({"cert": "left.pem", "key": "left.key", "ca": "ca.pem"}[name]),
                        certs.path(f"files.{name}"))
        tls = {"any": certs.tls("left"), "right": certs.tls("left", name="right.example"),
               "files": {name: certs.path(f"files.{name}") for name in ("cert", "key", "ca")}}
        return {"vm1": {name: {"ring_bytes": RING_BYTES, "endpoint": {
            "type": "tcp-listen", "address": f"127.0.0.1:{cls.ports[name]}", "tls": tls[name]}}
            for name in tls}}

    def joined(self, name: str = "any", **options):
        """A guest and a client."""
        channel = self.guest(name).open()
        client = self.client(self.ports[name], **options)
        self.until(lambda: self.endpoint(name)["connected"], "the client to be there")
        return channel, client

    def test_both_ways(self):
        channel, client = self.joined("right")
        there, back = os.urandom(16 << 20), os.urandom(16 << 20)
        taken = hashlib.sha256()

        def talk():
            n = 0
            for sent in range(0, len(back), 65536):
                client.send(back[sent:sent + 65536])
                while n < sent:
                    piece = client.recv()
                    taken.update(piece)
                    n += len(piece)
            client.end()
            while piece := client.recv():
                taken.update(piece)
        thread = threading.Thread(target=talk)
        thread.start()
        self.assertEqual(self.both_ways(channel, there), hashlib.sha256(back).hexdigest())
        thread.join(LIMIT_S)
        self.assertFalse(thread.is_alive())
        self.assertEqual(taken.hexdigest(), hashlib.sha256(there).hexdigest())
        client.close()
        self.until(lambda: not self.endpoint("right")["connected"], "the client to be gone")
        self.assertEqual(self.endpoint("right")["connections_torn"], 0)

    def test_half_closes(self):
        torn = self.endpoint("any")["connections_torn"]
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version=version):
                channel, client = self.joined(version=version)
                client.send(b"question")
                client.end()
                self.assertEqual(self.read_to_end(channel), b"question")
                channel.write(b"answer")
                self.assertEqual(client.read(6), b"answer")
                channel.close_writer()
                self.assertEqual(client.recv(), b"")
                client.close()
                channel.driver.frontend.close()
                # The other half first
                channel, client = self.joined(version=version)
                channel.write(b"only this")
                channel.close_writer()
                self.assertEqual(client.read(9), b"only this")
                self.assertEqual(client.recv(), b"")
                self.says(client, channel, b"a long answer")
                client.end()
                client.close()
                self.assertEqual(self.read_to_end(channel), b"")
                channel.driver.frontend.close()
        self.assertEqual(self.endpoint("any")["connections_torn"], torn)

    def test_new_keys(self):
        """The peer changes the keys of a stream (RFC 8446, section 4.6.3), and asks us to do so."""
        channel = self.guest("any").open()
        tls = self.certs.tls("right")
        client = Process(["openssl", "s_client", "-tls1_3", "-connect",
                          f"127.0.0.1:{self.ports['any']}", "-cert", tls["cert"], "-key", tls["key"],
                          "-CAfile", tls["ca"]], stdin=(stdin := os.pipe())[0],
                         stdout=(said := os.pipe())[1], stderr=said[1])
        self.addCleanup(client.kill)
        os.close(stdin[0])
        os.close(said[1])
        with open(stdin[1], "wb", buffering=0) as line, open(said[0], "rb") as heard:
            line.write(b"before\n")
            self.assertEqual(channel.read(7), b"before\n")
            line.write(b"K\n")
            while b"KEYUPDATE" not in heard.readline():
                pass
            line.write(b"after\n")
            self.assertEqual(channel.read(6), b"after\n")
            channel.write(b"with ours\n")
            while b"with ours" not in heard.readline():
                pass
        self.assertEqual(self.read_to_end(channel), b"")
        client.wait(LIMIT_S)

    def test_torn(self):
        """No close_notify: the guest gets what came, the operator is told."""
        before = self.endpoint("any")["connections_torn"]
        channel, client = self.joined()
        client.send(b"half of it")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.read_to_end(channel), b"half of it")
        error = self.await_error("any", "torn: the peer has closed the connection without a "
                                        "close_notify; what came may not be all")
        self.assertRegex(error, r"^tcp-listen: 127\.0\.0\.1:\d+: torn")
        self.assertEqual(self.endpoint("any")["connections_torn"], before + 1)
        channel.driver.frontend.close()
        # Reset
        channel, client = self.joined()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        self.read_to_end(channel)
        self.until(lambda: self.endpoint("any")["connections_torn"] == before + 2, "it to be told")
        self.assertIn("Connection reset by peer", self.endpoint("any")["error"])

    def test_a_client_that_closes_is_gone(self):
        """Also while the guest does not write; the next one is not turned away."""
        channel, client = self.joined()
        client.end()
        client.close()
        self.until(lambda: not self.endpoint("any")["connected"], "the client to be gone")
        self.assertEqual(self.read_to_end(channel), b"")
        client = self.client(self.ports["any"])
        self.says(client, channel, b"next")

    def test_slow_client(self):
        channel, client = self.joined()
        sent = self.fill_and_not_grow(channel)
        assert_idle(self, self.daemon)
        self.assertEqual(client.read(len(sent)), sent)

    def test_slow_guest(self):
        channel, client = self.joined()
        self.slow_guest("any", channel, client.sock, client.send)

    # Peers that are not trusted

    def told_off(self, channel: str, sentence: str, **options) -> None:
        """A client that must be told off; the endpoint says why, with its address."""
        failed = self.endpoint(channel)["handshakes_failed"]
        sock = self.connect_to(self.ports[channel])
        with sock:
            address = "{}:{}".format(*sock.getsockname())
            try:
                client = TlsSocket(sock, self.certs.context(False, **options), False, "left.example")
                self.assertEqual(client.recv(), b"")  # TLS 1.3 tells a client only now
            except (ssl.SSLError, OSError):
                pass
        error = self.await_error(channel, sentence)
        self.assertTrue(error.startswith(f"tcp-listen: {address}: "), error)
        self.assertEqual(self.endpoint(channel)["handshakes_failed"], failed + 1)
        self.assertFalse(self.endpoint(channel)["connected"])

    def test_certificates_of_clients(self):
        self.make_bad("serverAuth")
        for channel, name, sentence in (
                *(("any", *row) for row in BAD_DATES),
                ("any", "usage", "the peer's certificate is not one for a TLS client"),
                ("any", "stranger", "the peer's certificate is not signed by a CA in "
                                    + self.certs.path("ca.pem")),
                ("any", None, "the peer shows no certificate"),
                ("right", "wrong", "the peer's certificate is not for right.example but for "
                                   "wrong.example, 192.0.2.1")):
            with self.subTest(name=name):
                self.told_off(channel, sentence, name=name)
        channel, client = self.joined("right")
        self.says(client, channel, b"good")
        self.assertIsNone(self.endpoint("right")["error"])

    def test_no_tls(self):
        with self.connect_to(self.ports["any"]) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.await_error("any", "the peer does not speak TLS")
        context = self.certs.context(False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = (ssl.TLSVersion.TLSv1_1,) * 2
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.connect_to(self.ports["any"]) as sock, self.assertRaises(ssl.SSLError):
            TlsSocket(sock, context, False, "left.example")
        self.await_error("any", "the peer has no TLS 1.2 or later")

    def test_silent_clients_keep_nobody_away(self):
        """Half-open handshakes take no place, are counted when they go, and end by themselves."""
        failed = self.endpoint("any")["handshakes_failed"]
        silent = [self.connect_to(self.ports["any"]) for _ in range(8)]
        channel, client = self.joined()
        self.says(client, channel, b"here")
        silent.pop().close()
        self.until(lambda: self.endpoint("any")["handshakes_failed"] == failed + 1, "one to go")
        for sock in silent:
            self.assertEqual(sock.recv(1), b"")
            sock.close()
        self.await_error("any", "the handshake has taken longer than 10 s")

    def test_renewed_files(self):
        """What is wrong with our own files is told; when they are mended it works at once."""
        certs = self.certs
        certs.make("old", dates=PAST)
        certs.make("new")

        def put(name: str, source: str | bytes | None) -> None:
            path = self.scratch / "tls" / f"files.{name}"
            path.unlink(missing_ok=True)
            if isinstance(source, bytes):
                path.write_bytes(source)
            elif source:
                shutil.copy(certs.path(source), path)
        # Renewed while another one is away: what is new is taken when that is back.
        ca = self.scratch / "tls" / "files.ca"
        ca.rename(ca.with_suffix(".away"))
        put("cert", "old.pem")
        put("key", "old.key")
        self.told_off("files", f"CA {ca}: No such file or directory")
        ca.with_suffix(".away").rename(ca)
        self.told_off("files", f"certificate {certs.path('files.cert')}: it has expired")
        good = {"cert": "left.pem", "key": "left.key", "ca": "ca.pem"}
        put("cert", good["cert"])
        put("key", good["key"])
        for name, source, sentence in (
                ("cert", None, "certificate {}: No such file or directory"),
                ("cert", b"rubbish", "certificate {}: there is no PEM certificate in it"),
                ("key", None, "key {}: No such file or directory"),
                ("key", b"rubbish", "key {}: there is no PEM key in it"),
                ("key", "right.key", "key {}: it is not the key of the certificate"),
                ("ca", b"", "CA {}: there is no PEM certificate in it")):
            with self.subTest(name=name, source=source):
                put(name, source)
                self.told_off("files", sentence.format(certs.path(f"files.{name}")))
                put(name, good[name])
        put("cert", "old.pem")
        put("key", "old.key")
        self.told_off("files", f"certificate {certs.path('files.cert')}: it has expired")
        put("cert", "new.pem")
        put("key", "new.key")
        channel, client = self.joined("files")
        self.says(client, channel, b"renewed")

    def test_restart(self):
        """A killed daemon is a client's end; the next daemon takes up the ring."""
        channel, client = self.joined()
        self.says(client, channel, b"before")
        self.daemon.kill()
        channel.driver.frontend.close()
        with self.assertRaises((ssl.SSLError, OSError)):
            client.recv()
        self.daemon.start()
        channel, client = self.joined()
        channel.write(b"after")
        self.assertEqual(client.read(5), b"after")


class Connect(TlsTest):
    """tcp-connect."""

    @classmethod
    def channels(cls):
        certs, cls.port = cls.make(), free_port()
        address = f"127.0.0.1:{cls.port}"
        tls = {"named": certs.tls("right", name="left.example"), "host": certs.tls("right"),
               "stranger": certs.tls("right", ca="right", name="left.example")}
        return {"vm1": {name: {"ring_bytes": RING_BYTES, "endpoint": {
            "type": "tcp-connect", "address": address, "tls": tls[name]}} for name in tls}}

    def serve(self, listener: socket.socket, name: str = "left", ca: str = "ca",
              num_tickets: int = 2) -> TlsSocket:
        """Take the daemon's connection."""
        sock, _ = listener.accept()
        self.addCleanup(sock.close)
        context = self.certs.context(True, name, ca)
        context.num_tickets = num_tickets
        return TlsSocket(sock, context, True)

    def test_connect(self):
        channel = self.guest("named")
        before = self.endpoint("named")
        with self.listen(self.port) as listener:
            self.open_writer(channel)
            channel.write(b"question")
            channel.close_writer()
            server = self.serve(listener)
            self.assertEqual(server.read(8), b"question")
            self.assertEqual(server.recv(), b"")
            server.send(b"answer")
            server.end()
            server.close()
            self.open_reader(channel)
            self.assertEqual(self.read_to_end(channel), b"answer")
        for count, more in (("handshakes_failed", 0), ("connections_torn", 0), ("clients", 1)):
            self.assertEqual(self.endpoint("named")[count], before[count] + more)

    def test_reader_that_leaves(self):
        channel = self.guest("named")
        with self.listen(self.port) as listener:
            self.open_reader(channel)
            server = self.serve(listener)
            self.says(server, channel, b"endless")
            channel.close_reader()
            self.assertEqual(server.recv(), b"", "close_notify, not a reset")
            server.send(b"more, which nobody takes")
            self.until(lambda: not self.endpoint("named")["connected"], "the connection to be over")

    def failing(self, channel_name: str, sentence: str, name: str = "left", attempts: int = 1,
                **options) -> None:
        """The guest wants a connection, and the peer is not to be trusted, or does not trust."""
        channel = self.guest(channel_name)
        failed = self.endpoint(channel_name)["handshakes_failed"]
        taken = self.channel_state("vm1", channel_name)["fwd"]["bytes"]
        with self.listen(self.port) as listener:
            self.open_writer(channel)
            channel.write(b"not for you")
            while self.endpoint(channel_name)["handshakes_failed"] < failed + attempts:
                try:
                    self.serve(listener, name, **options).recv()
                    self.fail("bytes for the wrong one")
                except (ssl.SSLError, OSError):
                    pass
            error = self.await_error(channel_name, sentence)
            self.assertTrue(error.startswith(f"tcp-connect: 127.0.0.1:{self.port}: "), error)
        self.assertEqual(self.channel_state("vm1", channel_name)["fwd"]["bytes"], taken)
        channel.driver.frontend.close()
        self.wait_free("vm1")
        # or it would go on trying to deliver what the guest has left
        self.daemon.rpc("channel.reset", {"guest": "vm1", "channel": channel_name})

    def test_certificates_of_servers(self):
        self.make_bad("clientAuth")
        for channel, name, sentence in (
                *(("named", *row) for row in BAD_DATES),
                ("named", "usage", "the peer's certificate is not one for a TLS server"),
                ("named", "wrong",
                 "the peer's certificate is not for left.example but for wrong.example"),
                ("host", "left", "the peer's certificate is not for 127.0.0.1 but for left.example"),
                ("stranger", "left", "the peer's certificate is not signed by a CA in "
                                     + self.certs.path("right.pem"))):
            with self.subTest(name=name):
                self.failing(channel, sentence, name)
        # A server that does not trust us says so after the handshake.
        self.failing("named", "the peer does not know the CA of our certificate", ca="other",
                     attempts=2)

    def test_silent_server(self):
        """One that accepts TCP and says nothing: the guest's bytes wait, the attempt ends."""
        channel = self.guest("named")
        with self.listen(self.port) as listener:
            self.open_writer(channel)
            channel.write(b"waiting")
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(LIMIT_S)
                while sock.recv(4096):
                    pass  # until the daemon gives up
            self.await_error("named", "the handshake has taken longer than 10 s")
            self.assertEqual(self.serve(listener).read(7), b"waiting")

    def test_server_without_tickets(self):
        """It is believed after a second."""
        channel = self.guest("named")
        with self.listen(self.port) as listener:
            self.open_writer(channel)
            channel.write(b"hello")
            self.assertEqual(self.serve(listener, num_tickets=0).read(5), b"hello")


class Both(TlsTest):
    """tcp-connect of one guest to tcp-listen of the other."""

    @classmethod
    def channels(cls):
        certs, cls.port = cls.make(), free_port()
        return {guest: {"c": {"ring_bytes": RING_BYTES, "endpoint": {
            "type": kind, "address": f"127.0.0.1:{cls.port}",
            "tls": certs.tls(own, name=f"{other}.example")}}}
            for guest, kind, own, other in (("vm1", "tcp-listen", "left", "right"),
                                            ("vm2", "tcp-connect", "right", "left"))}

    def test_guest_to_guest(self):
        left, right = self.guest("c").open(), self.guest("c", "vm2")
        right.open()
        for _ in range(2):
            data = os.urandom(4 << 20)
            thread = threading.Thread(target=lambda: right.write(data))
            thread.start()
            self.assertEqual(left.read(len(data)), data)
            thread.join(LIMIT_S)
        left.write(b"and back")
        self.assertEqual(right.read(8), b"and back")
        right.close_writer()
        self.assertEqual(self.read_to_end(left), b"")
        left.write(b"half closed")
        left.close_writer()
        self.assertEqual(self.read_to_end(right), b"half closed")
        self.until(lambda: not self.endpoint("c")["connected"], "both to be done")
        self.assertEqual(self.endpoint("c")["connections_torn"], 0)
        self.assertEqual(self.endpoint("c", "vm2")["connections_torn"], 0)
        self.assertEqual(self.endpoint("c", "vm2")["attempts_failed"], 0)

    def test_the_manual_tells_every_sentence(self):
        """docs/tls.md has each that the source has."""
        manual = (ROOT / "docs/tls.md").read_text(encoding="utf-8")
        source = (ROOT / "daemon/endpoint/tls/why.c").read_text(encoding="utf-8")
        sentences = re.findall(r'"(the peer (?:shows|does|has no|wants|says)[^"]*)"', source)
        self.assertGreater(len(sentences), 6)
        for sentence in sentences:
            self.assertIn(sentence.split(":")[0], manual)
        page = (ROOT / "docs/okl4fsd.json.5").read_text(encoding="utf-8").replace("\\e", "\\")
        for line in re.search(r"^```sh\n(.*?)^```", manual, re.M | re.S)[1].splitlines():
            self.assertIn(f"\n{line.replace(chr(9), '    ')}\n", page)
