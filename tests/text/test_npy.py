""".npy files: written values are read back. Other content is rejected, and no code in it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charloom.errors import InputError
from charloom.text.npy import map_array, npy_writer


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_appended_values_are_read_back(tmp_path: Path, dtype: str) -> None:
    with npy_writer(tmp_path / "a.npy", dtype) as array:
        array.append([1, 2])
        array.append(np.array([], dtype=np.int64))
        array.append(np.array([255, 0]))
        assert array.size == 4
    found = map_array(tmp_path / "a.npy")
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == np.load(tmp_path / "a.npy").tolist() == [1, 2, 255, 0]


def test_the_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    def fail() -> None:
        with npy_writer(tmp_path / "a.npy", "uint8") as array:
            array.append([1, 2, 3])
            assert not (tmp_path / "a.npy").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.npy: no such file"):
        map_array(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2], dtype="int64"),
        np.array([1, 2], dtype="float32"),
        np.array([1, 2], dtype=">u4"),
        np.array(["a"]),
        np.array([[1, 2]], dtype="uint8"),
        np.array(1, dtype="uint8"),
    ],
)
def test_other_kinds_of_arrays_are_rejected(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match=r"a\.npy: not a \.npy file with one row of unsigned integers"):
        map_array(tmp_path / "a.npy")


def test_a_truncated_array_is_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(100, dtype="uint32"))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"a\.npy: not readable as an array"):
        map_array(tmp_path / "a.npy")


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Touch:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    np.save(tmp_path / "a.npy", np.array([Touch()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy: not a \.npy file with one row"):
        map_array(tmp_path / "a.npy")
    assert not ran.exists()
