"""A server on loopback that breaks the rules: each request is answered by a function that writes to the socket."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, int], None]  # the connection, and how many requests came before


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


@contextmanager
def connected(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """Hand each connection to `handle`, in a thread of its own, and close it afterwards; gives the base URL."""

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
    """Serve; gives the base URL and the list of requests, which grows."""
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
    """The head of an answer, after which the connection is closed."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *lines, "", ""]).encode()


def respond(content: bytes, status: str = "200 OK", *lines: str) -> Answer:
    """An answer as it should be."""

    def answer(connection: socket.socket, _number: int) -> None:
        connection.sendall(head(status, f"Content-Length: {len(content)}", *lines) + content)

    return answer


def send(*pieces: bytes) -> Answer:
    """These bytes, whatever they are, then the end of the connection."""

    def answer(connection: socket.socket, _number: int) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return answer


def reset(*pieces: bytes) -> Answer:
    """These bytes, then a reset."""

    def answer(connection: socket.socket, number: int) -> None:
        send(*pieces)(connection, number)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other, and the last one from then on."""
    return lambda connection, number: answers[min(number, len(answers) - 1)](connection, number)
