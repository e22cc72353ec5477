"""`dvc metrics`, `dvc exp show` and `dvc artifacts` in a git repository like a user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipeline.workspace import GIT, UNTRACKED, Workspace, commit

WIDEST = 120  # columns of a terminal
# How many numbers of an unconditioned model are in each file.
NUMBERS = {"metrics/train.json": 2, "metrics/baselines.json": 2, "metrics/evaluate.json": 2}
# dvc.yaml recommends this command, because DVC adds a wide column of hashes for each dependency that changed.
EXPERIMENTS = "exp", "show", "--only-changed", "--drop", ".*/|corpora|Created"


@pytest.fixture(scope="module")
def repository(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny pipeline with its results committed, and an experiment with a conditioned model."""
    workspace = finished.copy(tmp_path_factory.mktemp("metrics") / "repository")
    workspace.set(UNTRACKED)
    workspace.begin_git()
    commit(workspace)
    dvc(workspace, "exp", "run", "--name", "wide-name", "--set-param", "model.conditioning=class")
    return workspace


def dvc(workspace: Workspace, *command: str) -> str:
    """The output of a dvc command, which must succeed."""
    ended = workspace.run("dvc", *command)
    assert ended.code == 0, ended.output
    return ended.output


def width(table: str) -> int:
    return max(len(line.rstrip()) for line in table.splitlines())


def numbers(workspace: Workspace) -> dict[str, dict[str, float]]:
    """The metrics by file, as `dvc metrics show` prints them."""
    files = json.loads(dvc(workspace, "metrics", "show", "--json"))[""]["data"]
    return {name: file["data"] for name, file in files.items()}


def test_there_are_few_metrics_and_each_name_says_what_it_measures(finished: Workspace, repository: Workspace) -> None:
    assert {name: len(metrics) for name, metrics in numbers(finished).items()} == NUMBERS
    names = [name for metrics in numbers(repository).values() for name in metrics]
    # If no name is repeated, DVC does not add the path of the file to it, and `--drop .*/` keeps the column.
    assert sorted(names) == sorted(
        ["valid_bpc", "train_bpc", "ngram_bpc", "ppmd_bpc", "test_bpc", "test_perplexity", "accuracy"]
    )


def test_metrics_equal_the_numbers_in_details(repository: Workspace) -> None:
    details = {
        stage: json.loads((repository.folder / f"details/{stage}.json").read_text())
        for stage in ("baselines", "evaluate", "train")
    }
    metrics = numbers(repository)
    assert metrics["metrics/evaluate.json"] == {
        "test_bpc": details["evaluate"]["bpc"],
        "test_perplexity": details["evaluate"]["perplexity"],
        "accuracy": details["evaluate"]["accuracy"],
    }
    assert metrics["metrics/train.json"] == {
        "valid_bpc": details["train"]["best_valid_bpc"],
        "train_bpc": details["train"]["final_bpc"],
    }
    assert metrics["metrics/baselines.json"] == {
        "ngram_bpc": details["baselines"]["8-gram"],
        "ppmd_bpc": details["baselines"]["PPMd"],
    }


@pytest.mark.parametrize(
    ("command", "columns"),
    [
        (("metrics", "show"), ["ngram_bpc", "ppmd_bpc", "test_bpc", "test_perplexity", "accuracy"]),
        (("metrics", "diff"), ["Metric", "HEAD", "workspace"]),
        (EXPERIMENTS, ["[wide-name]", "test_bpc", "test_perplexity", "accuracy", "model.conditioning"]),
    ],
)
def test_the_tables_of_a_conditioned_model_fit_on_a_terminal(
    repository: Workspace, command: tuple[str, ...], columns: list[str]
) -> None:
    table = dvc(repository, *command)
    assert width(table) <= WIDEST
    assert [name for name in columns if name not in table] == []


def test_the_model_is_an_artifact_of_each_tagged_version(repository: Workspace, tmp_path: Path) -> None:
    url, reader = str(repository.folder), Workspace(tmp_path / "reader")
    refused = reader.run("dvc", "artifacts", "get", url, "charloom")
    assert refused.code != 0
    assert "Unable to find artifact 'charloom'" in refused.output
    tagged = repository.run(*GIT, "tag", "--annotate", "charloom@v1.0.0", "--message", "First version")
    assert tagged.code == 0, tagged.output
    dvc(reader, "artifacts", "get", url, "charloom")
    committed = json.loads((reader.folder / "charloom/model.json").read_text(encoding="utf-8"))
    assert committed["model"]["conditioning"] == "none"  # the tag names the commit, not the experiment
    assert (reader.folder / "charloom/model.safetensors").exists()
