"""`dvc plots` and `dvc metrics` on what the stages wrote, in a git repository as a user has it."""

from __future__ import annotations

import pytest
import yaml

from tests.pipeline.workspace import UNTRACKED, Ended, Workspace

COMMIT = ("git", "-c", "user.name=nobody", "-c", "user.email=nobody", "commit", "--quiet", "--message", "one")


@pytest.fixture(scope="module")
def repository(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny pipeline with its results committed, then evaluated with samples of another seed."""
    workspace = finished.copy(tmp_path_factory.mktemp("plots") / "repository")
    config = workspace.folder / ".dvc" / "config"
    config.write_text(config.read_text().replace("no_scm = true", ""))
    succeeded(workspace.run("git", "init", "--quiet"))
    succeeded(workspace.run("git", "add", "dvc.yaml", "dvc.lock", "params.yaml"))
    succeeded(workspace.run(*COMMIT))
    workspace.set(UNTRACKED | {"baselines.ngram_order": 2})
    assert workspace.repro().stages == ["baselines", "evaluate"]
    return workspace


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
    assert {title for title in charts if title in page} == charts
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
