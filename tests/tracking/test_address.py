"""Where the MLflow store is: relative paths, paths with special characters, and addresses that keep nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from charloom.cli import charloom
from charloom.doctor.facts import Mark
from charloom.doctor.store import check_store
from charloom.errors import InputError
from charloom.tracking.address import store_address
from charloom.tracking.overview import list_runs
from tests.conftest import CHECKOUT
from tests.tracking.tracked import PARAMS, Tracked

NOWHERE = [
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite://?timeout=30",
    "sqlite:///?timeout=30",
    "sqlite+pysqlite://",
    "sqlite+pysqlite:///:memory:",
    "sqlite:///file::memory:?uri=true",
    "sqlite:///file:runs?mode=memory&cache=shared&uri=true",
]


@pytest.mark.parametrize(
    ("variable", "database"),
    [
        (None, "{root}/mlflow.db"),
        ("sqlite:///runs/mine.db", "{root}/runs/mine.db"),
        ("sqlite:////var/mine.db", "/var/mine.db"),
        ("sqlite:////var/what?x/mine.db", "/var/what?x/mine.db"),
        ("sqlite:////var/a?b=c/mine.db", "/var/a?b=c/mine.db"),
        ("sqlite:////var/50%20/mine.db", "/var/50%20/mine.db"),
        ("sqlite:////var/what?x/mine.db?timeout=30&check_same_thread=false", "/var/what?x/mine.db"),
        ("http://tracker:5000", None),
        ("postgresql://tracker/runs?sslmode=require", None),
    ],
)
def test_a_store_is_a_server_or_a_file_whose_path_starts_in_the_main_checkout(
    root: Path, monkeypatch: pytest.MonkeyPatch, variable: str | None, database: str | None
) -> None:
    if variable:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    expected = None if database is None else Path(database.format(root=root))
    uri, found = store_address()
    assert found == expected
    if database is None or "?" not in database:
        return
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # as a user may do with an address from a message
    assert store_address() == (uri, expected)


def test_an_address_is_readable_and_keeps_its_options(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_address().uri == f"sqlite:///{root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db?timeout=30")
    assert store_address().uri == f"sqlite:///{root}/mine.db?timeout=30"


@pytest.mark.parametrize("variable", NOWHERE)
def test_an_address_that_keeps_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", variable)
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI = .*: this address names no file, .* sqlite:///FILE"):
        store_address()


@pytest.mark.parametrize("command", ["runs", "verify RUN", "promote RUN", "sample --model RUN"])
def test_a_command_refuses_an_address_that_keeps_nothing(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///:memory:")
    monkeypatch.chdir(CHECKOUT)
    ended = CliRunner().invoke(charloom, command.split())
    assert isinstance(ended.exception, InputError)
    assert "names no file" in str(ended.exception)


def test_a_training_and_an_evaluation_end_with_one_warning_about_an_address_that_keeps_nothing(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite://")
    for stage in (tracked.train, tracked.evaluate):
        stage()
        printed = capfd.readouterr().out.splitlines()
        assert len(printed) == 1
        assert printed[0].startswith("warning: MLflow: MLFLOW_TRACKING_URI = 'sqlite://': this address names no file")
    assert check_store(PARAMS).mark is Mark.WARNING


@pytest.mark.parametrize("name", ["what?x", "a?b=c", "[v1] run #2", "50%20 é", "100%"])
def test_a_checkout_may_have_any_name(
    name: str, tracked: Tracked, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / name
    root.mkdir()
    shutil.copyfile(tables, root / "mlflow.db")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.setenv("CHARLOOM_CACHE", str(root / "cache"))
    tracked.train()
    tracked.evaluate()
    (run,) = list_runs(PARAMS)
    assert (root / "mlartifacts" / run.run_id / "artifacts/reports/samples.txt").exists()
    assert sorted(tmp_path.iterdir()) == before
    assert sorted(path.name for path in root.iterdir()) == [
        ".charloom",
        "mlartifacts",
        "mlflow.db",
        "mlflow.db.lock",
        "mlflow.db.pid",
    ]
    assert not (tracked.root / "mlartifacts").exists()
