"""The tiny pipeline left alone, for all tests that disturb it."""

from __future__ import annotations

import time

import pytest

from tests.pipeline.workspace import UNTRACKED, Workspace

SETTINGS = UNTRACKED | {"train.epochs": 1.0, "train.checkpoint_every": 0.02}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, float]:
    """The tiny pipeline after a `dvc repro` that nothing disturbed, and its seconds: to be read and copied."""
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed"))
    workspace.make()
    workspace.set(SETTINGS)
    began = time.monotonic()
    workspace.repro()
    return workspace, time.monotonic() - began
