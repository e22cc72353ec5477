"""One install's half of test_installs.py: `python -m tests.installs train|score FOLDER`, run in the checkout."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch

from charloom.cells import CELLS
from charloom.model.saved import load_model, save_model
from charloom.model.scoring import score_articles
from tests.learning import encode_sample, small_training


def train(folder: Path) -> None:
    """Train a small model of each cell on the embedded sample for a few steps."""
    encoded = encode_sample(folder / "windows")
    for cell in CELLS:
        training = small_training(encoded, {"cell": cell, "layers": 2, "hidden_size": 32}, learning_rate=0.01)
        for _ in range(20):
            training.train_step()
        save_model(folder / cell, training.model, encoded.vocabulary, "t" * 64)


def score(folder: Path) -> dict[str, list[float]]:
    """For each cell's model, the cost of each test article of the embedded sample in nats."""
    models = {cell: load_model(folder / cell).model for cell in CELLS}
    with tempfile.TemporaryDirectory() as windows:
        test = encode_sample(Path(windows)).test
        return {cell: score_articles(model, test, torch.device("cpu")).nats.tolist() for cell, model in models.items()}


if __name__ == "__main__":
    action, folder = sys.argv[1:]
    json.dump({"train": train, "score": score}[action](Path(folder)), sys.stdout)
