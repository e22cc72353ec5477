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
from charloom.terminal import in_bytes, in_time


@dataclass(frozen=True)
class Leftover:
    """The checkpoints of a training that does not run."""

    folder: Path
    size: int  # in bytes
    age_s: float  # seconds since the last checkpoint was written
    finished: bool  # whether the training reached its end

    def __str__(self) -> str:
        """The folder, the size and the age of the checkpoints, in one line."""
        finished = ", of a finished training" if self.finished else ""
        return f"{self.folder}: {in_bytes(self.size)}, {in_time(self.age_s)} old{finished}"


def finished_file(folder: Path) -> Path:
    """The file with the MD5 of the model.json of a finished training. `folder` has the training's checkpoints."""
    return folder / "finished"


def forget_recorded(root: Path, dvc_lock: Path) -> None:
    """Delete the checkpoints of all trainings whose results are in the file `dvc_lock`, except of those that run.

    DVC has stored a result in its cache before the result is in dvc.lock, so no training is repeated by accident. If
    the user repeats a recorded training on purpose, it starts again.

    model.json contains the train_key, so another training with the same weights does not count.
    """
    recorded = dvc_lock.read_text("utf-8", "replace") if dvc_lock.exists() else ""
    for folder in _idle_folders(root):
        finished = finished_file(folder)
        if finished.exists() and finished.read_text("utf-8") in recorded:
            shutil.rmtree(folder)


def leftovers(root: Path) -> list[Leftover]:
    """The checkpoints of all trainings that do not run, the largest first."""
    return sorted(map(_measure, _idle_folders(root)), key=lambda each: each.size, reverse=True)


def remove(folder: Path) -> bool:
    """Delete the checkpoints in a folder, unless their training runs. Returns whether they were deleted."""
    with _idle(folder) as idle:
        if idle:
            shutil.rmtree(folder)
    return idle


def _idle_folders(root: Path) -> Iterator[Path]:
    """The folder of each training that does not run. A training cannot begin while the caller uses its folder."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ():
        with _idle(folder) as idle:
            if idle:
                yield folder


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
