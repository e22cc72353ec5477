"""A proxy between a client and a server. The proxy closes a connection so that a request or its answer is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Literal

from tests.faults.servers import connected

Lost = Literal["request", "answer"]


@contextmanager
def losing(upstream: int, fatal: bytes, lost: Lost) -> Iterator[tuple[str, Event]]:
    """Pass everything to the server on the port `upstream`, and back, except one request or its answer.

    The lost request is the first request that contains `fatal`. If `lost` is "answer", the server gets the request, and
    only the answer is lost. Gives the base URL of the proxy, and an event that is set at the loss.
    """
    has_lost = Event()

    def forward(client: socket.socket) -> None:
        loses_answer = Event()
        with socket.create_connection(("127.0.0.1", upstream)) as server:
            Thread(target=pass_answers, args=(server, client, loses_answer), daemon=True).start()
            while data := client.recv(65536):
                if fatal in data and not has_lost.is_set():
                    has_lost.set()
                    if lost == "request":
                        return
                    loses_answer.set()
                server.sendall(data)

    with connected(forward) as url:
        yield url, has_lost


def pass_answers(server: socket.socket, client: socket.socket, loses_answer: Event) -> None:
    """Pass the answers of the server to the client until `loses_answer` is set."""
    with suppress(OSError):  # either end may have closed
        while (data := server.recv(65536)) and not loses_answer.is_set():
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
