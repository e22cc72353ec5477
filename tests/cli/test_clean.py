"""`charloom clean` in a workspace with a real stopped training, and one that runs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.pipeline.workspace import UNTRACKED, Workspace, ready_to_train

CLEAN = ("python", "-c", "from charloom.cli import main; main()", "clean")


def clean(workspace: Workspace, *options: str) -> list[str]:
    ended = workspace.run("env", "PYTHONPATH=src", *CLEAN, *options)
    assert ended.code == 0, ended.output
    return ended.output.splitlines()


def test_only_the_checkpoints_of_a_stopped_training_are_removed(tmp_path: Path) -> None:
    long = UNTRACKED | {"train.epochs": 1000.0, "train.checkpoint_every": 0.1}
    workspace = ready_to_train(tmp_path, long)
    root = tmp_path / ".charloom" / "checkpoints"
    with workspace.start_script("train") as training:
        wait_for_checkpoint(root)
        assert clean(workspace) == ["freed 0 bytes: the checkpoints of 0 trainings"]
        (folder,) = (path for path in root.iterdir() if path.is_dir())
        training.terminate()
    listed, total = clean(workspace, "--dry-run")
    assert listed.startswith(f"would remove {folder}: ")
    assert total.startswith("would free ")
    assert folder.is_dir()
    until_age = len(f"removed {folder}: 100.0")
    assert clean(workspace)[0][:until_age] == listed.replace("would remove", "removed")[:until_age]
    assert not folder.exists()


def wait_for_checkpoint(root: Path) -> None:
    deadline = time.monotonic() + 120
    while not list(root.glob("*/last.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
