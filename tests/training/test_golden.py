"""A golden number: the quality of one fixed training. It notices a change that makes models worse without any error."""

from pathlib import Path

import pytest
import torch

from charloom.model.scoring import score_articles
from tests.learning import encode_sample, run, small_training

# How the number was obtained: this test's training on two cores with torch 2.13. Seeds 2 and 3 gave 3.200 and 3.191.
# Update it only after a change that is meant to change the quality, and then say so in the commit.
TEST_BPC = 3.205
TOLERANCE = 0.02  # covers other seeds and machines


def test_a_fixed_training_reaches_its_known_bits_per_character(tmp_path: Path) -> None:
    """One epoch of the embedded sample, 478 steps of 64 units.

    These faults were tried, and the test fails for each: INPUT_STD = 1 (3.280) or 10 (3.373), a constant step size
    (3.047), half the step size (3.433). It is too short to notice closed forget gates (3.191) or a state that is not
    carried over (3.208); test_network.py and test_loop.py do.
    """
    encoded = encode_sample(tmp_path / "windows")
    training = small_training(
        encoded,
        {"cell": "LSTM", "hidden_size": 64},
        epochs=1.0,
        batch_size=16,
        learning_rate=0.01,
        schedule="cosine",
        warmup=0.05,
        grad_clip=1.0,
        batching="lanes",
        validate_every=100,
    )
    run(training, tmp_path / "checkpoints")
    test = score_articles(training.model, encoded.test, torch.device("cpu")).total
    assert test.bits_per_character == pytest.approx(TEST_BPC, abs=TOLERANCE)
