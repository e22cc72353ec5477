from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from charloom.doctor.facts import Mark
from charloom.doctor.store import check_database, check_store
from charloom.files import file_digest
from tests.learning import default_params
from tests.tracking.server import Server


def test_a_database_of_this_mlflow_is_right_and_stays_as_it_is(tables: Path) -> None:
    before = file_digest(tables), sorted(tables.parent.iterdir())
    assert check_database(tables, 1.0).mark is Mark.OK
    assert (file_digest(tables), sorted(tables.parent.iterdir())) == before


def test_a_database_of_another_mlflow_has_a_remedy_and_mlflow_refuses_it_too(tables: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    path = Path(shutil.copy(tables, tmp_path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
    fact = check_database(path, 1.0)
    assert fact.mark is Mark.WARNING
    assert f"mlflow db upgrade sqlite:///{path}" in fact.line
    with pytest.raises(MlflowException, match="out-of-date"):
        MlflowClient(f"sqlite:///{path}").search_experiments()


def test_a_missing_database_is_not_made_and_a_damaged_one_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    assert "the first training makes it" in check_database(path, 1.0).line
    assert not path.exists()
    path.write_text("no database")
    assert check_database(path, 1.0).mark is Mark.WARNING
    missing = check_database(tmp_path / "missing" / "mlflow.db", 1.0)
    assert missing.mark is Mark.WARNING


def test_a_server_that_is_down_is_a_warning_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:secret@127.0.0.1:9")  # nothing listens on port 9
    fact = check_store(default_params().tracking)
    assert fact.mark is Mark.WARNING
    assert "127.0.0.1:9" in fact.line
    assert "secret" not in fact.line
    assert "charloom publish" in fact.line


def test_a_server_is_asked_and_nothing_is_made(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    server = Server(tmp_path)
    shutil.copy(tables, tmp_path)
    server.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        client = MlflowClient(server.uri)
        before = [dict(each) for each in client.search_experiments()]
        tracking = default_params().tracking
        assert "the first training makes the experiment 'charloom'" in check_store(tracking).line
        existing = check_store(tracking.model_copy(update={"experiment": "Default"}))
        assert existing.line == f"MLflow: {server.uri} answers, and the experiment 'Default' can be written"
        assert [dict(each) for each in client.search_experiments()] == before
    finally:
        server.kill()


def test_a_server_that_refuses_to_be_written_is_a_warning(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = {"experiment": {"experiment_id": "1", "name": "charloom", "lifecycle_stage": "active"}}
    httpserver.expect_request("/api/2.0/mlflow/experiments/get-by-name").respond_with_json(experiment)
    refusal = {"error_code": "PERMISSION_DENIED", "message": "Permission denied"}
    httpserver.expect_request("/api/2.0/mlflow/experiments/delete-experiment-tag").respond_with_json(refusal, 403)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", httpserver.url_for("").rstrip("/"))
    fact = check_store(default_params().tracking)
    assert fact.mark is Mark.WARNING
    assert "Permission denied" in fact.line


def test_tracking_can_be_off() -> None:
    off = default_params().tracking.model_copy(update={"enabled": False})
    assert check_store(off).line == "MLflow: tracking.enabled is false"
