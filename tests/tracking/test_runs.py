"""Which runs a real SQLite store has after trainings and evaluations: one for each train_key and evaluate_key."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from charloom.tracking.store import BATCH
from tests.tracking.tracked import ARTEFACTS, CLASSES, HISTORY, HOST, KEYS, STEPS, Tracked, card, record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# The name of a class in the name of a metric, with only the characters that MLflow allows → the name of the class
NAMED = {"Sports": "Sports", "Sci_Tech": "Sci/Tech", "____b_é": "../<b>é"}


def test_train_then_evaluate_is_one_complete_run(tracked: Tracked) -> None:
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "LSTM-256x1 sample"
    assert run.data.params == {"model.cell": "LSTM", "train.seed": "1", "evaluate.seed": "1"}
    assert run.data.tags.items() >= card(KEYS, HOST).tags.items()
    assert tracked.curve(run) == [(each.step, each.bpc) for each in HISTORY]
    assert tracked.curve(run, "valid/bpc") == [(step, 3.5) for step in STEPS if step % 10 == 0]
    scores = {"test/bpc": 2.25, "test/perplexity": 4.5, "test/bpc_by_class/Sci_Tech": 2.5, "vocab/symbols": 82.0}
    assert run.data.metrics.items() >= scores.items()
    by_class = {name: value for name, value in run.data.metrics.items() if "class" in name}
    assert by_class == {f"test/bpc_by_class/{name}": CLASSES[key] for name, key in NAMED.items()}
    assert tracked.artefacts(run) == ARTEFACTS
    assert {"throughput/chars_per_s", "system/cpu_utilization_percentage"} <= run.data.metrics.keys()
    assert "2.2500 bits per character" in run.data.tags["mlflow.note.content"]
    assert "    several words of a sample" in run.data.tags["mlflow.note.content"]
    assert run.inputs
    inputs = {(each.dataset.name, each.dataset.digest, each.tags[0].value) for each in run.inputs.dataset_inputs}
    assert inputs == {("sample/train.csv", "train" * 4, "train"), ("sample/test.csv", "test" * 4, "test")}


def test_a_workspace_made_before_details_existed_is_published_from_its_metrics(tracked: Tracked) -> None:
    """The stages of an older charloom wrote all their numbers to metrics/, and the samples only as text."""
    shutil.rmtree(tracked.workspace / "metrics")
    (tracked.workspace / "details").rename(tracked.workspace / "metrics")
    for name in ("samples.json", "training_samples.json"):
        (tracked.workspace / "reports" / name).unlink()
    tracked.train()
    tracked.evaluate()
    (run,) = tracked.runs()
    measured = {"test/bpc": 2.25, "test/perplexity": 4.5, "test/bpc_by_class/Sci_Tech": 2.5, "vocab/symbols": 82.0}
    assert run.data.metrics.items() >= measured.items()
    assert run.data.tags["mlflow.note.content"].startswith("**LSTM, 1 layer of 256 units**: 2.2500 bits per character")
    assert "samples" not in run.data.tags["mlflow.note.content"]


def test_the_run_of_a_training_is_finished_and_states_no_evaluation(tracked: Tracked) -> None:
    tracked.train()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert "evaluate_key" not in run.data.tags
    assert "evaluate.seed" not in run.data.params  # the evaluation may have other values


def test_an_evaluation_adds_its_params_to_the_run_of_the_training(tracked: Tracked) -> None:
    tracked.train()
    tracked.evaluate("f" * 64, seed=7)
    (run,) = tracked.runs()
    assert run.data.params["evaluate.seed"] == "7"
    assert run.data.tags["evaluate_key"] == "f" * 64
    assert run.data.tags["host"] == HOST


def test_another_evaluation_makes_a_second_run_from_the_files(tracked: Tracked) -> None:
    tracked.train()
    tracked.evaluate()
    tracked.evaluate("f" * 64, seed=7)
    first, second = tracked.runs()
    assert (first.data.params["evaluate.seed"], second.data.params["evaluate.seed"]) == ("1", "7")
    assert second.info.status == "FINISHED"
    assert tracked.curve(second) == tracked.curve(first)
    assert tracked.artefacts(second) == tracked.artefacts(first)
    assert tracked.measured(second) == tracked.measured(first)


def samples_of(tracked: Tracked) -> dict[str, str]:
    """The names and the texts of the samples that the only run has."""
    (run,) = tracked.runs()
    names = sorted(tracked.artefacts(run, "samples"))
    texts = {name: tracked.client.download_artifacts(run.info.run_id, name) for name in names}
    return {name.removeprefix("samples/step-"): Path(path).read_text() for name, path in texts.items()}


def test_a_running_training_sends_its_milestones_and_then_its_last_sample(tracked: Tracked) -> None:
    tracked.train(HISTORY[:6], ends=False)
    assert list(samples_of(tracked)) == ["00000000.txt", "00000010.txt", "00000020.txt"]  # 30 is not twice 20
    tracked.train(HISTORY[6:], before=HISTORY[:6])
    assert samples_of(tracked) == {
        "00000000.txt": "0 characters read\n\n\\x1b 0\n",
        **{
            f"000000{step}.txt": f"{step},000 characters read, 3.500 bits per character\n\n\\x1b {step}\n"
            for step in (10, 20, 40, 50)
        },
    }


def test_if_artefacts_cannot_be_stored_the_curve_is_still_sent(
    tracked: Tracked, capfd: pytest.CaptureFixture[str]
) -> None:
    (tracked.root / "mlartifacts").write_text("a file in the place of the folder")
    tracked.train()
    assert capfd.readouterr().out.count("warning: MLflow:") == 1
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert [step for step, _ in tracked.curve(run)] == STEPS
    (tracked.root / "mlartifacts").unlink()
    tracked.evaluate()
    assert tracked.artefacts(tracked.runs()[0]) == ARTEFACTS


@pytest.mark.parametrize("keys", [["e" * 64], ["e" * 64, "f" * 64]], ids=["one", "two"])
def test_repeating_the_same_evaluations_adds_nothing(tracked: Tracked, keys: list[str]) -> None:
    tracked.train()
    for key in keys:
        tracked.evaluate(key)
    before = [run.to_dictionary() for run in tracked.runs()]
    for key in keys:
        tracked.evaluate(key)
    assert [run.to_dictionary() for run in tracked.runs()] == before


def test_an_evaluation_makes_a_run_if_its_training_has_none(tracked: Tracked) -> None:
    """The model came from DVC's cache to a fresh clone, or the tracker was down during the training."""
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert run.data.tags.items() >= KEYS.items()
    assert [step for step, _ in tracked.curve(run)] == STEPS


