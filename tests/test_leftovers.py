from __future__ import annotations

import os
from pathlib import Path

from charloom.leftovers import forget_recorded, leftovers, remove
from tests.conftest import Start, line_of

TRAIN = """
import sys
from pathlib import Path
from charloom.files import exclusive
with exclusive(Path(sys.argv[1]).with_suffix(".lock"), "the checkpoints"):
    print("running")
    sys.stdin.read()
"""


def make(root: Path, key: str, size: int = 10, finished: str = "") -> Path:
    """The checkpoints of a training that has ended. `finished` is the digest of its result."""
    folder = root / key
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(bytes(size))
    folder.with_suffix(".lock").touch()
    if finished:
        (folder / "finished").write_text(finished)
    return folder


def test_recorded_checkpoints_go_and_all_others_stay(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    recorded, other = make(tmp_path / "c", "a", finished="1" * 32), make(tmp_path / "c", "b", finished="2" * 32)
    stopped = make(tmp_path / "c", "d")
    forget_recorded(tmp_path / "c", lock)
    assert recorded.exists(), "dvc.lock does not exist yet"
    lock.write_text(f"md5: {'1' * 32}\n")
    forget_recorded(tmp_path / "c", lock)
    assert not recorded.exists()
    assert other.exists()
    assert stopped.exists()


def test_the_checkpoints_of_a_running_training_stay(tmp_path: Path, start_python: Start) -> None:
    folder, lock = make(tmp_path / "c", "a", finished="1" * 32), tmp_path / "dvc.lock"
    lock.write_text("1" * 32)
    running = start_python(TRAIN, folder)
    assert line_of(running.stdout) == "running\n"
    forget_recorded(folder.parent, lock)
    assert not remove(folder)
    assert leftovers(folder.parent) == []
    assert (folder / "last.safetensors").exists()
    running.communicate("")
    assert remove(folder)
    assert not folder.exists()


def test_leftovers_have_a_size_and_an_age(tmp_path: Path) -> None:
    small, large = make(tmp_path, "a", 10), make(tmp_path, "b", 20, finished="12")
    os.utime(small / "last.safetensors", (1, 1))
    found = leftovers(tmp_path)
    assert [(each.folder, each.size, each.finished) for each in found] == [(large, 22, True), (small, 10, False)]
    assert found[1].age_s > 1e9 > 1000 > found[0].age_s
    assert leftovers(tmp_path / "missing") == []
