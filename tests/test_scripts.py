"""scripts/workspace.py, which makes a workspace, scripts/demo.py and scripts/ui.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from charloom.files import write_text
from charloom.params_file import load_params
from charloom.project.files import FILES, copy_files, copy_package
from tests.conftest import CHECKOUT

# A replacement for dvc: it records its arguments and the tracker, writes the files that the demo shows, and exits with
# the code in DVC_EXIT.
DVC = """#!/bin/sh
echo "$@ $MLFLOW_TRACKING_URI" > called
mkdir -p metrics reports
echo '{"test_bpc": 2.5, "test_perplexity": 5.75}' > metrics/evaluate.json
echo '=== greedy ===' > reports/samples.txt
exit ${DVC_EXIT:-0}
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def run(script: Path, *arguments: object, **variables: str) -> Ended:
    """Run a script of a checkout to its end, with the code of this checkout."""
    command = [sys.executable, str(script), *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["PYTHONPATH"] = str(script.parents[1] / "src")
    done = subprocess.run(command, capture_output=True, text=True, env=environment | variables, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


def make_workspace(folder: Path, *settings: str) -> Ended:
    return run(CHECKOUT / "scripts" / "workspace.py", folder, *settings)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout, and the replacement for dvc in ../bin/."""
    copy_files(tmp_path / "checkout", (*FILES, "scripts"))
    copy_package(tmp_path / "checkout")
    dvc = tmp_path / "bin" / "dvc"
    dvc.parent.mkdir()
    dvc.write_text(DVC)
    dvc.chmod(0o755)
    return tmp_path / "checkout"


def run_demo(checkout: Path, **variables: str) -> Ended:
    path = os.pathsep.join((str(checkout.parent / "bin"), os.environ["PATH"]))
    return run(checkout / "scripts" / "demo.py", PATH=path, **variables)


@pytest.mark.parametrize(
    "script", sorted([*CHECKOUT.glob("stages/*.py"), *CHECKOUT.glob("scripts/*.py")]), ids=lambda path: path.stem
)
def test_each_stage_and_script_has_the_start_of_the_command(script: Path) -> None:
    starts = re.findall(r'^if __name__ == "__main__":\n    (\w+)', script.read_text(encoding="utf-8"), re.MULTILINE)
    if script.stem == "gpu_check":  # it also runs where charloom's packages are not installed
        assert starts == ["sys"]
    else:
        assert starts == ["run_stage" if script.parent.name == "stages" else "exit_with"]


def test_a_workspace_has_the_settings_and_all_comments_of_params_yaml(tmp_path: Path) -> None:
    settings = ["train.learning_rate=1e-3", "windows.scope=article", "train.batching=shuffled", "data.mirror=/m n"]
    assert make_workspace(tmp_path / "w", *settings, "evaluate.temperatures=[0.7]").code == 0
    before, after = load_params(CHECKOUT / "params.yaml").flat(), load_params(tmp_path / "w" / "params.yaml").flat()
    assert {name: value for name, value in after.items() if value != before[name]} == {
        "train.learning_rate": 0.001,
        "windows.scope": "article",
        "train.batching": "shuffled",
        "data.mirror": "/m n",
        "evaluate.temperatures": [0.7],
    }
    comments = [
        [line.partition("#")[2] for line in (folder / "params.yaml").read_text().splitlines() if "#" in line]
        for folder in (CHECKOUT, tmp_path / "w")
    ]
    assert comments[0] == comments[1]


@pytest.mark.parametrize("key", ["train.epoch", "trains.epochs", "epochs", "train"])
def test_an_unknown_key_is_an_error_and_nothing_is_written(tmp_path: Path, key: str) -> None:
    ended = make_workspace(tmp_path / "w", f"{key}=1")
    assert ended.code != 0
    assert ended.err == f"error: params.yaml has no {key}\n"
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("folder", "train.epochs")])
def test_wrong_arguments_print_the_usage_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run(CHECKOUT / "scripts" / "workspace.py", *arguments)
    assert ended.code != 0
    assert "workspace.py FOLDER" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_workspace_that_is_made_again_gets_new_code_and_keeps_its_results(tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    assert make_workspace(workspace, "train.epochs=1.0").code == 0
    kept = [
        "data/raw/train.csv",
        "metrics/train.json",
        "details/train.json",
        "dvc.lock",
        ".dvc/cache/files",
        "corpora/mine/train.csv",
    ]
    stale = ["src/charloom/removed.py", "stages/removed.py"]
    for name in kept + stale:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("x")
    assert make_workspace(workspace, "train.epochs=2.0").code == 0
    assert [name for name in kept + stale if (workspace / name).exists()] == kept
    assert load_params(workspace / "params.yaml").train.epochs == 2.0


def test_a_workspace_contains_no_results_of_the_checkout(checkout: Path, tmp_path: Path) -> None:
    for name in ("data/vocab.json", "mlflow.db", "dvc.lock", "corpora/mine/train.csv", "stages/__pycache__/x.pyc"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x")
    assert run(checkout / "scripts" / "workspace.py", tmp_path / "w").code == 0
    found = {path.name for path in (tmp_path / "w").iterdir()}
    hidden = {".dvc", ".dvcignore", ".gitattributes", ".gitignore"}
    assert found == {*hidden, "corpora", "dvc.yaml", "params.yaml", "src", "stages"}
    assert not list((tmp_path / "w").rglob("__pycache__"))
    assert not (tmp_path / "w" / "corpora" / "mine").exists()


def test_the_demo_runs_on_the_sample_and_shows_the_result(checkout: Path) -> None:
    before = (checkout / "params.yaml").read_bytes()
    ended = run_demo(checkout)
    assert ended.code == 0, ended.err
    assert load_params(checkout / "demo" / "params.yaml").data.source == "sample"
    assert (checkout / "params.yaml").read_bytes() == before
    assert (checkout / "demo" / "called").read_text() == f"repro sqlite:///{checkout / 'mlflow.db'}\n"
    for shown in ("=== greedy ===", "2.500 bits per character", "perplexity 5.75", "demo/reports/report.html"):
        assert shown in ended.out


def test_the_demo_uses_the_tracker_that_the_environment_names(checkout: Path) -> None:
    assert run_demo(checkout, MLFLOW_TRACKING_URI="http://tracker:5000").code == 0
    assert (checkout / "demo" / "called").read_text() == "repro http://tracker:5000\n"


def test_a_demo_that_fails_has_the_exit_code_of_dvc(checkout: Path) -> None:
    ended = run_demo(checkout, DVC_EXIT="7")
    assert ended.code == 7
    assert "bits per character" not in ended.out


def show_runs(checkout: Path, **variables: str) -> Ended:
    """Run scripts/ui.py in a checkout, with a replacement for MLflow that prints its arguments."""
    write_text(checkout / "bin/mlflow/__init__.py", "")
    write_text(checkout / "bin/mlflow/__main__.py", "import sys; print(sys.argv[1:])")
    kept = {name: value for name, value in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "DVC_ROOT")}
    path = os.pathsep.join((str(checkout / "bin"), str(CHECKOUT / "src")))
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts/ui.py")],
        cwd=checkout,
        env={**kept, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_the_ui_shows_the_store_of_a_checkout_of_any_name(tmp_path: Path) -> None:
    ended = show_runs(tmp_path / "what?x", PORT="5050")
    uri = f"sqlite+pysqlite:///{tmp_path}/what%3Fx/mlflow.db"
    assert f"'--port', '5050', '--workers', '1', '--backend-store-uri', '{uri}'" in ended.out


def test_the_ui_names_a_server_and_refuses_an_address_that_keeps_nothing(tmp_path: Path) -> None:
    ended = show_runs(tmp_path, MLFLOW_TRACKING_URI="https://me:secret@tracker")
    assert ended == (0, "MLFLOW_TRACKING_URI names a server: open https://tracker\n", "")
    ended = show_runs(tmp_path, MLFLOW_TRACKING_URI="sqlite://")
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
