"""The tiny pipeline left alone, for all tests that disturb it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import Once
from tests.pipeline.workspace import UNTRACKED, Workspace

SETTINGS = UNTRACKED | {"train.epochs": 1.0, "train.checkpoint_every": 0.02}


@pytest.fixture(scope="session")
def undisturbed(once: Once) -> tuple[Workspace, float]:
    """The tiny pipeline after a `dvc repro` that nothing disturbed, and its seconds: to be read and copied."""

    def make(folder: Path) -> float:
        workspace = Workspace(folder)
        workspace.make()
        workspace.set(SETTINGS)
        began = time.monotonic()
        workspace.repro()
        return time.monotonic() - began

    folder, seconds = once("undisturbed", make)
    return Workspace(folder), seconds
