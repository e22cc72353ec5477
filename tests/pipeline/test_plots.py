"""`dvc plots` in a git repository like a user's, for an unconditioned and for a conditioned model."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import yaml

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.evaluation.samples import read_samples
from charloom.model.saved import load_model
from charloom.params import corpus_form
from charloom.params_file import load_params
from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import CHECKOUT, GIT, UNTRACKED, Ended, Workspace, commit


@pytest.fixture(scope="module")
def repository(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny pipeline with its results committed, then run again with shorter n-grams."""
    workspace = finished.copy(tmp_path_factory.mktemp("plots") / "repository")
    workspace.begin_git()
    commit(workspace)
    workspace.set(UNTRACKED | {"baselines.ngram_order": 2})
    assert workspace.repro().stages == ["baselines", "evaluate"]
    return workspace


# For an unconditioned model, the tables of these charts contain only a header line.
ABOUT_CLASSES = {"Accuracy against other classifiers", "Accuracy by characters read", "Actual and predicted classes"}


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
    assert charts - {title for title in charts if title in page} == ABOUT_CLASSES
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


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def conditioned(repository: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The repository after an experiment with a conditioned model."""
    workspace = repository.copy(tmp_path_factory.mktemp("conditioned") / "repository")
    settings = "model.conditioning=class", "data.labelled_fraction=0.5"
    ended = workspace.run("dvc", "exp", "run", *(word for setting in settings for word in ("--set-param", setting)))
    assert ended.code == 0, ended.output
    assert ended.stages == ["baselines", "train", "evaluate"]
    return workspace


def accuracies(workspace: Workspace) -> dict[str, float]:
    """The accuracy of the model and of the other classifiers, as the stages measured them."""
    ours, others = (
        json.loads((workspace.folder / f"details/{stage}.json").read_text()) for stage in ("evaluate", "baselines")
    )
    return {"this model": ours["accuracy"], **others["accuracy"]}


def test_a_conditioned_model_is_measured_as_a_classifier(conditioned: Workspace) -> None:
    measured = json.loads((conditioned.folder / "details/evaluate.json").read_text())
    assert 0 < measured["accuracy"] == measured["accuracy_after"]["all"] <= 1
    assert {"bpc_true_class", "bpc_mixed", "log_loss", "temperature", "calibration_error"} <= set(measured)
    table = rows(conditioned.folder / "plots/classifiers.csv")[1:]
    assert [row[:2] for row in table] == [[name, str(accuracy)] for name, accuracy in accuracies(conditioned).items()]
    assert len(table) == 4


def test_a_conditioned_model_writes_samples_for_each_class(conditioned: Workspace) -> None:
    assert "=== class Sports ===" in (conditioned.folder / "reports/samples.txt").read_text(encoding="utf-8")
    classes = [group.class_name for group in read_samples(conditioned.folder / "reports/samples.json")]
    assert [name for name in classes if name] == list(AG_NEWS_CLASSES)


def test_classify_finds_the_classes_that_evaluate_found(conditioned: Workspace, charloom: Charloom) -> None:
    lines = charloom(conditioned, "classify", "data/raw/test.csv", "--json").lines("{")
    *classified, total = map(json.loads, lines)
    predicted = [row[1] for row in rows(conditioned.folder / "plots/confusion.csv")[1:]]
    assert [each["class"] for each in classified] == predicted
    assert total["accuracy"] == pytest.approx(accuracies(conditioned)["this model"], abs=1e-6)


def test_the_model_states_how_its_corpus_was_read(conditioned: Workspace) -> None:
    form = load_model(conditioned.folder / "models/charloom").corpus_form
    assert form == corpus_form(load_params(conditioned.folder / "params.yaml"))


def test_plots_show_draws_the_charts_about_classes_too(conditioned: Workspace) -> None:
    succeeded(conditioned.run("dvc", "plots", "show", "--out", "shown"))
    page = (conditioned.folder / "shown" / "index.html").read_text()
    assert {title for title in declared(conditioned)[0] if title in page} == declared(conditioned)[0]


def test_label_efficiency_is_drawn_from_the_experiments(conditioned: Workspace) -> None:
    succeeded(conditioned.run(sys.executable, str(CHECKOUT / "scripts/label_efficiency.py")))
    header, *points = rows(conditioned.folder / "docs/label-efficiency.csv")
    assert header == ["data.labelled_fraction", *accuracies(conditioned)]
    assert points == [["0.5", *map(str, accuracies(conditioned).values())]]
    assert (conditioned.folder / "docs/images/label-efficiency.png").exists()


def test_label_efficiency_in_a_clone_without_results_is_one_line_of_error(tmp_path: Path) -> None:
    clone = Workspace(tmp_path / "clone")
    clone.make()
    clone.begin_git()
    succeeded(clone.run("git", "add", ".dvc/config", "dvc.yaml", "params.yaml"))
    succeeded(clone.run(*GIT, "commit", "--quiet", "--message", "no results"))
    ended = clone.run(sys.executable, str(CHECKOUT / "scripts/label_efficiency.py"))
    assert ended.code == 2
    assert [line for line in ended.output.splitlines() if line] == ended.lines("error: no experiment of this commit")
