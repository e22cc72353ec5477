"""The folders of checkpoints that trainings leave: which ones there are, and removing those that nothing needs.

The folder of one training is `ROOT/<train_key>`. The file `ROOT/<train_key>.lock` is locked while the training runs.
This module needs no torch, so every stage and command can call it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from charloom.files import try_lock


@dataclass(frozen=True)
class Leftover:
    """The checkpoints of a training that does not run."""

    folder: Path
    size: int  # in bytes
    age_s: float  # seconds since the last checkpoint was written
    finished: bool  # whether the training reached its end


def finished_file(folder: Path) -> Path:
    """The file with the MD5 of the model.json of a finished training. `folder` has the training's checkpoints."""
    return folder / "finished"


def is_recorded(folder: Path, dvc_lock: Path) -> bool:
    """Whether the training of this folder has finished and the file `dvc_lock` has its result.

    model.json contains the train_key, so another training with the same weights does not count.
    """
    finished = finished_file(folder)
    return (
        finished.exists()
        and dvc_lock.exists()
        and finished.read_text("utf-8") in dvc_lock.read_text("utf-8", "replace")
    )


def forget_recorded(root: Path, dvc_lock: Path) -> None:
    """Delete the checkpoints of all trainings whose results are in the file `dvc_lock`, except of those that run.

    DVC has stored a result in its cache before the result is in dvc.lock, so no training is repeated.
    """
    for folder in _folders(root):
        with _idle(folder) as idle:
            if idle and is_recorded(folder, dvc_lock):
                shutil.rmtree(folder)


def leftovers(root: Path) -> list[Leftover]:
    """The checkpoints of all trainings that do not run, the largest first."""
    found = []
    for folder in _folders(root):
        with _idle(folder) as idle:
            if idle:
                found.append(_measure(folder))
    return sorted(found, key=lambda each: each.size, reverse=True)


def remove(folder: Path) -> bool:
    """Delete the checkpoints in a folder, unless their training runs. Returns whether they were deleted."""
    with _idle(folder) as idle:
        if idle:
            shutil.rmtree(folder)
    return idle


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


@contextmanager
def _idle(folder: Path) -> Iterator[bool]:
    """Give whether no process runs this training. During the block, a process that wants to run it waits."""
    try:
        file = folder.with_suffix(".lock").open(encoding="utf-8")
    except FileNotFoundError:
        yield True
        return
    with file:
        yield try_lock(file)


def _measure(folder: Path) -> Leftover:
    facts = [path.stat() for path in folder.iterdir() if path.is_file()]
    newest = max((each.st_mtime for each in facts), default=folder.stat().st_mtime)
    size = sum(each.st_size for each in facts)
    return Leftover(folder, size, max(0.0, time.time() - newest), finished_file(folder).exists())
