"""MLflow after real DVC runs: after a pull, after a restore from the run cache, and after experiments."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from charloom.training.history import read_history
from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import Ended, Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

IDENTITY = {f"GIT_{who}_{what}": f"{who}@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def execute(workspace: Workspace, *command: str) -> Ended:
    """Run a command, which must succeed."""
    ended = workspace.run(*command)
    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output
    return ended


def client(workspace: Workspace) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(workspace.variables.get("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.folder}/mlflow.db"))


def runs(workspace: Workspace) -> list[Run]:
    """The runs in the store of a workspace, the oldest first."""
    experiment = client(workspace).get_experiment_by_name("charloom")
    assert experiment
    found = client(workspace).search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return list(found)


def artefact(workspace: Workspace, of: Run, name: str) -> bytes:
    return Path(client(workspace).download_artifacts(of.info.run_id, name)).read_bytes()


@pytest.fixture(scope="module")
def repository(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The finished pipeline, committed to git and pushed to a local DVC remote. Its MLflow store is in its folder."""
    repository = replace(finished.copy(tmp_path_factory.mktemp("git") / "repository"), variables=IDENTITY)
    folder = repository.folder
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n/site\n")
    repository.begin_git()
    execute(repository, "dvc", "remote", "add", "--default", "local", str(folder.with_name("remote")))
    execute(repository, "git", "add", "--all")
    execute(repository, "git", "commit", "--quiet", "--message", "results")
    execute(repository, "dvc", "push", "--quiet")
    return repository


def test_a_fresh_clone_is_published_completely_and_only_once(
    repository: Workspace, tables: Path, tmp_path: Path, charloom: Charloom
) -> None:
    clone = Workspace(tmp_path / "clone", IDENTITY)
    execute(repository, "git", "clone", "--quiet", ".", str(clone.folder))
    shutil.copyfile(tables, clone.folder / "mlflow.db")
    execute(clone, "dvc", "pull", "--quiet")
    assert "published: run" in execute(clone, "charloom", "publish").output
    (published,) = before = runs(clone)
    assert published.info.status == "FINISHED"
    assert published.data.tags["trained"] == "elsewhere"  # the clone does not know on which machine
    assert "device" not in published.data.tags
    history = client(clone).get_metric_history(published.info.run_id, "train/bpc")
    assert [point.step for point in history] == [each.step for each in read_history(clone.folder / "plots/history.csv")]
    assert b"  train:" in artefact(clone, published, "dvc.lock")

    assert "nothing to add: run" in charloom(clone, "publish").output
    assert [each.to_dictionary() for each in runs(clone)] == [each.to_dictionary() for each in before]

    run_id = published.info.run_id
    assert run_id[:8] in charloom(clone, "runs").output
    verified = charloom(clone, "verify", run_id[:8])
    assert len(verified.lines("agrees:")) == 7
    assert not verified.lines("differs:")

    client(clone).set_tag(run_id, "model_digest", "0" * 64)
    client(clone).log_metric(run_id, "test/bpc", 1.0)
    wrong = charloom(clone, "verify", run_id[:8], code=1)
    assert ["model_digest" in line or "test/bpc" in line for line in wrong.lines("differs:")] == [True, True]
    assert "2 of 7 checks" in wrong.lines("error:")[0]
    charloom(clone, "verify", "nothing", code=2)


def test_each_evaluation_restored_from_the_run_cache_can_be_published(
    finished: Workspace, tables: Path, tmp_path: Path, charloom: Charloom
) -> None:
    """DVC restores results without running a script, so that only `charloom publish` can send them to MLflow."""
    workspace = finished.copy(tmp_path / "restored")
    shutil.copyfile(tables, workspace.folder / "mlflow.db")
    written = workspace.folder / "reports/samples.txt"
    samples = {"1": written.read_bytes()}
    workspace.set({"evaluate.seed": 2})
    assert workspace.repro().stages == ["evaluate"]
    samples["2"] = written.read_bytes()
    seeds = [each.data.params["evaluate.seed"] for each in runs(workspace)]
    assert seeds == ["2"]  # the run with seed 1 is in another store
    workspace.set({"evaluate.seed": 1})
    refused = charloom(workspace, "publish", code=2)  # the files in the workspace are still those of seed 2
    assert len(refused.lines("error: params.yaml: evaluate.seed = 1")) == 1
    for seed in ("1", "2"):
        workspace.set({"evaluate.seed": int(seed)})
        assert workspace.repro().stages == []
        charloom(workspace, "publish")
    by_seed = {each.data.params["evaluate.seed"]: each for each in runs(workspace)}
    assert len(runs(workspace)) == len(by_seed) == 2
    assert {seed: artefact(workspace, row, "reports/samples.txt") for seed, row in by_seed.items()} == samples
    before = [each.to_dictionary() for each in runs(workspace)]
    charloom(workspace, "publish")
    assert [each.to_dictionary() for each in runs(workspace)] == before


def test_dvc_experiments_are_runs_with_their_names_in_the_store_of_the_main_checkout(
    repository: Workspace, tables: Path, tmp_path: Path, charloom: Charloom
) -> None:
    """One experiment runs in the workspace, one in a temporary copy, and two in parallel from the queue."""
    main = Workspace(tmp_path / "main", IDENTITY)
    shutil.copytree(repository.folder, main.folder)
    shutil.copyfile(tables, main.folder / "mlflow.db")
    execute(main, "dvc", "exp", "run", "--name", "here", "--set-param", "evaluate.seed=2")
    execute(main, "dvc", "exp", "run", "--temp", "--name", "temporary", "--set-param", "evaluate.seed=3")
    for name, setting in {"queued-one": "train.seed=4", "queued-two": "evaluate.seed=5"}.items():
        execute(main, "dvc", "exp", "run", "--queue", "--name", name, "--set-param", setting)
    assert main.run_queue(jobs=2).count("Success") == 2
    found = {each.info.run_name: each for each in runs(main)}
    assert set(found) == {"here", "temporary", "queued-one", "queued-two"}
    assert len(runs(main)) == 4
    for name, each in found.items():
        assert each.data.tags["dvc_experiment"] == name
        assert each.info.status == "FINISHED"
        assert each.data.metrics["test/bpc"] > 0
        assert artefact(main, each, "reports/samples.txt")
        assert str(main.folder) in each.info.artifact_uri
    listed = charloom(main, "runs", "--each").output
    assert all(name in listed for name in found)
    assert "agrees: dvc.lock" in charloom(main, "verify", "queued-one").output
