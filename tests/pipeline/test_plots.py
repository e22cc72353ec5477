"""`dvc plots` and `dvc metrics` on what the stages wrote, in a git repository as a user has it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import CHECKOUT, UNTRACKED, Ended, Workspace

COMMIT = ("git", "-c", "user.name=nobody", "-c", "user.email=nobody", "commit", "--quiet", "--message", "one")


@pytest.fixture(scope="module")
def repository(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny pipeline with its results committed, then evaluated with samples of another seed."""
    workspace = finished.copy(tmp_path_factory.mktemp("plots") / "repository")
    workspace.begin_git()
    succeeded(workspace.run("git", "add", "dvc.yaml", "dvc.lock", "params.yaml"))
    succeeded(workspace.run(*COMMIT))
    workspace.set(UNTRACKED | {"baselines.ngram_order": 2})
    assert workspace.repro().stages == ["baselines", "evaluate"]
    return workspace


OF_CLASSES = {"Accuracy against other classifiers", "Accuracy by characters read", "Classes taken for one another"}


def succeeded(ended: Ended) -> str:
    assert ended.code == 0, ended.output
    return ended.output


def declared(workspace: Workspace) -> tuple[set[str], set[str]]:
    """The titles of the charts in dvc.yaml, and its pictures."""
    plots = yaml.safe_load((workspace.folder / "dvc.yaml").read_text())["plots"]
    charts = {next(iter(plot)) for plot in plots if isinstance(plot, dict)}
    return charts, {plot for plot in plots if isinstance(plot, str)}


def test_plots_show_draws_every_plot(repository: Workspace) -> None:
    succeeded(repository.run("dvc", "plots", "show", "--out", "shown"))
    page = (repository.folder / "shown" / "index.html").read_text()
    charts, pictures = declared(repository)
    assert charts - {title for title in charts if title in page} == OF_CLASSES  # which have headings alone
    files = {path.name for path in (repository.folder / "shown" / "static").iterdir()}
    assert files == {f"workspace_{picture.replace('/', '_')}" for picture in pictures}
    assert (len(charts), len(pictures)) == (8, 7)
    for cell in ('"this model"', '"World"', '"first letter of a word"', '"valid_bpc"', '"ngram_bits"'):
        assert cell in page


def test_plots_diff_draws_both_versions(repository: Workspace) -> None:
    succeeded(repository.run("dvc", "plots", "diff", "HEAD", "--out", "compared"))
    page = (repository.folder / "compared" / "index.html").read_text()
    assert '"rev": "HEAD"' in page
    assert '"rev": "workspace"' in page
    files = {path.name for path in (repository.folder / "compared" / "static").iterdir()}
    assert {name for name in files if name.endswith("_baselines.png")} == {
        f"{version}_reports_baselines.png" for version in ("HEAD", "workspace")
    }


def test_metrics_show_and_diff_name_the_classes_and_the_baselines(repository: Workspace) -> None:
    shown = succeeded(repository.run("dvc", "metrics", "show"))
    assert {"bpc_by_class.Sci/Tech", "unigram", "2-gram", "PPMd"} <= set(shown.split())
    assert "8-gram" in succeeded(repository.run("dvc", "metrics", "diff", "HEAD"))


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_model_that_is_told_classes_is_measured_as_a_classifier_and_so_are_its_experiments(
    repository: Workspace, tmp_path: Path, charloom: Charloom
) -> None:
    told = repository.copy(tmp_path / "told")
    settings = "model.conditioning=class", "data.labelled_fraction=0.5"
    ended = told.run("dvc", "exp", "run", *(word for setting in settings for word in ("--set-param", setting)))
    assert ended.code == 0, ended.output
    assert ended.stages == ["baselines", "train", "evaluate"]
    measured, others = (
        json.loads((told.folder / f"metrics/{stage}.json").read_text()) for stage in ("evaluate", "baselines")
    )
    assert 0 < measured["accuracy"] == measured["accuracy_after"]["all"] <= 1
    assert {"bpc_true_class", "bpc_mixed", "log_loss", "temperature", "calibration_error"} <= set(measured)
    accuracies = {"this model": measured["accuracy"], **others["accuracy"]}
    assert len(accuracies) == 4
    assert rows(told.folder / "plots/classifiers.csv")[1:] == [[name, str(value)] for name, value in accuracies.items()]
    assert "=== class Sports ===" in (told.folder / "reports/samples.txt").read_text(encoding="utf-8")

    classified = charloom(told, "classify", "data/raw/test.csv", "--json").lines("{")
    predicted = [row[1] for row in rows(told.folder / "plots/confusion.csv")[1:]]
    assert [json.loads(line)["class"] for line in classified] == predicted

    succeeded(told.run("dvc", "plots", "show", "--out", "shown"))
    page = (told.folder / "shown" / "index.html").read_text()
    assert {title for title in declared(told)[0] if title in page} == declared(told)[0]

    succeeded(told.run(sys.executable, str(CHECKOUT / "scripts/label_efficiency.py")))
    heading, *points = rows(told.folder / "docs/label-efficiency.csv")
    assert heading == ["data.labelled_fraction", *accuracies]
    assert points == [["0.5", *map(str, accuracies.values())]]
    assert (told.folder / "docs/images/label-efficiency.png").exists()
