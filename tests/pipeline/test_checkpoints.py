"""The checkpoints of a finished training go when DVC has recorded the result, and not before."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.workspace import PIPELINE, UNTRACKED, Workspace, commit


def checkpoints(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.folder.glob(".charloom/checkpoints/*") if path.is_dir()]


def test_after_repro_no_checkpoints_are_left(finished: Workspace) -> None:
    assert list(finished.folder.glob(".charloom/checkpoints/*.lock"))
    assert checkpoints(finished) == []


def test_checkpoints_stay_until_dvc_has_recorded_the_result(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "killed")
    workspace.set(UNTRACKED | {"train.seed": 2})
    workspace.run_script("train")  # without DVC: as if DVC had been killed before it recorded the result
    (folder,) = checkpoints(workspace)
    assert "step" not in workspace.repro("train").output, "the finished training was repeated"
    assert folder.exists(), "no stage ran after DVC had recorded the result"
    repeated = workspace.repro("--force", "--single-item", "train")
    assert "step" in repeated.output, "a training that is repeated on purpose starts again"
    assert workspace.repro().stages == ["evaluate"]
    assert checkpoints(workspace) == []


def test_an_experiment_in_a_temporary_folder_leaves_no_checkpoints(finished: Workspace, tmp_path: Path) -> None:
    workspace = finished.copy(tmp_path / "experiments")
    workspace.set(UNTRACKED)
    workspace.begin_git()
    workspace.repro()
    assert workspace.run("git", "add", *PIPELINE).code == 0
    commit(workspace)
    before = workspace.recorded()
    ended = workspace.run("dvc", "exp", "run", "--temp", "-S", "train.seed=5")
    assert ended.code == 0, ended.output
    assert "train" in ended.stages
    assert workspace.recorded() == before
    assert len(list(workspace.folder.glob(".charloom/checkpoints/*.lock"))) >= 1
    assert checkpoints(workspace) == []
