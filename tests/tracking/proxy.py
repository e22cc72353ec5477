"""What stands between a client and a server, and closes a connection at the worst moment."""

from __future__ import annotations

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Literal

Lost = Literal["request", "answer"]


class Proxy(socketserver.ThreadingTCPServer):
    """Hands on all that it receives, but loses the first request that holds `fatal`, or its answer."""

    daemon_threads = True

    def __init__(self, upstream: int, fatal: bytes, lost: Lost) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.fatal = fatal
        self.lost = lost
        self.has_closed = False
        self.uri = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy
    loses_answer = False

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            Thread(target=self._answers, args=(upstream,), daemon=True).start()
            while data := self.request.recv(65536):
                if self.server.fatal in data and not self.server.has_closed:
                    self.server.has_closed = True
                    if self.server.lost == "request":
                        return
                    self.loses_answer = True
                upstream.sendall(data)

    def _answers(self, upstream: socket.socket) -> None:
        with suppress(OSError):  # either end may have closed
            while (data := upstream.recv(65536)) and not self.loses_answer:
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_RDWR)


@contextmanager
def closing(upstream: int, fatal: bytes, lost: Lost) -> Iterator[Proxy]:
    """A proxy for the server on the port `upstream`, for a while."""
    with Proxy(upstream, fatal, lost) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
