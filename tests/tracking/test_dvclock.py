"""Reading dvc.lock, and checking that a workspace still has the files that dvc.lock records."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from charloom.errors import InputError
from charloom.files import file_digest, write_text
from charloom.params import Params
from charloom.params_file import load_params
from charloom.tracking.dvclock import DvcLock, check_recorded
from tests.conftest import CHECKOUT

PARAMS = load_params(CHECKOUT / "params.yaml")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace whose dvc.lock records the stages train and evaluate.

    The record of train has a whole section of parameters. The record of evaluate has a single parameter.
    """
    for name in ("model", "scores"):
        write_text(tmp_path / name, name)
    model = {"path": "model", "md5": file_digest(tmp_path / "model", "md5")}
    scores = {"path": "scores", "md5": file_digest(tmp_path / "scores", "md5")}
    train = {"params": {"params.yaml": {"model": PARAMS.model.model_dump()}}, "outs": [model]}
    evaluate = {
        "deps": [dict(model)],
        "params": {"params.yaml": {"evaluate.seed": PARAMS.evaluate.seed}},
        "outs": [scores],
    }
    content = {"schema": "2.0", "stages": {"train": train, "evaluate": evaluate}}
    write_text(tmp_path / "dvc.lock", yaml.safe_dump(content))
    return tmp_path


def check(workspace: Path, params: Params = PARAMS) -> None:
    check_recorded(DvcLock.read(workspace / "dvc.lock"), params, workspace)


def test_a_dvc_lock_gives_digests_and_flat_parameters(workspace: Path) -> None:
    lock = DvcLock.read(workspace / "dvc.lock")
    assert set(lock.outs()) == {"model", "scores"}
    assert set(lock.outs("train")) == set(lock.deps("evaluate")) == {"model"}
    assert lock.params()["model.cell"] == PARAMS.model.cell
    assert lock.params("evaluate") == {"evaluate.seed": PARAMS.evaluate.seed}


def test_a_stage_can_be_left_out(workspace: Path) -> None:
    lock = DvcLock.read(workspace / "dvc.lock").without("evaluate")
    assert DvcLock.parse(lock.text(), "text") == lock
    assert set(lock.outs()) == {"model"}


def test_a_workspace_with_the_recorded_files_passes(workspace: Path) -> None:
    check(workspace)


def test_a_changed_parameter_is_named_with_both_values(workspace: Path) -> None:
    changed = PARAMS.model_copy(update={"evaluate": PARAMS.evaluate.model_copy(update={"seed": 77})})
    with pytest.raises(InputError, match=r"params\.yaml: evaluate\.seed = 77, .* made with 1; run `dvc repro` first"):
        check(workspace, changed)


@pytest.mark.parametrize(("content", "message"), [(None, "dvc pull"), ("other", "not the file that dvc.lock records")])
def test_a_missing_or_changed_file_is_named(workspace: Path, content: str | None, message: str) -> None:
    (workspace / "scores").unlink()
    if content:
        write_text(workspace / "scores", content)
    with pytest.raises(InputError, match=f"scores: .*{message}"):
        check(workspace)


def test_a_model_made_again_after_its_evaluation_is_named(workspace: Path) -> None:
    lock = yaml.safe_load((workspace / "dvc.lock").read_text())
    lock["stages"]["evaluate"]["deps"][0]["md5"] = "0" * 32
    write_text(workspace / "dvc.lock", yaml.safe_dump(lock))
    with pytest.raises(InputError, match="model: this file was made again after the evaluation; run `dvc repro` first"):
        check(workspace)


@pytest.mark.parametrize(
    "text",
    ["", "stages: [", "a: 1", "[]", "stages: 5", "stages: {train: 5}", "stages: {train: {outs: [{md5: a}]}}", "\0"],
)
def test_a_file_that_is_not_a_dvc_lock_is_refused(tmp_path: Path, text: str) -> None:
    write_text(tmp_path / "dvc.lock", text)
    with pytest.raises(InputError, match=r"dvc\.lock: not a valid dvc\.lock; restore it from git"):
        DvcLock.read(tmp_path / "dvc.lock")


def test_the_error_for_a_missing_dvc_lock_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dvc\.lock: no such file; `dvc repro` writes it"):
        DvcLock.read(tmp_path / "dvc.lock")


def test_a_dvc_lock_without_an_evaluation_is_refused(workspace: Path) -> None:
    lock = DvcLock.read(workspace / "dvc.lock").without("evaluate")
    with pytest.raises(InputError, match=r"dvc\.lock: the stage evaluate is not recorded yet; run `dvc repro` first"):
        check_recorded(lock, PARAMS, workspace)
