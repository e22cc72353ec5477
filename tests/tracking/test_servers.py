"""A real `mlflow server` that is absent, is killed, hangs or answers 500 while a training sends its records."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.conftest import CHECKOUT, Start, line_of
from tests.tracking.proxy import Lost, losing
from tests.tracking.server import Server
from tests.tracking.tracked import HISTORY, STEPS, Tracked, with_params

TIMEOUT_S = 10.0  # on a busy machine, opening a run took more than five seconds
SLACK_S = 4.0  # more time for a busy machine; without charloom's settings, MLflow would retry for minutes
HALF = len(HISTORY) // 2
# A training that pauses in the middle until a line comes on stdin. It prints the seconds that the second half took.
TRAINING = f"""
import sys, time
sys.path.insert(0, sys.argv[1])
from charloom.tracking.stream import track_training
from tests.tracking.tracked import HISTORY, HOST, KEYS, PARAMS, WRITTEN, card
params = PARAMS.model_copy(update={{"experiment": sys.argv[2], "timeout": float(sys.argv[3])}})
with track_training(params, card({{"train_key": KEYS["train_key"]}}, HOST), [], written := WRITTEN[:2]) as listener:
    import mlflow
    for record in HISTORY[:{HALF}]:
        listener(record)
    print("half")
    sys.stdin.readline()
    began = time.monotonic()
    written += WRITTEN[2:]
    for record in HISTORY[{HALF}:]:
        listener(record)
    listener.finish(KEYS["model_digest"])
print(time.monotonic() - began)
"""


FAULTS: dict[str, Callable[[Server], None]] = {
    "stopped": lambda server: server.signal(signal.SIGSTOP),
    "killed": Server.kill,
    "500": Server.break_down,
}


def sent(tracked: Tracked) -> list[int]:
    """The steps that the server has of the only run of the experiment."""
    if not tracked.client.get_experiment_by_name(tracked.params.experiment):
        return []
    return [step for run in tracked.runs() for step, _ in tracked.curve(run)]


def wait_for(tracked: Tracked, steps: list[int], training: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while (found := sent(tracked)) != steps:
        if time.monotonic() > until:
            training.kill()
            pytest.fail(f"the server has the steps {found}; the training said {training.communicate()}")
        time.sleep(0.2)


@pytest.mark.parametrize("fault", ["absent", "none", "stopped", "killed", "500"])
def test_a_failing_server_costs_the_timeout_and_one_warning_but_no_result(
    server: Server,
    tracked: Tracked,
    start_python: Start,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The server fails during a training, and is still down during the evaluation. It works in the next evaluation.

    Then the run must be equal to the run of a training and evaluation during which the server never failed.
    """
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    tracked = with_params(tracked, experiment=f"server {fault}")
    if fault == "absent":
        server.kill()  # another test file may have left it running
    else:
        server.come_back()
    training = start_python(TRAINING, CHECKOUT, tracked.params.experiment, TIMEOUT_S)
    assert line_of(training.stdout) == "half\n"
    if fault != "absent":
        wait_for(tracked, STEPS[:HALF], training)
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
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")  # charloom set it in this process
        server.come_back()
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in tracked.curve(run)] == STEPS

    streamed = with_params(tracked, experiment="streamed")  # made by the first case, and used by the others
    if not streamed.client.get_experiment_by_name("streamed"):
        streamed.train()
        streamed.evaluate()
    assert tracked.content(run) == streamed.content(streamed.runs()[0])
    assert tracked.content(run)["files"]


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_connection_that_closes_during_a_request_loses_no_record(
    server: Server, tracked: Tracked, lost: Lost, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server may close an idle connection at the moment at which the next metrics are sent."""
    server.come_back()
    with losing(server.port, b"train/loss_nats", lost) as (uri, has_lost):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        tracked = with_params(tracked, experiment=f"lost {lost}")
        tracked.train()
        assert has_lost.is_set()
        (run,) = tracked.runs()
        assert [step for step, _ in tracked.curve(run)] == STEPS
    assert "warning" not in capfd.readouterr().out
