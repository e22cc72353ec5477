"""A user without a name and a home folder, as in a container that runs with a random user id."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

NAMELESS = ("unshare", "--user", "--map-user=12345", "--map-group=12345")


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user that has neither a name nor a home folder."""
    variables = clean_environment(PYTHONPATH=str(CHECKOUT / "src")) | variables
    environment = {
        name: value for name, value in variables.items() if name not in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME")
    }
    return subprocess.run(
        [*NAMELESS, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    """A folder with params.yaml, whose corpus is AG_NEWS."""
    if not shutil.which("unshare") or run(tmp_path, "true").returncode:
        pytest.skip("on this machine users may not make namespaces")
    shutil.copyfile(CHECKOUT / "params.yaml", tmp_path / "params.yaml")
    return tmp_path


def test_the_download_names_charloom_cache(folder: Path) -> None:
    done = run(folder, sys.executable, str(CHECKOUT / "stages/download.py"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: cannot use the cache folder /dev/null/.cache/charloom: ")
    assert done.stderr.endswith("or set CHARLOOM_CACHE to another folder\n")


def test_a_stage_that_needs_no_cache_works(folder: Path) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(text.replace("source: ag_news", "source: sample"), encoding="utf-8")
    done = run(folder, sys.executable, str(CHECKOUT / "stages/download.py"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_loads_mlflow_works(folder: Path) -> None:
    (folder / "mlflow.db").touch()
    done = run(folder, "charloom", "sample", "--model", "models:/charloom@best")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: models:/charloom@best: no such model in ")


def test_the_doctor_says_what_dvc_needs(folder: Path) -> None:
    (folder / ".dvc").mkdir()
    (folder / "dvc.yaml").touch()
    [line] = [line for line in run(folder, "charloom", "doctor", "--fast").stdout.splitlines() if "DVC" in line]
    assert line.startswith("fault ")
    assert line.endswith(
        "this user has no name: its id is 12345; set the environment variables USER to any name and HOME to a folder"
    )
    assert os.getuid() != 12345
