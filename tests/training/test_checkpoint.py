from pathlib import Path

import pytest
import torch

from charloom.files import file_digest
from charloom.leftovers import forget_recorded
from charloom.training.checkpoint import Checkpoint, Checkpoints


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint({"model.a": torch.full((3,), float(step)), "model.b": torch.ones(1)}, {"step": step})


def read(checkpoints: Checkpoints) -> Checkpoint:
    data = checkpoints.read()
    assert data is not None
    return Checkpoint.from_bytes(data)


def test_the_newest_checkpoint_is_read(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.read() is None
    for step in (1, 2, 3):
        checkpoints.save(checkpoint(step))
    newest = read(checkpoints)
    assert newest.position == {"step": 3}
    assert newest.group("model")["a"].tolist() == [3.0] * 3


def test_a_damaged_checkpoint_is_skipped_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(checkpoint(1))
    checkpoints.save(checkpoint(2))
    checkpoints.finish_saving()
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-5])
    assert read(checkpoints).position == {"step": 1}
    assert f"warning: {last}: skipped, because " in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file/folder")
    checkpoints.save(checkpoint(1))
    with pytest.raises(OSError, match="file"):
        checkpoints.finish_saving()
    checkpoints.finish_saving()  # the error is raised once


def test_a_flipped_bit_is_damage() -> None:
    data = bytearray(checkpoint(1).to_bytes())
    data[-1] ^= 1  # a bit of a tensor, so the file is still valid safetensors
    with pytest.raises(ValueError, match="damaged"):
        Checkpoint.from_bytes(bytes(data))


def test_a_checkpoint_of_another_version_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other_version:
        other_version.setattr("charloom.training.checkpoint.VERSION", 9)
        data = checkpoint(1).to_bytes()
    with pytest.raises(ValueError, match="version"):
        Checkpoint.from_bytes(data)


def test_half_written_files_are_removed_before_a_training(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "key")
    checkpoints.save(checkpoint(1))
    checkpoints.finish_saving()
    half = tmp_path / "key" / ".next.safetensors.123.tmp"
    half.write_bytes(b"half")
    with checkpoints.locked():
        assert not half.exists()
        assert read(checkpoints).position == {"step": 1}


def test_checkpoints_are_deleted_only_if_dvc_has_recorded_the_result(tmp_path: Path) -> None:
    result, dvc_lock = tmp_path / "model.safetensors", tmp_path / "dvc.lock"
    result.write_bytes(b"weights")
    checkpoints = Checkpoints(tmp_path / "key")
    checkpoints.save(checkpoint(1))
    checkpoints.finish_saving()
    forget_recorded(tmp_path, dvc_lock)
    checkpoints.note_finished(result)
    forget_recorded(tmp_path, dvc_lock)
    dvc_lock.write_text("md5: 0123")
    forget_recorded(tmp_path, dvc_lock)
    assert checkpoints.read() is not None
    dvc_lock.write_text(f"md5: {file_digest(result, 'md5')}")
    forget_recorded(tmp_path, dvc_lock)
    assert checkpoints.read() is None
