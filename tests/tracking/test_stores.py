"""Where the store is, several processes that use one store, and servers that do not answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.tracking.store import Store
from charloom.tracking.stream import track_training
from tests.conftest import CHECKOUT, Start, line_of
from tests.tracking.tracked import HISTORY, HOST, KEYS, PARAMS, STEPS, Tracked, card

EVALUATED = Evaluated(card(KEYS, "here"), HISTORY, set, Path())
TIMEOUT_S = 2.0
SLACK_S = 10.0  # more time for a busy machine; without charloom's settings, MLflow would retry for minutes
# A process that waits for a line on stdin, and then tracks a training. It prints the seconds that the training took.
TRAINING = """
import sys, time
import mlflow
from charloom.tracking.card import Card
from charloom.training.history import Record
from charloom.params import TrackingParams
from charloom.tracking.stream import track_training
key, timeout = sys.argv[1], float(sys.argv[2])
print("ready")
sys.stdin.readline()
began = time.monotonic()
card = Card("run", "a model", {"train.seed": 1}, {}, {"train_key": key}, [])
with track_training(TrackingParams(enabled=True, experiment="charloom", timeout=timeout), card, []) as listener:
    for step in range(1, 11):
        listener(Record(step, 0.1, step, 0.1, 1.0, 2.0, 3.0))
    listener.finish(key)
print(time.monotonic() - began)
"""
# A process that tracks half of a training, and then waits to be killed
KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from charloom.tracking.stream import track_training
from tests.tracking.tracked import HISTORY, HOST, KEYS, PARAMS, card
with track_training(PARAMS, card({"train_key": KEYS["train_key"]}, HOST), []) as listener:
    for record in HISTORY[:5]:
        listener(record)
    print("half")
    sys.stdin.readline()
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_artefacts_are_next_to_the_store_and_the_workspace_is_unchanged(tracked: Tracked) -> None:
    before = sorted(tracked.workspace.rglob("*"))
    tracked.train()
    tracked.evaluate()
    assert (tracked.root / "mlartifacts").is_dir()
    assert len(list((tracked.root / "mlartifacts").rglob("samples.txt"))) == 1
    assert sorted(tracked.workspace.rglob("*")) == before


def test_three_processes_can_make_the_same_store_at_once(
    root: Path, start_python: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/absent.db")
    processes = [start_python(TRAINING, key, 30) for key in "abc"]
    for process in processes:
        assert line_of(process.stdout) == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "warning" not in out
    runs = Tracked(root, root).runs()
    assert sorted(run.data.tags["model_digest"] for run in runs) == ["a", "b", "c"]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_training_that_is_killed_and_resumed_is_one_run(tracked: Tracked, start_python: Start) -> None:
    """SIGKILL ends the training after some records were sent. No record is missing or logged twice."""
    process = start_python(KILLED, CHECKOUT, tracked.root)
    assert line_of(process.stdout) == "half\n"
    until = time.monotonic() + 60
    while not (tracked.client.get_experiment_by_name("charloom") and any(map(tracked.curve, tracked.runs()))):
        assert time.monotonic() < until
        time.sleep(0.1)
    process.kill()
    process.wait()
    (run,) = tracked.runs()
    assert run.info.status == "RUNNING"
    tracked.train(HISTORY[2:], before=HISTORY[:2])
    tracked.evaluate()
    (again,) = tracked.runs()
    assert again.info.run_id == run.info.run_id
    assert again.info.status == "FINISHED"
    assert [step for step, _ in tracked.curve(again)] == STEPS


def test_a_training_does_not_continue_the_run_of_another_machine(tracked: Tracked) -> None:
    """Two machines may train the same model and share a server."""
    for host in ("another", HOST):
        with track_training(PARAMS, card({"train_key": "same"}, host), []) as listener:
            listener(HISTORY[0])
    assert [run.data.tags["host"] for run in tracked.runs()] == ["another", HOST]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_training_does_not_continue_the_run_of_another_checkout_on_this_machine(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "first"))
    cards = [card({"train_key": "same"}, HOST)]
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "second"))
    cards += [card({"train_key": "same"}, HOST)]
    for each in cards:
        with track_training(PARAMS, each, []) as listener:
            listener(HISTORY[0])
    with track_training(PARAMS, cards[1], HISTORY[:1] if resumed else []) as listener:
        listener(HISTORY[1])
    runs = {run.data.tags["checkout"]: run for run in tracked.runs()}
    assert len(tracked.runs()) == len(runs) == 2
    assert len(tracked.curve(runs[cards[1].tags["checkout"]])) == 2


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_a_silent_server_costs_a_training_the_timeout_and_one_warning(
    root: Path, start_python: Start, silent_port: int, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    if scheme != "http":
        pytest.importorskip("psycopg")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://127.0.0.1:{silent_port}")
    process = start_python(TRAINING, "a", TIMEOUT_S)
    out, err = process.communicate("\n", timeout=120)
    assert process.returncode == 0, err
    assert out.count("warning: MLflow:") == 1
    assert TIMEOUT_S * 0.9 < float(out.split()[-1]) < TIMEOUT_S + SLACK_S


def test_a_silent_server_costs_an_evaluation_the_timeout_and_one_warning(
    root: Path, silent_port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent_port}")
    began = time.monotonic()
    track_evaluation(PARAMS.model_copy(update={"timeout": TIMEOUT_S}), EVALUATED)
    assert time.monotonic() - began < TIMEOUT_S + SLACK_S
    assert capfd.readouterr().out.count("warning: MLflow:") == 1


def test_disabled_tracking_makes_no_store(root: Path) -> None:
    off = PARAMS.model_copy(update={"enabled": False})
    with track_training(off, card(KEYS, "here"), []) as listener:
        listener(HISTORY[0])
        listener.finish(KEYS["model_digest"])
    track_evaluation(off, EVALUATED)
    assert [path.name for path in root.iterdir()] == [".charloom"]  # has the note of where the model was trained


def test_a_deleted_experiment_is_named_with_both_ways_out(tracked: Tracked, capfd: pytest.CaptureFixture[str]) -> None:
    tracked.train()
    experiment = tracked.client.get_experiment_by_name("charloom")
    assert experiment
    tracked.client.delete_experiment(experiment.experiment_id)
    for use in (Store.read, Store.open):
        with pytest.raises(InputError, match=r"charloom was deleted; .*restore -x 1`, or set another tracking.exper"):
            use(PARAMS)
    tracked.evaluate()
    assert "warning: MLflow: the MLflow experiment charloom was deleted" in "".join(capfd.readouterr())
    tracked.client.restore_experiment(experiment.experiment_id)
    tracked.evaluate()
    assert [run.info.status for run in tracked.runs()] == ["FINISHED"]
