"""A server on loopback that can break the rules of HTTP: a function answers each request by writing to the socket."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, int], None]  # takes the connection and the number of earlier requests


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


@contextmanager
def connected(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Call `handle` with each connection, in a new thread, and close the connection afterwards. Yields the base URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            handle(self.request)

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each request with `answer`. Yields the base URL, and a list to which each new request is added."""
    requests: list[bytes] = []
    counting = threading.Lock()

    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(65536)
            if not received:
                return
            request += received
        with counting:
            number = len(requests)
            requests.append(request)
        with suppress(BrokenPipeError, ConnectionResetError):  # the client was killed
            answer(connection, number)

    with connected(handle) as url:
        yield url, requests


def head(status: str = "200 OK", *lines: str) -> bytes:
    """The status line and the header lines of an HTTP answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def respond(content: bytes, status: str = "200 OK", *lines: str) -> Answer:
    """A correct HTTP answer with this content."""

    def answer(connection: socket.socket, _number: int) -> None:
        connection.sendall(head(status, f"Content-Length: {len(content)}", *lines) + content)

    return answer


def send(*pieces: bytes) -> Answer:
    """An answer of these bytes, whether they are correct HTTP or not. Then the connection is closed."""

    def answer(connection: socket.socket, _number: int) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


def reset(*pieces: bytes) -> Answer:
    """An answer of these bytes. Then the connection is reset."""

    def answer(connection: socket.socket, number: int) -> None:
        send(*pieces)(connection, number)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give the answers one after the other, one for each request, and then repeat the last answer."""
    return lambda connection, number: answers[min(number, len(answers) - 1)](connection, number)
