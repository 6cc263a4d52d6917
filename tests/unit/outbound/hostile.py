"""Servers on this machine with invalid answers: each is a script that gets the raw connection.

A script ends when it returns or when the client disconnects. It waits only for actions of the client; only `drip` also
pauses between its parts.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\n"
DRIP_SECONDS = 0.05
"""The seconds between two bytes of a slow server, because each byte would restart an ordinary timeout."""


@dataclass
class Peer:
    """The server's end of one connection."""

    connection: socket.socket
    received: bytes = b""

    def request(self) -> bytes:
        """Waits for the head of the request and returns it."""
        while b"\r\n\r\n" not in self.received:
            more = self.connection.recv(65536)
            if not more:
                raise ConnectionError
            self.received += more
        return self.received

    def send(self, *parts: bytes) -> None:
        """Sends bytes. Raises OSError after the client has disconnected."""
        self.connection.sendall(b"".join(parts))

    def forever(self, part: bytes) -> None:
        """Sends the same bytes as fast as the client reads them, until it disconnects."""
        while True:
            self.connection.sendall(part)

    def drip(self, part: bytes, pause: float) -> None:
        """Sends the same bytes at intervals, until the client disconnects."""
        while not self.is_closed(pause):
            self.connection.sendall(part)

    def is_closed(self, seconds: float = 30.0) -> bool:
        """True as soon as the client has closed the connection; False if it has not within the time.

        Bytes from the client are read and dropped.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], left)
            try:
                if readable and not self.connection.recv(65536):
                    return True
            except OSError:
                return True
        return False

    def reset(self) -> None:
        """Ends the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


Script = Callable[[Peer], None]


@dataclass
class Server:
    """A server that plays a script. `over` is released when a script has ended and its connection is closed."""

    url: str
    peers: list[Peer] = field(default_factory=list)
    over: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def connection_is_over(self) -> bool:
        """Waits for the end of one connection."""
        return self.over.acquire(timeout=30)


@contextmanager
def serving(script: Script) -> Iterator[Server]:
    """A server that plays the script for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}/")
    threads: list[threading.Thread] = []

    def play(peer: Peer) -> None:
        with peer.connection, contextlib.suppress(OSError):
            script(peer)
        server.over.release()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            peer = Peer(connection)
            server.peers.append(peer)
            threads.append(threading.Thread(target=play, args=(peer,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(30)
        for peer in server.peers:
            with contextlib.suppress(OSError):
                peer.connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(30)


def answering(*parts: bytes) -> Script:
    """A server that reads the request, sends these bytes, and closes."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(*parts)

    return script


def dripping(head: bytes, part: bytes) -> Script:
    """A server that sends the head at once, and then a few bytes again and again."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.drip(part, DRIP_SECONDS)

    return script


def flooding(head: bytes, part: bytes) -> Script:
    """A server that sends the head, and then bytes endlessly."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.forever(part)

    return script


def silent(peer: Peer) -> None:
    """A server that reads the request and never answers."""
    peer.is_closed()
