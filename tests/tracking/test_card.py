"""The card of a run: its name, parameters, machine, commit and datasets."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from charloom.corpus.sources import obtain
from charloom.params_file import load_params
from charloom.tracking.card import Card, Dataset, as_trained, make_card, note_training
from charloom.tracking.stream import track_training
from tests.conftest import CHECKOUT

PARAMS = load_params(CHECKOUT / "params.yaml")
CPU = torch.device("cpu")


def card_here() -> Card:
    """The card of a run in the current folder."""
    return make_card(PARAMS, Path("data/raw"), {"train_key": "k"}).trained_on(CPU)


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _folder_outside_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_a_card_states_parameters_machine_and_keys() -> None:
    card = card_here()
    assert card.params == PARAMS.flat()
    machine = {
        "device": "cpu",
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "train_key": "k",
    }
    assert card.tags.items() >= machine.items()


def test_a_card_is_named_after_the_model_or_after_dvcs_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert card_here().name == f"{PARAMS.model.short_name} ag_news"
    assert card_here().model == PARAMS.model.in_words
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-vole")
    card = card_here()
    assert card.name == "tidy-vole"
    assert card.tags["dvc_experiment"] == "tidy-vole"


def test_a_card_in_a_git_checkout_states_the_commit_and_whether_files_differ(tmp_path: Path) -> None:
    git("init", "--quiet")
    file = tmp_path / "file"
    file.write_text("1")
    git("add", "file")
    git("commit", "--quiet", "--message", "one")
    clean = card_here().tags
    file.write_text("2")
    changed = card_here().tags
    assert clean["mlflow.source.git.commit"] == changed["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert (clean["git_dirty"], changed["git_dirty"]) == ("false", "true")


def test_a_card_states_no_commit_outside_git_or_before_the_first_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"mlflow.source.git.commit", "git_dirty"} & set(card_here().tags)
    git("init", "--quiet")
    assert not {"mlflow.source.git.commit", "git_dirty"} & set(card_here().tags)
    monkeypatch.setenv("PATH", "")
    assert not {"mlflow.source.git.commit", "git_dirty"} & set(card_here().tags)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1", "git refuses to read this repository: detected dubious ownership"),
        ("PATH", "", "git is not installed; install git"),
    ],
)
def test_a_training_says_once_why_its_commit_is_not_stated(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], variable: str, value: str, says: str
) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    off = PARAMS.tracking.model_copy(update={"enabled": False})
    git("init", "--quiet")
    with track_training(off, card_here(), []):
        assert capfd.readouterr().out == ""
    monkeypatch.setenv(variable, value)
    with track_training(off, card_here(), []):
        [warning] = capfd.readouterr().out.splitlines()
    assert warning.startswith(f"warning: the run will not state its git commit: {says}")
    shutil.rmtree(".git")
    with track_training(off, card_here(), []):
        assert capfd.readouterr().out == ""


def test_datasets_are_the_downloaded_splits(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"data": PARAMS.data.model_copy(update={"source": "sample"})})
    obtain(params, tmp_path / "data/raw", root=tmp_path, mirror=None)
    train, test = card_here().datasets
    assert (train.name, train.context) == ("sample/train.csv", "train")
    assert test == Dataset("sample/test.csv", test.digest, "sample", "test")
    assert len({train.digest, test.digest}) == 2
    assert all(len(data.digest) <= 36 for data in (train, test))  # the longest digest that MLflow accepts


def test_a_workspace_without_raw_files_has_a_card_without_datasets() -> None:
    """DVC can fetch the inputs of a training from a remote without fetching the corpus."""
    assert card_here().datasets == []


def test_a_card_states_no_version_if_charloom_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    assert "charloom" in card_here().tags
    monkeypatch.setattr("charloom.tracking.card.version", missing)
    assert "charloom" not in card_here().tags


def test_a_card_made_after_the_training_states_where_the_training_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-vole")
    trained = card_here()
    note_training(trained)
    later = make_card(PARAMS, Path("data/raw"), {"train_key": "k", "evaluate_key": "e"})
    assert as_trained(later).tags == trained.tags | {"evaluate_key": "e"}
    monkeypatch.delenv("DVC_EXP_NAME")
    later = make_card(PARAMS, Path("data/raw"), {"train_key": "k"})
    assert (as_trained(later).name, as_trained(later).tags) == ("tidy-vole", trained.tags)
    monkeypatch.setenv("DVC_EXP_NAME", "new-crow")  # another DVC experiment evaluates the same model
    later = make_card(PARAMS, Path("data/raw"), {"train_key": "k"})
    assert as_trained(later).name == as_trained(later).tags["dvc_experiment"] == "new-crow"


def test_the_card_of_a_training_in_another_checkout_states_no_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    note_training(card_here())
    other = as_trained(make_card(PARAMS, Path("data/raw"), {"train_key": "other"}))
    assert other.tags == {"train_key": "other", "trained": "elsewhere"}
