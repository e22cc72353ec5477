"""The registry of recurrent cells: an entry in CELLS is all that charloom needs to use another cell."""

from __future__ import annotations

import pytest

import code_deps
from charloom.cells import CELLS, Cell
from tests.conftest import CHECKOUT, Run

# This runs in a new process, because an entry must be in CELLS before charloom.params is imported.
USE_ANOTHER_CELL = """
import sys
from pathlib import Path

sys.path[:0] = sys.argv[1:]
from charloom.cells import CELLS, Cell

CELLS["MGU"] = Cell("tests.minimal_cell.MinimalGatedUnit", ("forget", "new"), ("hidden",), open_gates=("forget",))

import torch
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model, save_model
from charloom.model.scoring import score_articles
from charloom.training.checkpoint import Checkpoint
from charloom.training.state import restore, snapshot
from tests.learning import check_gradients, encode_sample, run, small_model, small_training

cell = {"cell": "MGU", "layers": 2, "dropout": 0.1}
encoded = encode_sample(Path("windows"))
training = small_training(encoded, cell, epochs=0.02)
before = score_articles(training.model, encoded.valid).total.nats
training.train_step()
restored = small_training(encoded, cell, epochs=0.02)
restore(restored, Checkpoint.from_bytes(snapshot(training).to_bytes()))
run(restored, Path("checkpoints"))

save_model(Path("model"), restored.model, encoded.vocabulary, "key")
saved = load_model("model")
assert saved.model.params.cell == "MGU"
assert score_articles(saved.model, encoded.valid).total.nats < before
together = sample(saved.model, saved.vocabulary, ["Oil", ""], Sampling(length=20))
assert together[1:] == sample(saved.model, saved.vocabulary, [""], Sampling(length=20), first=1)

forget, new = small_model(5, cell="MGU").get_parameter("rnn.0.bias_ih_l0").split(12)
assert (forget.tolist(), new.tolist()) == ([1.0] * 12, [0.0] * 12)
check_gradients(small_model(5, cell="MGU", layers=2), None)
print("trained, restored, saved, scored, sampled")
"""


def test_a_registered_cell_can_be_trained_saved_scored_and_sampled(run_python: Run) -> None:
    done = run_python(USE_ANOTHER_CELL, CHECKOUT / "src", CHECKOUT)
    assert (done.stdout, done.stderr) == ("trained, restored, saved, scored, sampled\n", "")


def test_the_module_of_a_cell_is_a_code_dependency_of_train(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "src/charloom/errors.py" in code_deps.code_deps("python stages/train.py")
    cell = Cell("charloom.report.canvas.Canvas", ("update",), ("hidden",))  # any module that train does not import
    assert "src/charloom/report/canvas.py" not in code_deps.code_deps("python stages/train.py")
    monkeypatch.setitem(CELLS, "Other", cell)
    assert "src/charloom/report/canvas.py" in code_deps.code_deps("python stages/train.py")
    assert "src/charloom/report/canvas.py" not in code_deps.code_deps("python stages/build_vocab.py")
