"""A checkout that is moved or copied together with its MLflow store."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.tracking.registry import fetch_model, promote
from charloom.tracking.store import Store
from charloom.tracking.verification import verify_run
from tests.tracking.tracked import PARAMS, Tracked
from tests.tracking.verified import problems, publish


@pytest.fixture
def old(verifiable: Tracked) -> Tracked:
    """A main checkout with one complete run."""
    publish(verifiable)
    return verifiable


def use(tracked: Tracked, root: Path, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """Make `root` the main checkout."""
    monkeypatch.setenv("DVC_ROOT", str(root))
    return replace(tracked, root=root)


def moved(old: Tracked, monkeypatch: pytest.MonkeyPatch) -> Tracked:
    """The main checkout after it was renamed."""
    return use(old, old.root.rename(old.root.with_name("moved % checkout")), monkeypatch)


def run_id(tracked: Tracked) -> str:
    return str(tracked.runs()[0].info.run_id)


def test_an_old_run_of_a_moved_checkout_is_whole(old: Tracked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path / "cache"))
    promote(PARAMS, run_id(old), "best", other_data=False)
    files = old.artefacts(old.runs()[0])
    new = moved(old, monkeypatch)
    assert problems(run_id(new)) == {}
    assert new.artefacts(new.runs()[0]) == files
    assert (fetch_model(PARAMS, run_id(new)) / "model.json").exists()
    model, version = new.client.search_logged_models(["1"])[0], new.client.search_model_versions()[0]
    assert model.artifact_location.startswith(f"{new.root.as_uri()}/mlartifacts/models/")
    assert version.source == model.artifact_location
    assert new.client.get_model_version_download_uri("charloom", str(version.version)) == model.artifact_location
    assert not old.root.exists()


def test_a_new_run_in_a_moved_checkout_has_its_files_there(old: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    new = moved(old, monkeypatch)
    new.evaluate("another")
    run = new.runs()[-1]
    assert (new.root / "mlartifacts" / run.info.run_id / "artifacts/params.yaml").exists()
    assert len(new.runs()) == 2
    assert not old.root.exists()


def test_a_copied_checkout_leaves_the_first_one_as_it_is(old: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    new = use(old, shutil.copytree(old.root, old.root.with_name("copy")), monkeypatch)
    before = sorted(old.root.rglob("*"))
    assert problems(run_id(new)) == {}
    new.evaluate("another")
    assert sorted(old.root.rglob("*")) == before
    assert str(new.runs()[0].info.artifact_uri).startswith(new.root.as_uri())


def test_a_copied_database_still_finds_the_files_of_its_runs(
    old: Tracked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "clone").mkdir()
    shutil.copy(old.root / "mlflow.db", tmp_path / "clone")
    assert problems(run_id(use(old, tmp_path / "clone", monkeypatch))) == {}


def test_a_run_whose_files_were_left_behind_is_named_with_the_remedy(
    old: Tracked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path / "cache"))
    (old.root / "mlartifacts").rename(tmp_path / "left")
    new = moved(old, monkeypatch)
    wanted = run_id(new)
    for use_files in (verify_run, fetch_model):
        with pytest.raises(InputError, match=r"its files are missing, and MLflow expects them in /.*; if you moved"):
            use_files(PARAMS, wanted)
    Store.open(PARAMS)
    (tmp_path / "left").rename(new.root / "mlartifacts")
    assert problems(wanted) == {}


def test_artefacts_that_the_user_keeps_elsewhere_stay_there(
    root: Path, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(tables, root / "mlflow.db")
    places = {"large": (tmp_path / "large/mlartifacts").as_uri(), "bucket": "s3://bucket/mlartifacts"}
    (tmp_path / "large/mlartifacts").mkdir(parents=True)
    client = Tracked(root, root).client
    for name, place in places.items():
        client.create_experiment(name, place)
    Store.open(PARAMS)
    found = {each.name: each.artifact_location for each in client.search_experiments()}
    assert found.items() >= places.items()
