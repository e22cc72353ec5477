"""The registry of recurrent cells. tests/test_your_own.py adds a cell, and runs the tests of all cells with it."""

from __future__ import annotations

import pytest

import code_deps
from charloom.cells import CELLS, Cell


def test_the_module_of_a_cell_is_a_code_dependency_of_train(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "src/charloom/errors.py" in code_deps.code_deps("python stages/train.py")
    cell = Cell("charloom.report.canvas.Canvas", ("update",), ("hidden",))  # any module that train does not import
    assert "src/charloom/report/canvas.py" not in code_deps.code_deps("python stages/train.py")
    monkeypatch.setitem(CELLS, "Other", cell)
    assert "src/charloom/report/canvas.py" in code_deps.code_deps("python stages/train.py")
    assert "src/charloom/report/canvas.py" not in code_deps.code_deps("python stages/build_vocab.py")
