"""A main checkout with a store, and a workspace elsewhere."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from charloom.files import write_json, write_text
from charloom.training.history import write_history
from tests.tracking.server import Server
from tests.tracking.tracked import FILES, HISTORY, METRICS, Tracked


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A main checkout, with an awkward name, while the process runs elsewhere."""
    folder = tmp_path / "main checkout é"
    folder.mkdir()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    return folder


@pytest.fixture
def tracked(root: Path, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """A workspace elsewhere whose stages have run."""
    shutil.copyfile(tables, root / "mlflow.db")
    workspace = tmp_path / "elsewhere"
    for name, text in FILES.items():
        write_text(workspace / name, text)
    write_history(workspace / "plots/history.csv", HISTORY)
    for stage, values in METRICS.items():
        write_json(workspace / f"metrics/{stage}.json", values)
    monkeypatch.chdir(workspace)
    return Tracked(root, workspace)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tables: Path) -> Iterator[Server]:
    """The server of all tests here, not yet up."""
    server = Server(tmp_path_factory.mktemp("server"))
    (server.folder / "mlflow.db").write_bytes(tables.read_bytes())
    yield server
    server.signal(signal.SIGCONT)
    server.kill()
