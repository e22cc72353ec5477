"""No password, token or signature of an address appears in the output, the files or the runs of the pipeline."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from charloom.corpus.sources import SAMPLE
from tests.pipeline.conftest import Charloom
from tests.pipeline.workspace import Workspace
from tests.tracking.server import Server

MARK = "Xs3cretX"
# DVC itself copies the parameters to these places.
OF_DVC = ("params.yaml", "dvc.lock", ".dvc/cache/runs", ".dvc/tmp", ".dvc/site")


def with_mark(folder: Path) -> list[str]:
    """The files of a folder that contain MARK, except OF_DVC."""
    found = [path for path in folder.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]
    names = [path.relative_to(folder).as_posix() for path in found]
    return [name for name in names if not name.startswith(OF_DVC)]


def test_the_address_of_a_corpus_leaves_no_secret_and_a_new_password_trains_nothing(
    finished: Workspace, tables: Path, tmp_path: Path, httpserver: HTTPServer, charloom: Charloom
) -> None:
    httpserver.expect_request("/x.csv").respond_with_data((SAMPLE / "train.csv").read_bytes())
    shown = httpserver.url_for("/x.csv")
    address = shown.replace("//", f"//alice:{MARK}@")
    workspace = finished.copy(tmp_path / "secret", results=False)
    shutil.copyfile(tables, workspace.folder / "mlflow.db")
    mirror = f"https://bob:{MARK}@mirror/"
    workspace.set({"data.source": f"{address}?token={MARK}&v=1", "data.mirror": mirror})
    ended = workspace.repro()
    assert f"reading {shown}?token=***&v=1: " in ended.output
    assert f"{shown}?token=***&v=1" in (workspace.folder / "data/raw/source.json").read_text()
    outputs = [ended.output, charloom(workspace, "publish").output, charloom(workspace, "data").output]
    listed = charloom(workspace, "runs").output
    outputs += [listed, charloom(workspace, "verify", listed.splitlines()[-1].split()[0]).output]
    assert MARK not in "".join(outputs)
    assert list((workspace.folder / "mlartifacts").rglob("params.yaml"))
    assert with_mark(workspace.folder) == []

    workspace.set({"data.source": f"{address.replace(MARK, 'another')}?token=another&v=1"})
    assert workspace.repro().stages == ["download", "evaluate"]  # the parameters of these stages have data.source
    assert len(charloom(workspace, "runs").output.splitlines()) == len(listed.splitlines())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://alice:{mark}@127.0.0.1:{port}/x.txt?sig={mark}", "127.0.0.1:{port}/x.txt?sig=***"),
        ("ftp://alice:{mark}@127.0.0.1:{port}/x.txt", "ftp://127.0.0.1:{port}/x.txt"),
        ("s3://AKIA:{mark}@bucket/x.txt", "s3://bucket/x.txt': this address takes no user and password"),
        ("s3://AKIA:a/{mark}@bucket/x.txt", "s3://bucket/x.txt': this address takes no user and password"),
        ("nothing://alice:{mark}@host/x.txt", "nothing://host/x.txt"),
        ("/nowhere/token={mark}", "/nowhere/token=***"),
    ],
)
def test_a_corpus_that_cannot_be_read_shows_no_secret(
    finished: Workspace, tmp_path: Path, closed_port: int, source: str, message: str
) -> None:
    workspace = finished.copy(tmp_path / "failing", results=False)
    workspace.set({"data.source": source.format(mark=MARK, port=closed_port), "data.timeout": 1.0})
    ended = workspace.run("sh", "-c", "PYTHONPATH=src python stages/download.py")
    assert ended.code in (1, 2)
    assert message.format(port=closed_port) in ended.output
    assert MARK not in ended.output
    assert with_mark(workspace.folder) == []


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_tracker_that_fails_shows_no_secret(
    finished: Workspace, tmp_path: Path, closed_port: int, charloom: Charloom, scheme: str
) -> None:
    uri = f"{scheme}://alice:{MARK}@127.0.0.1:{closed_port}/mlflow"
    workspace = finished.copy(tmp_path / "failing", MLFLOW_TRACKING_URI=uri)
    outputs = [charloom(workspace, *each, code=1).output for each in (["publish"], ["runs"], ["verify", "x"])]
    assert all(f"MLflow at {scheme}://127.0.0.1:{closed_port}/mlflow: " in output for output in outputs)
    outputs.append(workspace.run_script("train").output)
    assert "warning: MLflow: " in outputs[-1]
    assert MARK not in "".join(outputs)
    assert with_mark(workspace.folder) == []


def test_a_tracker_that_works_shows_no_secret(
    finished: Workspace, tables: Path, tmp_path: Path, charloom: Charloom
) -> None:
    (tmp_path / "server").mkdir()
    shutil.copyfile(tables, tmp_path / "server" / "mlflow.db")
    server = Server(tmp_path / "server")
    server.start()
    try:
        uri = server.uri.replace("//", f"//alice:{MARK}@")
        workspace = replace(finished.copy(tmp_path / "working"), variables={"MLFLOW_TRACKING_URI": uri})
        outputs = [charloom(workspace, "runs").output, charloom(workspace, "publish").output]
        assert all(f" in {server.uri} has" in output for output in outputs)
        outputs += [charloom(workspace, "runs").output, charloom(workspace, "verify", "nothing", code=2).output]
        assert MARK not in "".join(outputs)
        assert with_mark(workspace.folder) == with_mark(server.folder) == []
    finally:
        server.signal(signal.SIGCONT)
        server.kill()
