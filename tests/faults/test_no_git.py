"""A checkout without its git repository, as in a ZIP file from GitHub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from charloom.project.files import FILES, copy_files
from tests.conftest import CHECKOUT
from tests.pipeline.workspace import clean_environment

NO_SCM = "dvc config --local core.no_scm true"
DOCTOR = ("charloom", "doctor", "--fast")
REPAIR = (sys.executable, "scripts/repair_dvc.py")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    copy_files(tmp_path / "unpacked", FILES)
    return tmp_path / "unpacked"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(PYTHONPATH=str(CHECKOUT / "src"))
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_doctor_says_what_dvc_needs_and_then_dvc_works(unpacked: Path) -> None:
    assert run(unpacked, "dvc", "status", "download").returncode != 0
    done = run(unpacked, *DOCTOR)
    [fault] = [line for line in done.stdout.splitlines() if line.startswith("fault")]
    assert done.returncode == 1
    assert "this folder is not in a git repository" in fault
    assert f"`{NO_SCM}`" in fault
    assert run(unpacked, *NO_SCM.split()).returncode == 0
    assert run(unpacked, "dvc", "status", "download").returncode == 0
    assert run(unpacked, *DOCTOR).returncode == 0


def test_make_repro_sets_the_option_once(unpacked: Path) -> None:
    first, second = (run(unpacked, *REPAIR) for _ in range(2))
    assert first.returncode == 0
    assert first.stdout == f"this folder is not in a git repository, so this was done: {NO_SCM}\n"
    assert (second.returncode, second.stdout) == (0, "")
    assert run(unpacked, "dvc", "status", "download").returncode == 0


def test_a_folder_in_a_git_repository_is_left_as_it_is(unpacked: Path) -> None:
    assert run(unpacked.parent, "git", "init", "--quiet").returncode == 0
    assert run(unpacked, *REPAIR).stdout == ""
    assert not (unpacked / ".dvc/config.local").exists()
