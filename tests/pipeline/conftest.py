"""The tiny pipeline, which a real `dvc repro` runs once for all tests."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charloom.cli import main
from tests.conftest import Once
from tests.pipeline.workspace import Ended, Workspace

Charloom = Callable[..., Ended]


@pytest.fixture(scope="session")
def first(once: Once) -> tuple[Workspace, Ended]:
    """The tiny pipeline after its first `dvc repro`, and the output of this command."""

    def tracked(folder: Path) -> Workspace:
        return Workspace(folder / "tiny-workspace", {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"})

    def make(folder: Path) -> str:
        tracked(folder).make()
        return tracked(folder).repro().output

    folder, output = once("tiny", make)
    return tracked(folder), Ended(0, output)


@pytest.fixture(scope="session")
def finished(first: tuple[Workspace, Ended]) -> Workspace:
    """The finished tiny pipeline. Tests may read and copy it, but not change it."""
    return first[0]


@pytest.fixture(scope="session")
def store(finished: Workspace) -> str:
    """The MLflow store of the tiny pipeline."""
    return finished.variables["MLFLOW_TRACKING_URI"]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections during the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def charloom(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Charloom:
    """Call `charloom ARGUMENT…` in a workspace.

    The call runs in this process, because a new one would load torch and MLflow for five seconds.
    """

    def call(workspace: Workspace, *arguments: str, code: int = 0) -> Ended:
        with monkeypatch.context() as patch:
            patch.chdir(workspace.folder)
            for name in os.environ.keys() - workspace.environment.keys():
                patch.delenv(name)
            for name, value in workspace.environment.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["charloom", *arguments])
            with pytest.raises(SystemExit) as end:
                main()
        ended = Ended(int(end.value.code or 0), "".join(capfd.readouterr()))
        assert ended.code == code, ended.output
        assert "Traceback" not in ended.output
        return ended

    return call
