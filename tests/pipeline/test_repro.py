"""Real `dvc repro` runs of the tiny pipeline: which stages run, and that the bytes are the same."""

from __future__ import annotations

import csv
import gzip
import json
import math
import platform
import re
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from charloom.files import flatten
from charloom.model.saved import load_model
from code_deps import DECIDES_NO_OUTPUT, closure
from tests.pipeline.workspace import CHECKOUT, STAGES, UNTRACKED, Ended, Workspace, outs, read_stages

# A change of parameters, and the stages that it runs. test_tracking.py changes parameters of evaluate, test_plots.py of
# baselines.
DOWNSTREAM = {
    "train": ({"train.seed": 2}, ["train", "evaluate"]),
    "model": ({"model.memory": 4}, ["train", "evaluate"]),
    "windows": ({"windows.stride": 16}, ["windows", "baselines", "train", "evaluate"]),
}
GRU: dict[str, object] = {"model.cell": "GRU", "model.layers": 2, "model.dropout": 0.3}
TUTORIAL: dict[str, object] = {
    "model.cell": "RNN",
    "vocab.min_count": 5,
    "windows.scope": "article",
    "windows.stride": 1,
    "train.batching": "shuffled",
    "train.epochs": 0.01,
}
OTHER_HOST = "import platform, socket\nplatform.node = socket.gethostname = lambda: 'another-host'\n"


def test_the_first_repro_runs_every_stage_and_writes_every_out(first: tuple[Workspace, Ended]) -> None:
    workspace, ended = first
    assert tuple(ended.stages) == STAGES
    assert "warning" not in ended.output
    declared = {out for stage in read_stages(workspace.folder).values() for out in outs(stage)}
    assert set(workspace.recorded()) == declared
    assert all((workspace.folder / out).exists() for out in declared)
    for stage in STAGES:
        details = json.loads((workspace.folder / "details" / f"{stage}.json").read_text())
        assert details
        assert all(isinstance(value, int | float) for value in flatten(details).values())


def test_a_second_repro_runs_nothing(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "again")
    assert workspace.repro().stages == []
    assert workspace.recorded() == finished.recorded()


@pytest.mark.parametrize("section", DOWNSTREAM)
def test_a_change_runs_only_the_stages_that_depend_on_it_and_undoing_it_runs_none(
    finished: Workspace, tmp_path: Path, section: str
) -> None:
    change, expected = DOWNSTREAM[section]
    workspace = finished.copy(tmp_path / "changed")
    params = workspace.folder / "params.yaml"
    before = params.read_text()
    workspace.set(UNTRACKED | change)
    assert workspace.repro().stages == expected
    assert workspace.recorded() != finished.recorded()
    params.write_text(before)
    assert workspace.repro().stages == []  # taken from the run cache
    assert workspace.recorded() == finished.recorded()


def test_a_bad_parameter_ends_the_stage_with_one_line_and_changes_nothing(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "bad")
    workspace.set(UNTRACKED | {"windows.length": 0})
    ended = workspace.run("dvc", "repro")
    assert ended.code != 0
    assert ended.stages == ["windows"]
    (line,) = ended.lines("error:")
    assert "windows.length = 0" in line
    assert "Traceback" not in ended.output
    assert workspace.recorded() == finished.recorded()


def test_another_folder_another_host_and_no_tracker_give_the_same_bytes(
    finished: Workspace, tmp_path: Path, closed_port: int
) -> None:
    tracker = f"http://127.0.0.1:{closed_port}"
    workspace = finished.copy(tmp_path / "a folder é", results=False, MLFLOW_TRACKING_URI=tracker)
    (workspace.folder / "src" / "sitecustomize.py").write_text(OTHER_HOST)  # Python imports it at its start
    ended = workspace.repro()
    assert tuple(ended.stages) == STAGES
    assert len(ended.lines("warning: MLflow:")) == 2  # one for each tracked stage
    assert "Traceback" not in ended.output
    assert workspace.recorded() == finished.recorded()
    assert workspace.digests("train") == finished.digests("train")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_needs_only_its_deps_and_gives_the_same_bytes_untracked(
    finished: Workspace, tmp_path: Path, stage: str
) -> None:
    workspace = Workspace(tmp_path / "alone")
    workspace.folder.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(finished.folder / name, workspace.folder / name)
    workspace.set(UNTRACKED)
    for dep in {*read_stages(workspace.folder)[stage]["deps"], *code_that_decides_no_output()}:
        source, target = finished.folder / dep, workspace.folder / dep
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    workspace.run_script(stage)
    assert workspace.digests(stage) == finished.digests(stage)


