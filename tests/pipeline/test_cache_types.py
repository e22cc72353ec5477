"""Outs can be links into DVC's cache. A stage that runs again replaces the links and leaves the cache as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from charloom.files import file_digest
from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import STAGES, UNTRACKED, Workspace

CACHE_TYPES = ("hardlink", "symlink", "copy")


def is_link_to_cache(path: Path) -> bool:
    return path.is_symlink() or path.stat().st_nlink > 1


def assert_cache_is_whole(folder: Path) -> None:
    """Check that the name of each file in DVC's cache is still the MD5 of its content."""
    files = [path for path in (folder / ".dvc/cache/files/md5").glob("*/*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        assert file_digest(path, "md5") == path.parent.name + path.name.removesuffix(".dir")


def dvc(workspace: Workspace, *arguments: str) -> str:
    """The output of a command of DVC, which must succeed."""
    ended = workspace.run("dvc", *arguments)
    assert ended.code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("cache_type", CACHE_TYPES)
def test_stages_run_again_over_outs_that_are_links(finished: Workspace, tmp_path: Path, cache_type: str) -> None:
    workspace = finished.copy(tmp_path / "linked")
    assert workspace.run("dvc", "config", "cache.type", cache_type).code == 0
    for name in ("data", "models", "metrics", "plots", "reports", "details"):
        shutil.rmtree(workspace.folder / name)
    assert workspace.run("dvc", "checkout").code == 0
    codes = workspace.folder / "data/windows/train/codes.npy"
    assert is_link_to_cache(codes) == (cache_type != "copy")
    assert workspace.repro().stages == []
    workspace.set(UNTRACKED)
    for stage in STAGES:
        workspace.run_script(stage)
        assert workspace.digests(stage) == finished.digests(stage)
    assert not is_link_to_cache(codes)
    assert_cache_is_whole(workspace.folder)


@pytest.mark.parametrize("cache_type", ["hardlink", "symlink", "reflink,copy"])
def test_a_result_is_published_replaced_and_checked_out_again(
    finished: Workspace, tables: Path, tmp_path: Path, cache_type: str, charloom: Charloom
) -> None:
    """MLflow refuses symbolic links. A stage that wrote through a link would change the result in DVC's cache."""
    workspace = finished.copy(tmp_path / "linked")
    shutil.copyfile(tables, workspace.folder / "mlflow.db")
    dvc(workspace, "config", "cache.type", cache_type)
    dvc(workspace, "checkout", "--relink")
    linked = [workspace.folder / name for name in ("models/charloom/model.safetensors", "data/windows/train/codes.npy")]
    assert [is_link_to_cache(path) for path in linked] == [cache_type in ("hardlink", "symlink")] * 2
    assert "published: run" in charloom(workspace, "publish").output

    first_lock, first_params = ((workspace.folder / name).read_bytes() for name in ("dvc.lock", "params.yaml"))
    workspace.set(UNTRACKED | {"windows.stride": 16})
    assert workspace.repro("train").stages == ["windows", "train"]
    assert workspace.digests("windows") != finished.digests("windows")
    assert_cache_is_whole(workspace.folder)

    (workspace.folder / "dvc.lock").write_bytes(first_lock)
    (workspace.folder / "params.yaml").write_bytes(first_params)
    dvc(workspace, "checkout")
    assert all(workspace.digests(stage) == finished.digests(stage) for stage in STAGES)
    assert "up to date" in dvc(workspace, "status")
