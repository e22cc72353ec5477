"""A real `mlflow server` that is absent, dies, stops or answers 500 while a training streams to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from werkzeug import Request, Response
from werkzeug.serving import BaseWSGIServer, make_server

from tests.conftest import CHECKOUT, Start, line_of
from tests.tracking.tracked import HISTORY, STEPS, Tracked

TIMEOUT_S = 3.0
SLACK_S = 4.0  # for a busy machine; MLflow by itself tries for minutes
HALF = len(HISTORY) // 2
# A training that stands still in its middle until a line comes on stdin, and says how long it took from there.
TRAINING = f"""
import sys, time
sys.path.insert(0, sys.argv[1])
from charloom.tracking.stream import track_training
from tests.tracking.tracked import HISTORY, HOST, KEYS, PARAMS, card
params = PARAMS.model_copy(update={{"experiment": sys.argv[2], "timeout": float(sys.argv[3])}})
with track_training(params, card({{"train_key": KEYS["train_key"]}}, HOST), []) as tracker:
    import mlflow
    for record in HISTORY[:{HALF}]:
        tracker(record)
    print("half")
    sys.stdin.readline()
    began = time.monotonic()
    for record in HISTORY[{HALF}:]:
        tracker(record)
    tracker.finish(KEYS["model_digest"])
print(time.monotonic() - began)
"""


class Server:
    """An `mlflow server` on a port of its own, which can go and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._broken: BaseWSGIServer | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *store, "--artifacts-destination", str(self.folder / "artifacts")],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        until = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.2)

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        if self._process:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it as a crash does, or what stands in its place."""
        if self._broken:
            self._broken.shutdown()
            self._broken.server_close()
            self._broken = None
        if self._process:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def break_down(self) -> None:
        """Answer 500 to everything, as a proxy does whose server is gone."""
        self.kill()

        @Request.application
        def answer(_request: Request) -> Response:
            return Response("broken", status=500)

        self._broken = make_server("127.0.0.1", self.port, answer, threaded=True)
        Thread(target=self._broken.serve_forever, daemon=True).start()

    def come_back(self) -> None:
        """Be as if nothing had been."""
        self.signal(signal.SIGCONT)
        if not self._process:
            self.kill()
            self.start()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


FAULTS: dict[str, Callable[[Server], None]] = {
    "stopped": lambda server: server.signal(signal.SIGSTOP),
    "killed": Server.kill,
    "500": Server.break_down,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tables: Path) -> Iterator[Server]:
    """The server of all tests here, not yet up."""
    server = Server(tmp_path_factory.mktemp("server"))
    (server.folder / "mlflow.db").write_bytes(tables.read_bytes())
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


def with_params(tracked: Tracked, **changed: object) -> Tracked:
    return replace(tracked, params=tracked.params.model_copy(update=changed))


def sent(tracked: Tracked) -> list[int]:
    """The steps that the server has of the one run's curve."""
    if not tracked.client.get_experiment_by_name(tracked.params.experiment):
        return []
    return [step for run in tracked.runs() for step, _ in tracked.curve(run)]


def wait_for(tracked: Tracked, steps: list[int]) -> None:
    until = time.monotonic() + 60
    while sent(tracked) != steps:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize("fault", ["absent", "none", "stopped", "killed", "500"])
def test_a_server_that_goes_costs_the_timeout_one_warning_and_nothing_else(
    server: Server,
    tracked: Tracked,
    start_python: Start,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A training and, the server still gone, its evaluation; then the next one finds it up."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    tracked = with_params(tracked, experiment=f"server {fault}")
    if fault != "absent":
        server.come_back()
    training = start_python(TRAINING, CHECKOUT, tracked.params.experiment, TIMEOUT_S)
    assert line_of(training.stdout) == "half\n"
    if fault != "absent":
        wait_for(tracked, STEPS[:HALF])
    if fault in FAULTS:
        FAULTS[fault](server)
    out, err = training.communicate("\n", timeout=60)
    assert training.returncode == 0, err
    assert out.count("warning: MLflow:") == (fault != "none")
    assert "Traceback" not in out + err
    assert float(out.split()[-1]) < TIMEOUT_S + SLACK_S

    if fault != "none":
        began = time.monotonic()
        with_params(tracked, timeout=TIMEOUT_S).evaluate()
        assert time.monotonic() - began < TIMEOUT_S + SLACK_S
        assert capfd.readouterr().out.count("warning: MLflow:") == 1
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")  # which MLflow's client was told for this process
        server.come_back()
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in tracked.curve(run)] == STEPS

    streamed = with_params(tracked, experiment="streamed")
    if not streamed.client.get_experiment_by_name("streamed"):
        streamed.train()
        streamed.evaluate()
    assert tracked.content(run) == streamed.content(streamed.runs()[0])
    assert tracked.content(run)["files"]
