"""`charloom doctor` in a real checkout: its marks, its exit code, and that it changes nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from charloom.files import file_digest
from charloom.model.device import available_devices
from tests.pipeline.workspace import PIPELINE, Ended, Workspace, commit

DOCTOR = ("env", "PYTHONPATH=src", "python", "-c", "from charloom.cli import main; main()", "doctor")
LOADED = """
import sys
from charloom.cli import charloom
charloom.main(["doctor", "--fast"], standalone_mode=False)
print(sorted({"torch", "mlflow", "dvc"} & set(sys.modules)))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The tiny pipeline before its first stage, in a git repository with a commit."""
    made = Workspace(tmp_path / "checkout")
    made.make()
    made.begin_git()
    (made.folder / "dvc.lock").touch()
    assert made.run("git", "add", *PIPELINE).code == 0
    commit(made)
    return made


def doctor(workspace: Workspace, *options: str) -> Ended:
    ended = workspace.run(*DOCTOR, *options)
    assert "Traceback" not in ended.output
    return ended


def files(folder: Path) -> dict[str, str]:
    """The digests of all files, except of those of Python and of DVC's folder for temporary files."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    kept = (path for path in found if not {"__pycache__", "tmp", "site"} & set(path.parts[len(folder.parts) :]))
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in kept}


def test_a_ready_machine_has_no_fault_and_nothing_changes(workspace: Workspace) -> None:
    before = files(workspace.folder)
    ended = doctor(workspace)
    assert ended.code == 0, ended.output
    assert ended.lines("fault") == []
    subjects = {line[9:].partition(":")[0] for line in ended.output.splitlines()}
    assert subjects >= {"Python", "torch", "cores", "disk", "git", "DVC", "DVC remote", "MLflow", "params.yaml"}
    assert "\x1b" not in ended.output, "colours are for terminals"
    assert files(workspace.folder) == before


def test_the_fast_part_loads_neither_torch_nor_mlflow_nor_dvc(workspace: Workspace) -> None:
    ended = workspace.run("env", "PYTHONPATH=src", "python", "-c", LOADED)
    assert ended.code == 0, ended.output
    assert ended.output.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["train.device", "evaluate.device"])
def test_a_gpu_that_the_machine_lacks_is_a_fault(workspace: Workspace, name: str) -> None:
    if "cuda" in available_devices():
        pytest.skip("this machine has a GPU")
    workspace.set({name: "cuda"})
    ended = doctor(workspace)
    assert ended.code == 1
    (line,) = ended.lines("fault")
    assert f"{name} = 'cuda': not on this machine" in line
    assert line.endswith("choose one of these, or auto")


def test_wrong_parameters_are_a_fault(workspace: Workspace) -> None:
    workspace.set({"train.epochs": -1})
    ended = doctor(workspace, "--fast")
    assert ended.code == 1
    assert "train.epochs = -1: must be greater than 0" in ended.lines("fault")[0]
    assert ended.output.splitlines()[-1].startswith("error: 1 fault: ")


def test_a_precision_that_the_device_lacks_is_a_fault(workspace: Workspace) -> None:
    workspace.set({"train.precision": "tf32", "train.device": "cpu"})
    ended = doctor(workspace)
    assert ended.code == 1
    assert "params.yaml has tf32" in ended.lines("fault")[0]


def test_checkpoints_that_a_training_left_are_listed(workspace: Workspace) -> None:
    folder = workspace.folder / ".charloom" / "checkpoints" / "key"
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(bytes(2_000_000))
    written = time.time() - 3 * 86_400
    os.utime(folder / "last.safetensors", (written, written))
    (line,) = doctor(workspace, "--fast").lines("warning")
    assert f"checkpoints: {folder}: 2.0 MB, 3.0 days old, of a training that was stopped; " in line


def test_a_remote_is_looked_for(workspace: Workspace, tmp_path: Path) -> None:
    assert workspace.run("dvc", "remote", "add", "--default", "box", str(tmp_path / "box")).code == 0
    (line,) = doctor(workspace).lines("warning")
    assert f"{tmp_path / 'box'}" in line
    assert "does not exist yet; `dvc push` makes it" in line
    assert not (tmp_path / "box").exists()


def test_the_name_of_a_remote_can_have_characters_that_the_output_lacks(workspace: Workspace) -> None:
    config = "[core]\n    remote = box\n['remote \"box\"']\n    url = /nowhere/коробка\n"
    (workspace.folder / ".dvc/config.local").write_text(config, encoding="utf-8")
    (line,) = doctor(replace(workspace, variables={"PYTHONIOENCODING": "latin-1"})).lines("warning")
    assert r"/nowhere/\u043a" in line
    assert "does not exist yet; `dvc push` makes it" in line


def test_a_terminal_gets_colours(workspace: Workspace) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*DOCTOR, "--fast"], cwd=workspace.folder, env=workspace.environment, stdout=theirs, stderr=theirs
    ) as running:
        running.wait()
    os.close(theirs)
    text = os.read(ours, 100_000).decode()
    os.close(ours)
    assert text.startswith("\x1b[32mok ")
