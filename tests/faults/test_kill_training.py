"""A real training that is killed at random moments ends in the same bytes as an undisturbed one."""

import os
import random
import time
from pathlib import Path

from tests.conftest import line_of
from tests.pipeline.workspace import UNTRACKED, Workspace, ready_to_train

KILLS = int(os.environ.get("CHARLOOM_KILLS", "3"))  # `make soak` sets 20
LONG = {
    **UNTRACKED,
    "model.hidden_size": 128,  # the checkpoints are so large and so frequent that some kills interrupt a write
    "model.layers": 2,
    "model.dropout": 0.2,
    "train.epochs": 0.1 * KILLS,
    "train.log_every": 1,
    "train.checkpoint_every": 0.02,
}


def test_a_training_killed_several_times_ends_in_the_same_bytes(tmp_path: Path) -> None:
    workspace = ready_to_train(tmp_path / "killed", LONG)
    undisturbed = workspace.copy(tmp_path / "undisturbed")
    with undisturbed.start_script("train") as process:
        line_of(process.stdout)
        began = time.monotonic()
        process.communicate(timeout=300)
    assert process.returncode == 0
    seconds = time.monotonic() - began
    moments = random.Random(1)
    steps, interrupted_writes = [], 0
    for _ in range(KILLS):
        steps.append(kill_training(workspace, after_s=moments.uniform(0, seconds / KILLS)))
        interrupted_writes += bool(list(workspace.folder.glob(".charloom/checkpoints/*/.*.tmp")))
    assert all(steps), "each training was killed before its end"
    workspace.run_script("train")
    print(f"{KILLS} kills, {interrupted_writes} while a checkpoint was written; the first steps were {steps}")
    assert workspace.digests("train") == undisturbed.digests("train")
    assert not list(workspace.folder.glob(".charloom/checkpoints/*/.*.tmp"))


def kill_training(workspace: Workspace, after_s: float) -> str:
    """Kill a training `after_s` seconds after its first line of progress.

    Returns the step in this line, or "" if the training had already ended.
    """
    with workspace.start_script("train") as process:
        line = line_of(process.stdout)
        time.sleep(after_s)
        ended = process.poll() is not None
        process.kill()
    return "" if ended else line.split("  ")[0]
