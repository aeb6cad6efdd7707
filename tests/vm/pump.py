# SPDX-License-Identifier: BSD-3-Clause
"""One thread that moves bytes between sockets and the objects that understand them."""
import os
import selectors
import socket
import threading


class Peer:
    """The object for one socket. feed() is called in the pump's thread, under its lock.

    Any thread that holds the lock may append to `outgoing` and then call Pump.wake().
    """

    def __init__(self):
        self.outgoing = bytearray()
        self.closed = False

    def feed(self, data: bytes) -> None:
        """Take bytes that have arrived."""
        raise NotImplementedError


class Pump:
    """Serves any number of peers until close(); `changed` is notified after each event."""

    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.error: Exception | None = None
        self._selector = selectors.DefaultSelector()
        self._peers: dict[Peer, socket.socket] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)

    def add(self, peer: Peer, sock: socket.socket) -> None:
        """Serve one more peer; before start()."""
        sock.setblocking(False)
        self._peers[peer] = sock
        self._selector.register(sock, selectors.EVENT_READ, peer)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the outgoing bytes again."""
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Stop and close the sockets."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        for sock in self._peers.values():
            sock.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while not self._stopping:
            with self.changed:
                for peer, sock in self._peers.items():
                    if not peer.closed:
                        events = selectors.EVENT_READ
                        if peer.outgoing:
                            events |= selectors.EVENT_WRITE
                        self._selector.modify(sock, events, peer)
            for key, events in self._selector.select():
                if key.fd == self._wake_read:
                    os.read(self._wake_read, 4096)
                else:
                    self._serve(key.data, key.fileobj, events)

    def _serve(self, peer: Peer, sock: socket.socket, events: int) -> None:
        with self.changed:
            try:
                if events & selectors.EVENT_WRITE and peer.outgoing:
                    sent = sock.send(peer.outgoing)
                    del peer.outgoing[:sent]
                if events & selectors.EVENT_READ:
                    data = sock.recv(1 << 18)
                    if data:
                        peer.feed(data)
                    else:
                        self._lost(peer, sock)
            except BlockingIOError:
                pass
            except OSError:
                self._lost(peer, sock)
            except Exception as error:  # a protocol error, for the threads that wait
                self.error = error
                self._lost(peer, sock)
            self.changed.notify_all()

    def _lost(self, peer: Peer, sock: socket.socket) -> None:
        peer.closed = True
        self._selector.unregister(sock)
