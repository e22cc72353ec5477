"""The tiny pipeline, run once without a disturbance. The tests copy it, disturb the copy, and compare the results."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import Once
from tests.pipeline.workspace import UNTRACKED, Workspace

SETTINGS = UNTRACKED | {"train.epochs": 1.0, "train.checkpoint_every": 0.02}


@pytest.fixture(scope="session")
def undisturbed(once: Once) -> tuple[Workspace, float]:
    """The tiny pipeline after an undisturbed `dvc repro`, and the seconds that it took. Tests must not change it."""

    def make(folder: Path) -> float:
        workspace = Workspace(folder)
        workspace.make()
        workspace.set(SETTINGS)
        began = time.monotonic()
        workspace.repro()
        return time.monotonic() - began

    folder, seconds = once("undisturbed", make)
    return Workspace(folder), seconds
