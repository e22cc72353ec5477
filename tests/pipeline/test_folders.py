"""A checkout whose path has special characters, and which is moved."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import Workspace


def test_a_checkout_may_have_any_name_and_may_be_moved(
    finished: Workspace, tables: Path, tmp_path: Path, charloom: Charloom
) -> None:
    workspace = finished.copy(tmp_path / "what? [v1] #2 50%20 é")
    shutil.copyfile(tables, workspace.folder / "mlflow.db")
    [published] = charloom(workspace, "publish").lines("published: run ")
    run_id = published.split()[2]
    assert run_id in charloom(workspace, "runs").output
    moved = Workspace(workspace.folder.rename(tmp_path / "moved? [v1] #2 50%20 é"))
    assert len(charloom(moved, "verify", run_id).lines("agrees:")) == 7
    moved.set({"evaluate.seed": 2})
    assert moved.repro().lines("warning:") == []
    assert len(list((moved.folder / "mlartifacts").glob("*/artifacts/params.yaml"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == [moved.folder.name]
