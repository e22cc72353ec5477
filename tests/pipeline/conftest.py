"""The tiny pipeline, run once by a real `dvc repro` for all tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.pipeline.workspace import Ended, Workspace


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the tiny pipeline is tracked."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory, store: str) -> tuple[Workspace, Ended]:
    """The tiny pipeline after its first `dvc repro`, and what that said."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"), {"MLFLOW_TRACKING_URI": store})
    workspace.make()
    return workspace, workspace.repro()


@pytest.fixture(scope="session")
def finished(first: tuple[Workspace, Ended]) -> Workspace:
    """The tiny pipeline, finished: to be read and copied, not changed."""
    return first[0]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections for as long as the test lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
