"""The disk is full while a stage writes: one line names the file, the old file stays, and the next run continues."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from charloom.errors import InputError
from charloom.files import file_digest
from charloom.text.split import EncodedSplit
from charloom.training.checkpoint import Checkpoint, Checkpoints
from tests.faults.disks import on_small_disk
from tests.pipeline.workspace import Workspace, read_stages

Undisturbed = tuple[Workspace, float]

# Trains four times. The first time, the disk of the checkpoints is full after the first checkpoint. The second time,
# the disk of the models is full, and the third time, the disk of the plots. The fourth time, all disks have space.
TRAIN = """
train() { python stages/train.py >"$1.log" 2>&1; echo $? >>"$1.log"; }
fill() { dd if=/dev/zero of="$1/filler" bs=1k 2>/dev/null; }
train checkpoint &
until ls .charloom/checkpoints/*/last.safetensors 2>/dev/null; do sleep 0.01; done
fill .charloom
wait
cp -r .charloom/checkpoints kept
rm .charloom/filler
mkdir models/charloom
cp good.safetensors models/charloom/model.safetensors
fill models
train model
cp models/charloom/model.safetensors kept.safetensors
ls -A models/charloom >models.log
rm models/filler
fill plots
train history
ls -A plots >plots.log
rm plots/filler
train end
cp -r models plots result
"""


def copy_without(workspace: Workspace, folder: Path, *names: str) -> Workspace:
    copy = workspace.copy(folder)
    for name in names:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy


def error_line(text: str) -> str:
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error:")]
    return line


def test_a_training_continues_after_full_disks(undisturbed: Undisturbed, tmp_path: Path) -> None:
    expected = undisturbed[0].folder
    folder = copy_without(undisturbed[0], tmp_path / "full", ".charloom", "models", "plots", "dvc.lock").folder
    good = folder / "good.safetensors"
    good.write_bytes((expected / "models/charloom/model.safetensors").read_bytes()[::-1])
    command = ["sh", "-uc", TRAIN]
    for name in (".charloom", "models", "plots"):
        (folder / name).mkdir(exist_ok=True)
        command = on_small_disk(folder / name, 4096, command)  # room for the models of the third and fourth training
    (folder / "result").mkdir()
    ended = Workspace(folder).run(*command, timeout_s=120)
    assert ended.code == 0, ended.output
    logs = {name: (folder / f"{name}.log").read_text() for name in ("checkpoint", "model", "history", "end")}

    line = error_line(logs["checkpoint"])
    assert line.startswith(f"error: {folder}/.charloom/checkpoints/")
    assert line.endswith("safetensors: No space left on device")
    (kept,) = (path for path in (folder / "kept").iterdir() if path.is_dir())
    assert not list(kept.glob(".*.tmp"))
    checkpoint = Checkpoints(kept).read()
    assert checkpoint
    steps = json.loads((expected / "details/train.json").read_text())["steps"]
    assert 0 < Checkpoint.from_bytes(checkpoint).position["step"] < steps

    assert error_line(logs["model"]) == "error: models/charloom/model.safetensors: No space left on device"
    assert file_digest(folder / "kept.safetensors") == file_digest(good)
    assert (folder / "models.log").read_text() == "model.safetensors\n"

    assert error_line(logs["history"]) == "error: plots/history.csv: No space left on device"
    assert (folder / "plots.log").read_text() == "filler\n"

    assert [text.split()[-1] for text in logs.values()] == ["1", "1", "1", "0"]
    assert logs["end"] == "0\n", "the training was already finished"
    for name in ("models/charloom/model.safetensors", "models/charloom/model.json", "plots/history.csv"):
        assert file_digest(folder / "result" / name) == file_digest(expected / name)


@pytest.mark.parametrize("kib", [16, 128])
def test_windows_from_a_full_disk_are_not_taken_for_complete(
    undisturbed: Undisturbed, tmp_path: Path, kib: int
) -> None:
    workspace = undisturbed[0].copy(tmp_path / "full")
    windows = workspace.folder / "data" / "windows"
    keep_windows = f"{read_stages(workspace.folder)['windows']['cmd']}; code=$?; cp -r data/windows left; exit $code"
    ended = workspace.run(*on_small_disk(windows, kib, ["sh", "-c", keep_windows]), timeout_s=120)
    assert ended.code == 1
    assert error_line(ended.output).startswith("error: data/windows/train/")
    assert error_line(ended.output).endswith(": No space left on device")
    assert not list(workspace.folder.glob("left/**/.*.tmp"))
    with pytest.raises(InputError, match=r"windows\.json: no such file"):
        EncodedSplit.load(workspace.folder / "left" / "train")
    workspace.run_script("windows")
    assert workspace.digests("windows") == undisturbed[0].digests("windows")


@pytest.mark.parametrize(("stage", "folder"), [("download", "data/raw"), ("vocab", "data"), ("vocab", "details")])
def test_a_full_disk_is_one_line_of_error_in_the_other_stages_too(
    undisturbed: Undisturbed, tmp_path: Path, stage: str, folder: str
) -> None:
    workspace = undisturbed[0].copy(tmp_path / "full")
    # The small disk hides the files of `folder`. Stage vocab needs data/raw/train.csv, so the file is copied to the
    # disk.
    copy = "mkdir -p data/raw; cp raw/train.csv data/raw; " if folder == "data" else ""
    (workspace.folder / "raw").mkdir()
    (workspace.folder / "raw" / "train.csv").write_text('"1","a","b"\n')
    fill = f"{copy}dd if=/dev/zero of={folder}/filler bs=1k 2>/dev/null; "
    command = ["sh", "-c", fill + read_stages(workspace.folder)[stage]["cmd"]]
    ended = workspace.run(*on_small_disk(workspace.folder / folder, 64, command), timeout_s=120)
    assert ended.code == 1
    assert error_line(ended.output).startswith(f"error: {folder}/")
    assert error_line(ended.output).endswith(": No space left on device")
