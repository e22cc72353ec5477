"""A golden number: the quality of one fixed training. The test notices a change that makes models worse silently."""

from pathlib import Path

import pytest

from charloom.model.scoring import score_articles
from tests.learning import encode_sample, run, small_training

# The result of this test's training on two cores with torch 2.13. Seeds 2 and 3 gave 3.200 and 3.191. Update the number
# only after a change that is meant to change the quality, and say so in the commit.
TEST_BPC = 3.205
TOLERANCE = 0.02  # more than the differences between seeds and between machines


def test_a_fixed_training_reaches_its_known_bits_per_character(tmp_path: Path) -> None:
    """One epoch of the embedded sample, 478 steps of 64 units.

    These changes were tried, and the test fails for each: INPUT_STD = 1 (3.280) or 10 (3.373), a constant learning rate
    (3.047), half the learning rate (3.433). The training is too short to notice closed forget gates (3.191) or a state
    that is not carried over (3.208). test_network.py and test_loop.py test these.
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
    test = score_articles(training.model, encoded.test).total
    assert test.bits_per_character == pytest.approx(TEST_BPC, abs=TOLERANCE)