@pytest.mark.parametrize(("stage", "split"), [("baselines", "train"), ("train", "train"), ("evaluate", "test")])
def test_an_id_outside_the_vocabulary_ends_the_stage_that_reads_it_with_one_line(
    finished: Workspace, tmp_path: Path, stage: str, split: str
) -> None:
    workspace = finished.copy(tmp_path / "damaged")
    workspace.set(UNTRACKED)
    path = workspace.folder / "data" / "windows" / split / "codes.npy"
    codes = np.load(path)
    codes[len(codes) // 2] = 255
    np.save(path, codes)
    done = workspace.run("sh", "-c", read_stages(workspace.folder)[stage]["cmd"])
    assert done.code == 2
    assert done.lines("error: ") == [done.output.splitlines()[-1]]
    assert f"data/windows/{split}: contains the id 255, but the vocabulary has only" in done.output
    assert "Traceback" not in done.output


def code_that_decides_no_output() -> set[str]:
    """The code that dvc.yaml leaves out on purpose, and what it imports. The scripts of the stages import it."""
    named = [CHECKOUT / name for name in DECIDES_NO_OUTPUT]
    files = [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return {file.relative_to(CHECKOUT).as_posix() for each in files for file in closure(each)}


def test_no_out_contains_a_path_a_host_or_a_date(finished: Workspace) -> None:
    today = datetime.now(UTC)
    words = [str(finished.folder), finished.folder.name, today.strftime("%Y-%m-%d"), today.strftime("%Y/%m/%d")]
    if len(platform.node()) > 5:  # a shorter name could be part of another word
        words.append(platform.node())
    for stage in STAGES:
        for name in finished.digests(stage):
            content = (finished.folder / name).read_bytes()
            assert not [word for word in words if word.encode() in content], name


def test_a_users_corpus_is_read_again_after_it_changed(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "own", results=False)
    workspace.set({"data.source": "corpora/mine"})
    mine = workspace.folder / "corpora" / "mine"
    mine.mkdir()
    for name in ("train.csv", "test.csv"):
        shutil.copyfile(finished.folder / "data" / "raw" / name, mine / name)
    assert workspace.repro("vocab").stages == ["download", "vocab"]
    assert workspace.recorded()["data/vocab.json"] == finished.recorded()["data/vocab.json"]
    with (mine / "train.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerow((1, "Ω", "a character that the sample lacks"))
    assert workspace.repro("vocab").stages == ["download", "vocab"]
    assert "Ω" in (workspace.folder / "data" / "vocab.json").read_text(encoding="utf-8")


def test_a_corpus_imported_by_dvc_is_a_dependency(finished: Workspace, tmp_path: Path) -> None:
    workspace, there = finished.copy(tmp_path / "imported", results=False), tmp_path / "there.txt"
    workspace.begin_git()
    workspace.set({"data.source": "corpora/mine.txt"})
    there.write_text("\n\n".join(f"article {number}" for number in range(40)))
    imported = workspace.run("dvc", "import-url", str(there), "corpora/mine.txt")
    assert imported.code == 0, imported.output
    done = workspace.repro("download")
    assert done.stages == ["download"]
    assert "'corpora/mine.txt.dvc' didn't change" in done.output
    assert "corpora/mine.txt.dvc" in workspace.run("git", "status", "--short", "--untracked-files").output


def test_a_gru_learns_from_a_text_file_without_classes(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "text", results=False)
    workspace.set(
        UNTRACKED | GRU | {"data.source": "corpora/mine.txt.gz", "vocab.max_size": 40, "data.normalize": "NFC"}
    )
    with (finished.folder / "data" / "raw" / "train.csv").open(encoding="utf-8", newline="") as file:
        text = "\n\n".join(f"cafe\u0301 {row[2]}" for row in csv.reader(file))
    (workspace.folder / "corpora" / "mine.txt.gz").write_bytes(gzip.compress(text.encode()))
    workspace.repro()
    assert_learned(workspace, nn.GRU)
    with (workspace.folder / "plots" / "by_class.csv").open(encoding="utf-8") as table:
        assert [row["class"] for row in csv.DictReader(table)] == ["all"]
    assert json.loads((workspace.folder / "details" / "vocab.json").read_text())["symbols"] == 42
    assert "caf\u00e9" in (workspace.folder / "data" / "raw" / "train.csv").read_text(encoding="utf-8")
    model = json.loads((workspace.folder / "models" / "charloom" / "model.json").read_text(encoding="utf-8"))
    assert model["vocabulary"]["normalize"] == "NFC"


def test_an_rnn_learns_from_the_tutorials_overlapping_windows(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "tutorial")
    workspace.set(UNTRACKED | TUTORIAL)
    for stage in ("vocab", "windows", "train"):
        workspace.run_script(stage)
    assert_learned(workspace, nn.RNN)


def assert_learned(workspace: Workspace, cell: type[nn.RNNBase]) -> None:
    """Assert that the model has this cell, and predicts better than a uniform distribution."""
    trained, vocab = (
        json.loads((workspace.folder / "details" / f"{stage}.json").read_text()) for stage in ("train", "vocab")
    )
    assert trained["best_valid_bpc"] < math.log2(vocab["symbols"])
    assert isinstance(load_model(workspace.folder / "models/charloom").model.rnn[0], cell)


def test_a_training_that_is_stopped_and_resumed_is_one_run_with_a_complete_curve(
    finished: Workspace, tmp_path: Path, store: str
) -> None:
    from mlflow import MlflowClient

    workspace = finished.copy(tmp_path / "stopped", MLFLOW_TRACKING_URI=store)
    workspace.set({"train.epochs": 1.5, "tracking.experiment": "stopped"})
    with workspace.start_script("train") as process:
        assert process.stdout
        next(line for line in process.stdout if re.match(r"step \d+/", line))
        process.send_signal(signal.SIGTERM)
        assert "error: stopped at step" in process.stdout.read()
    assert process.returncode == 1

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("stopped")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    stopped_at = max(point.step for point in client.get_metric_history(run.info.run_id, "train/bpc"))

    printed = re.findall(r"^step (\d+)/", workspace.run_script("train").output, re.MULTILINE)
    assert int(printed[0]) > stopped_at
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    with (workspace.folder / "plots" / "history.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert stopped_at < steps[-1]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/bpc")] == steps


def test_a_repro_makes_one_finished_run(finished: Workspace, store: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("charloom")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    scores = json.loads((finished.folder / "details/evaluate.json").read_text())
    assert run.data.metrics["test/bpc"] == scores["bpc"]
    assert run.data.tags["model_digest"] == finished.digests("train")["models/charloom/model.safetensors"]
