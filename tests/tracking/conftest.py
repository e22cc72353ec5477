"""A main checkout with an MLflow store, a workspace in another folder, and a server."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from charloom.evaluation.samples import write_samples
from charloom.files import write_json, write_text
from charloom.training.history import write_history
from charloom.training.sampler import write_training_samples
from tests.tracking.server import Server
from tests.tracking.tracked import FILES, HISTORY, KEYS, NUMBERS, SAMPLES, WRITTEN, Tracked
from tests.tracking.verified import MODEL, record


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty main checkout whose path has a space and an accent. It is not the current folder."""
    folder = tmp_path / "main checkout é"
    folder.mkdir()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    return folder


@pytest.fixture
def tracked(root: Path, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A workspace in which all stages have run. It is the current folder, and is outside the main checkout `root`."""
    shutil.copyfile(tables, root / "mlflow.db")
    workspace = tmp_path / "elsewhere"
    for name, text in FILES.items():
        write_text(workspace / name, text)
    write_history(workspace / "plots/history.csv", HISTORY)
    for folder, stages in NUMBERS.items():
        for stage, values in stages.items():
            write_json(workspace / folder / f"{stage}.json", values)
    write_samples(workspace / "reports/samples.json", SAMPLES)
    write_training_samples(workspace / "reports/training_samples.json", WRITTEN)
    monkeypatch.chdir(workspace)
    return Tracked(root, workspace)


@pytest.fixture
def verifiable(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A workspace outside git, with a model and a dvc.lock that records the files of its stages."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tracked.workspace.parent))
    write_text(tracked.workspace / MODEL, "weights")
    write_json(tracked.workspace / "models/charloom/model.json", {"train_key": KEYS["train_key"]})
    record(tracked.workspace)
    return tracked


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tables: Path) -> Iterator[Server]:
    """One server for all tests of this folder. A test starts it with `come_back`."""
    server = Server(tmp_path_factory.mktemp("server"))
    (server.folder / "mlflow.db").write_bytes(tables.read_bytes())
    yield server
    server.signal(signal.SIGCONT)
    server.kill()
