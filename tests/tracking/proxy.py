"""What stands between a client and a server, and closes a connection at the worst moment."""

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
    """Hand on all to the server on the port `upstream`, but lose the first request that holds `fatal`, or its answer.

    Gives the base URL, and what is set when that has happened.
    """
    has_lost = Event()

    def hand_on(client: socket.socket) -> None:
        loses_answer = Event()
        with socket.create_connection(("127.0.0.1", upstream)) as server:
            Thread(target=hand_back, args=(server, client, loses_answer), daemon=True).start()
            while data := client.recv(65536):
                if fatal in data and not has_lost.is_set():
                    has_lost.set()
                    if lost == "request":
                        return
                    loses_answer.set()
                server.sendall(data)

    with connected(hand_on) as url:
        yield url, has_lost


def hand_back(server: socket.socket, client: socket.socket, loses_answer: Event) -> None:
    with suppress(OSError):  # either end may have closed
        while (data := server.recv(65536)) and not loses_answer.is_set():
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
