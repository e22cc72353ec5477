"""`verify_run` compares a run with its own files and with dvc.lock."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from charloom.errors import InputError
from charloom.files import write_json
from charloom.tracking.store import Store
from charloom.tracking.verification import verify_run
from tests.tracking.tracked import PARAMS, Tracked
from tests.tracking.verified import problems, publish, record


def test_a_published_run_agrees_with_its_files_and_with_dvc_lock(verifiable: Tracked) -> None:
    assert problems(publish(verifiable)) == {}


def test_a_run_made_before_details_existed_agrees_too(verifiable: Tracked) -> None:
    """Such a run has numbers only in metrics/, and no samples.json and no training_samples.json."""
    workspace = verifiable.workspace
    shutil.rmtree(workspace / "metrics")
    (workspace / "details").rename(workspace / "metrics")
    for name in ("samples.json", "training_samples.json"):
        (workspace / "reports" / name).unlink()
    record(workspace)
    assert problems(publish(verifiable)) == {}


def test_a_changed_number_or_tag_is_found(verifiable: Tracked) -> None:
    run_id = publish(verifiable)
    verifiable.client.log_metric(run_id, "test/bpc", 1.0)
    verifiable.client.set_tag(run_id, "model_digest", "0" * 64)
    found = problems(run_id)
    (numbers,) = (problem for what, problem in found.items() if what.endswith("numbers of the stages"))
    assert numbers == "test/bpc is 1.0 in the run, 2.25 in the run's file"
    assert found["model_digest"].startswith("the value from model.safetensors is ")
    assert found["model_digest"].endswith(f"the run's tag is {'0' * 12}")


def test_a_deleted_tag_is_found(verifiable: Tracked) -> None:
    run_id = publish(verifiable)
    for tag in ("model_digest", "train_key"):
        verifiable.client.delete_tag(run_id, tag)
    found = problems(run_id)
    assert set(found) == {"model_digest", "train_key"}
    assert all(problem.endswith("the run's tag is missing") for problem in found.values())


def test_a_dvc_lock_of_another_evaluation_is_found(verifiable: Tracked) -> None:
    run_id = publish(verifiable)
    write_json(verifiable.workspace / "metrics/evaluate.json", {"test_bpc": 9.0})
    record(verifiable.workspace)
    assert problems(run_id)["dvc.lock here, files"].startswith("metrics/evaluate.json is ")


def test_a_run_whose_dvc_lock_is_not_found_cannot_be_compared(verifiable: Tracked) -> None:
    run_id = publish(verifiable)
    (verifiable.workspace / "dvc.lock").unlink()
    assert reason(run_id) == (
        "not found in this folder, and this folder is not in a git repository; use a clone that has the run's commit"
        " cccccccc"
    )
    for tag in ("--output=stolen", "main", "c" * 65):
        verifiable.client.set_tag(run_id, "mlflow.source.git.commit", tag)
        assert reason(run_id).endswith(f"the run's tag with its git commit is invalid: {tag[:8]}")
    verifiable.client.delete_tag(run_id, "mlflow.source.git.commit")
    assert reason(run_id) == "not found in this folder, and the run has no tag with its git commit"


@pytest.fixture
def committed(verifiable: Tracked, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A workspace in git with two commits, and a run that states the first one. dvc.lock records another result."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    run_id = publish(verifiable)
    git("init", "--quiet")
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "the run")
    write_json(verifiable.workspace / "metrics/evaluate.json", {"test_bpc": 9.0})
    record(verifiable.workspace)
    git("commit", "--quiet", "--all", "--message", "another result")
    verifiable.client.set_tag(run_id, "mlflow.source.git.commit", git("rev-parse", "HEAD^"))
    return verifiable


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def reason(run_id: str) -> str:
    """Why `verify_run` finds no dvc.lock."""
    _, checks = verify_run(PARAMS, run_id)
    [check] = [check for check in checks if check.problem]
    assert check.what == "dvc.lock"
    return check.problem


def test_each_reason_why_git_gives_no_dvc_lock_is_told_apart(
    committed: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = committed.runs()
    commit = run.data.tags["mlflow.source.git.commit"]
    assert problems(run.info.run_id) == {}
    elsewhere = "the one in this folder records another result, and "
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        said = reason(run.info.run_id)
    assert said.startswith(f"{elsewhere}git refuses to read this repository: detected dubious ownership")
    assert said.endswith(f"; run `git config --global --add safe.directory {committed.workspace}`")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "")
        assert reason(run.info.run_id) == f"{elsewhere}git is not installed; install git"
    git("clone", "--quiet", "--depth=1", committed.workspace.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    lacking = f"this clone is shallow and lacks the run's commit {commit[:8]}; run `git fetch --unshallow`"
    assert reason(run.info.run_id) == elsewhere + lacking
    git("init", "--quiet", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path / "other")
    assert reason(run.info.run_id) == (
        f"not found in this folder, and the run's commit {commit[:8]} is not in this repository; run `git fetch`, or"
        " use the clone of the run"
    )


def test_if_no_dvc_lock_records_the_run_the_most_similar_one_is_compared(committed: Tracked) -> None:
    (run,) = committed.runs()
    lock = Path("dvc.lock")
    lock.write_text(lock.read_text().replace("train.seed: 1", "train.seed: 2"))
    git("commit", "--quiet", "--all", "--amend", "--message", "another seed and another result")
    committed.client.set_tag(run.info.run_id, "mlflow.source.git.commit", git("rev-parse", "HEAD"))
    write_json(committed.workspace / "metrics/evaluate.json", {"test_bpc": 8.0})
    record(committed.workspace)
    found = problems(run.info.run_id)
    assert [*found] == ["dvc.lock here (the most similar of 2), files"]
    assert found["dvc.lock here (the most similar of 2), files"].startswith("metrics/evaluate.json is ")


def test_a_run_without_an_evaluation_is_refused(tracked: Tracked) -> None:
    tracked.train()
    (run,) = tracked.runs()
    with pytest.raises(InputError, match="this run has no evaluation yet; run `charloom publish` in the checkout"):
        verify_run(PARAMS, run.info.run_id)


@pytest.mark.parametrize("long", [7000, 100])
def test_values_are_compared_by_their_types_and_beyond_the_length_that_mlflow_keeps(
    verifiable: Tracked, long: int
) -> None:
    """DVC records `1` for a parameter that charloom reads as 1.0. MLflow keeps 6,000 characters of a value."""
    recorded: dict[str, object] = {
        "train.epochs": 1,
        "train.grad_clip": 1,
        "train.learning_rate": 4e-3,
        "evaluate.temperatures": [0, 1],
        "data.source": "x" * long,
        "train.of_another_version": 1,
    }
    logged: dict[str, object] = {"train.epochs": 1.0, "train.grad_clip": 1.0, "evaluate.temperatures": [0.0, 1.0]}
    path = verifiable.workspace / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    lock["stages"]["train"]["params"]["params.yaml"] |= recorded
    path.write_text(yaml.safe_dump(lock))
    run_id = publish(verifiable)
    store = Store.open(PARAMS)
    store.state(run_id, recorded | logged, {})
    assert problems(run_id) == {}
    lock["stages"]["train"]["params"]["params.yaml"]["data.source"] = "x" * (long - 1) + "y"
    path.write_text(yaml.safe_dump(lock))
    assert problems(run_id)["dvc.lock here, parameters"].startswith("data.source is xxx")


def test_a_run_whose_long_value_was_cut_by_mlflow_agrees(verifiable: Tracked) -> None:
    path = verifiable.workspace / "dvc.lock"
    lock = yaml.safe_load(path.read_text())
    lock["stages"]["train"]["params"]["params.yaml"]["data.source"] = "x" * 7000
    path.write_text(yaml.safe_dump(lock))
    run_id = publish(verifiable)
    verifiable.client.log_param(run_id, "data.source", "x" * 7000)
    assert problems(run_id) == {}