def test_an_equal_model_of_another_training_has_another_run(tracked: Tracked) -> None:
    """A change of train.log_every gives the same model bytes, but another history and another train_key."""
    tracked.train()
    tracked.evaluate()
    tracked.evaluate(train_key="u" * 64)
    assert [run.data.tags["train_key"][0] for run in tracked.runs()] == ["t", "u"]


@pytest.mark.parametrize("failing", ["log_artifact", "set_terminated", "log_batch", "log_inputs"])
def test_the_next_evaluation_completes_one_that_was_interrupted(
    tracked: Tracked, failing: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError("interrupted")

    with monkeypatch.context() as patch:
        patch.setattr(f"mlflow.MlflowClient.{failing}", fail)
        tracked.evaluate()
    assert capfd.readouterr().out.count("warning: MLflow: interrupted; no result is lost; to send the results") == 1
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.inputs
    assert len(run.inputs.dataset_inputs) == 2
    assert run.info.status == "FINISHED"
    assert run.data.tags["evaluate_key"] == KEYS["evaluate_key"]
    assert [step for step, _ in tracked.curve(run)] == STEPS
    assert tracked.curve(run, "test/bpc") == [(0, 2.25)]
    assert tracked.artefacts(run) == ARTEFACTS


@pytest.mark.parametrize("checkpoint", [0, 2, 4], ids=["none", "older", "latest"])
def test_a_resumed_training_is_one_run_without_missing_or_double_records(tracked: Tracked, checkpoint: int) -> None:
    """The training was killed after four records. The last checkpoint has none, two or all four of the records."""
    tracked.train(HISTORY[:4], ends=False)
    (run,) = tracked.runs()
    assert run.info.status == "FAILED"
    tracked.train(HISTORY[checkpoint:], before=HISTORY[:checkpoint])
    tracked.evaluate()
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert "rerun_of" not in run.data.tags
    assert tracked.curve(run) == [(each.step, each.bpc) for each in HISTORY]


def test_a_resumed_training_sends_records_that_were_never_sent(tracked: Tracked) -> None:
    tracked.train(HISTORY[6:], before=HISTORY[:6])
    (run,) = tracked.runs()
    assert [step for step, _ in tracked.curve(run)] == STEPS


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_finished_training_that_dvc_did_not_record_makes_no_second_run(tracked: Tracked, evaluated: bool) -> None:
    """dvc was killed after the training ended. The next `dvc repro` finds the last checkpoint and ends at once."""
    tracked.train()
    if evaluated:
        tracked.evaluate()
    before = [run.to_dictionary() for run in tracked.runs()]
    tracked.train([], before=HISTORY)
    assert [run.to_dictionary() for run in tracked.runs()] == before


def test_a_training_that_is_forced_to_run_again_has_a_second_complete_run(tracked: Tracked) -> None:
    for _ in range(2):
        tracked.train()
        tracked.evaluate()
    first, second = tracked.runs()
    assert "rerun_of" not in first.data.tags
    assert second.data.tags["rerun_of"] == first.info.run_id
    assert second.data.tags["evaluate_key"] == KEYS["evaluate_key"]
    assert tracked.measured(second) == tracked.measured(first)


def test_a_history_larger_than_one_call_to_mlflow_is_sent_completely(tracked: Tracked) -> None:
    history = [record(step) for step in range(1, BATCH)]
    tracked.train(history)
    (run,) = tracked.runs()
    assert [step for step, _ in tracked.curve(run, "valid/bpc")] == list(range(10, BATCH, 10))
    assert [step for step, _ in tracked.curve(run)] == list(range(1, BATCH))


def test_if_the_tracker_fails_every_logged_step_has_all_of_its_metrics(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    log_batch, calls = MlflowClient.log_batch, 0

    def dies(client: MlflowClient, run_id: str, metrics: Sequence[Metric] = (), **options: Any) -> None:
        nonlocal calls
        calls += bool(metrics)
        if calls > 1:
            raise OSError("died")
        log_batch(client, run_id, metrics, **options)

    history = [record(step * 10) for step in range(1, BATCH)]
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", dies)
        tracked.train(history)
    assert capfd.readouterr().out.count("warning: MLflow: died") == 1
    (run,) = tracked.runs()
    sent = [step for step, _ in tracked.curve(run)]
    assert 0 < len(sent) < len(history)
    assert [step for step, _ in tracked.curve(run, "train/epoch")] == sent
    assert [step for step, _ in tracked.curve(run, "valid/bpc")] == sent
