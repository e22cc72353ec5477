"""What test_installs.py runs in each install: `python -m tests.installs train|score FOLDER`, in the checkout.

One install trains and saves models in FOLDER. The other install loads and scores them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from charloom.cells import CELLS
from charloom.model.saved import load_model, save_model
from charloom.model.scoring import score_articles
from tests.learning import encode_sample, small_training


def train(folder: Path) -> None:
    """Train a small model of each cell for a few steps on the embedded sample, and save the models."""
    encoded = encode_sample(folder / "windows")
    for cell in CELLS:
        training = small_training(encoded, {"cell": cell, "layers": 2, "hidden_size": 32}, learning_rate=0.01)
        for _ in range(20):
            training.train_step()
        save_model(folder / cell, training.model, encoded.vocabulary, "t" * 64)


def score(folder: Path) -> dict[str, list[float]]:
    """For each cell, the nats of each test article of the embedded sample, scored with the saved model."""
    models = {cell: load_model(folder / cell).model for cell in CELLS}
    with tempfile.TemporaryDirectory() as windows:
        test = encode_sample(Path(windows)).test
        return {cell: score_articles(model, test).nats.tolist() for cell, model in models.items()}


if __name__ == "__main__":
    action, folder = sys.argv[1:]
    json.dump({"train": train, "score": score}[action](Path(folder)), sys.stdout)
