"""An `mlflow server` that can fail and come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer, make_server

from tests.services import free_port


class Server:
    """An `mlflow server` on a free port, and methods that stop, kill, break and restore it.

    `settings` are environment variables of the server. By default its store is in SQLite, in `folder`.
    """

    def __init__(self, folder: Path, *, workers: int = 1, **settings: str) -> None:
        self.folder = folder
        self.workers = workers
        self.settings = {
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
            "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # job execution would start seven more processes
            **settings,
        }
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._broken: BaseWSGIServer | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", str(self.workers)],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.settings},
                cwd=self.folder,
            )
        until = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.2)

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the server."""
        if self._process:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End the server without warning, as a crash does. Also end the broken server that `break_down` starts."""
        if self._broken:
            self._broken.shutdown()
            self._broken.server_close()
            self._broken = None
        if self._process:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        until = time.monotonic() + 60
        while not self._free():  # the workers end a moment after the server
            assert time.monotonic() < until
            time.sleep(0.05)

    def break_down(self) -> None:
        """Replace the server by one that answers 500 to every request, as a proxy does if its server has crashed."""
        self.kill()

        @Request.application
        def answer(_request: Request) -> Response:
            return Response("broken", status=500)

        self._broken = make_server("127.0.0.1", self.port, answer, threaded=True)
        Thread(target=self._broken.serve_forever, daemon=True).start()

    def come_back(self) -> None:
        """Make the server work, whether it was stopped, killed, broken or never started."""
        self.signal(signal.SIGCONT)
        if not self._process:
            self.kill()
            self.start()

    def _free(self) -> bool:
        """Whether no process uses the port."""
        try:
            with socket.create_server(("127.0.0.1", self.port)):
                return True
        except OSError:
            return False

    def _answers(self) -> bool:
        """Whether the server answers a request. The first request opens the store, which takes seconds."""
        try:
            question = f"{self.uri}/api/2.0/mlflow/experiments/get?experiment_id=0"
            with urllib.request.urlopen(question, timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
