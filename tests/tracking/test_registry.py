"""Ranking models in MLflow, naming the best one, and using a model from MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from charloom.cli import charloom
from charloom.errors import InputError, RunError
from charloom.files import file_digest, write_json
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.tracking.registry import fetch_model, promote
from tests.learning import save_small_model
from tests.tracking.tracked import DETAILS, HISTORY, KEYS, PARAMS, WORDS, Tracked, card, with_params


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/models"


def evaluated(tracked: Tracked, bpc: float, **keys: Any) -> str:
    """The id of the run of an evaluation with this result."""
    write_json(tracked.workspace / "details/evaluate.json", {**DETAILS["evaluate"], "bpc": bpc})
    tracked.evaluate(**keys)
    return str(tracked.runs()[-1].info.run_id)


def three_models(tracked: Tracked) -> list[str]:
    names = {2.25: "a", 1.75: "b", 2.0: "c"}
    return [evaluated(tracked, bpc, train_key=name * 64, evaluate_key=name * 64) for bpc, name in names.items()]


def test_mlflow_ranks_the_models_by_their_numbers_on_the_test_split(tracked: Tracked) -> None:
    runs = three_models(tracked)
    [experiment] = {run.info.experiment_id for run in tracked.runs()}
    order = [{"field_name": "metrics.test/bpc", "ascending": True}]
    found = tracked.client.search_logged_models([experiment], order_by=order)
    assert [model.source_run_id for model in found] == [runs[1], runs[2], runs[0]]
    metrics = {each.key: each for each in found[0].metrics or []}
    assert metrics["test/bpc"].value == 1.75
    assert {each.dataset_digest for each in metrics.values()} == {"test" * 4}
    assert {each.dataset_name for each in metrics.values()} == {"sample/test.csv"}
    assert all(name.startswith("test/") for name in metrics)
    assert tracked.measured(tracked.runs()[0])["vocab/symbols"] == 82


def test_a_promoted_model_has_the_alias_and_says_what_it_replaced(tracked: Tracked) -> None:
    first, second, _ = three_models(tracked)
    said = promote(PARAMS, first[:12], "best", other_data=False)
    assert said.startswith("models:/charloom@best is now version 1: LSTM-256x1 sample (")
    assert said.endswith("2.2500 bits per character)")
    said = promote(PARAMS, second, "best", other_data=False)
    assert "is now version 2: " in said
    assert f"; before, it was version 1: LSTM-256x1 sample ({first[:8]}, 2.2500 bits per character)" in said
    assert "version 1: " in promote(PARAMS, first, "best", other_data=False)  # no third version
    assert tracked.client.get_model_version_by_alias("charloom", "best").run_id == first
    outputs = tracked.client.get_run(first).outputs
    assert outputs
    (output,) = outputs.model_outputs
    shown = tracked.client.get_logged_model(output.model_id).tags["mlflow.modelVersions"]
    assert json.loads(shown) == [{"name": "charloom", "version": 1}]


def test_a_model_tested_on_other_data_is_promoted_only_on_demand(tracked: Tracked) -> None:
    first = evaluated(tracked, 2.0)
    promote(PARAMS, first, "best", other_data=False)
    keys = {**KEYS, "train_key": "o" * 64, "evaluate_key": "o" * 64}
    stated = card(keys, "a machine")
    stated = replace(stated, datasets=[replace(each, digest="other") for each in stated.datasets])
    track_evaluation(PARAMS, Evaluated(stated, HISTORY, lambda: WORDS, tracked.workspace))
    other = tracked.runs()[-1].info.run_id
    with pytest.raises(InputError, match=r"was tested on other data than .*add --other-data"):
        promote(PARAMS, other, "best", other_data=False)
    assert "is now version 2" in promote(PARAMS, other, "best", other_data=True)


def test_a_run_without_a_model_is_an_error(tracked: Tracked) -> None:
    tracked.train(ends=False)
    [run] = tracked.runs()
    for use in (
        lambda: promote(PARAMS, run.info.run_id, "best", other_data=False),
        lambda: fetch_model(PARAMS, run.info.run_id),
    ):
        with pytest.raises(InputError, match=r"has no (logged )?model; `charloom publish` adds it"):
            use()


@pytest.mark.parametrize("model", ["runs:/nothing", "models:/charloom@best", "models:/charloom/7", "models:/x", "none"])
def test_an_unknown_model_is_an_error(tracked: Tracked, model: str) -> None:
    evaluated(tracked, 2.0)
    with pytest.raises(InputError, match=r"no such (run|model) in sqlite:///.*`charloom (runs|promote RUN)`"):
        fetch_model(PARAMS, model)
    with pytest.raises(InputError, match="no such"):
        fetch_model(with_params(tracked, experiment="other").params, model)


def real_run(tracked: Tracked, tmp_path: Path) -> str:
    """A run with a model that can be loaded."""
    folder = save_small_model(tracked.workspace / "models/charloom", tmp_path / "windows", memory=2)
    return evaluated(tracked, 2.0, model_digest=file_digest(folder / "model.safetensors"))


def test_a_model_is_fetched_once_by_name_id_and_address(tracked: Tracked, cache: Path, tmp_path: Path) -> None:
    run = real_run(tracked, tmp_path)
    promote(PARAMS, run, "best", other_data=False)
    addresses = [
        "LSTM-256x1 sample",
        run[:9],
        f"runs:/{run}",
        f"runs:/{run}/charloom",
        "models:/charloom@best",
        "models:/charloom/1",
    ]
    [folder] = {fetch_model(PARAMS, address) for address in addresses}
    assert folder.parent == cache
    for name in ("model.safetensors", "model.json"):
        assert (folder / name).read_bytes() == (tracked.workspace / "models/charloom" / name).read_bytes()
    assert sorted(path.name for path in cache.iterdir()) == [folder.name, f"{folder.name}.lock", f"{folder.name}.pid"]


def test_a_model_that_somebody_changed_in_mlflow_is_refused(tracked: Tracked, cache: Path, tmp_path: Path) -> None:
    run = real_run(tracked, tmp_path)
    (tracked.root / "mlartifacts" / run / "artifacts/models/charloom/model.safetensors").write_bytes(b"changed")
    with pytest.raises(InputError, match="the weights in MLflow are not those that the run's tags state"):
        fetch_model(PARAMS, run)
    assert sorted(path.suffix for path in cache.iterdir()) == [".lock", ".pid"]


def test_a_cache_that_cannot_be_used_is_an_error_that_names_charloom_cache(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path / "file"))
    with pytest.raises(RunError, match=r"cannot use the cache folder .*/file/models: .*set CHARLOOM_CACHE to another"):
        fetch_model(PARAMS, evaluated(tracked, 2.0, model_digest="a" * 64))


def test_the_commands_use_a_model_in_mlflow(
    tracked: Tracked, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_run(tracked, tmp_path)
    settings = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
    (tracked.workspace / "params.yaml").write_text(settings, encoding="utf-8")
    text = tmp_path / "text"
    text.write_text("Stocks rise\n")
    runner = CliRunner()
    done = runner.invoke(charloom, ["promote", "LSTM-256x1 sample"])
    assert (done.exit_code, done.output[:42]) == (0, "models:/charloom@best is now version 1: LS")
    local = runner.invoke(charloom, ["score", str(text), "--json"])
    there = runner.invoke(charloom, ["score", str(text), "--json", "--model", "models:/charloom@best"])
    assert json.loads(there.stdout) == json.loads(local.stdout)
    assert cache.exists()
