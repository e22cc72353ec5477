"""A validation reads a fixed sample of the validation split."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from charloom.errors import RunError
from charloom.model.scoring import score_articles
from charloom.training.checkpoint import Checkpoints
from charloom.training.parallel import Group
from charloom.training.validation import Validation
from tests.learning import Encoded, encode_sample, run, small_model, small_training


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def test_the_whole_split_costs_what_its_articles_cost(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    validation = Validation(model, encoded.valid, 10**9, 1, Group())
    expected = score_articles(model, encoded.valid).total
    assert validation.is_whole
    for found in (validation.sample(), validation.whole()):
        assert (found.symbols, found.characters) == (expected.symbols, expected.characters)
        assert found.nats == pytest.approx(expected.nats)


def test_a_sample_is_bounded_and_depends_on_the_seed(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    costs = [Validation(model, encoded.valid, 3_000, seed, Group()).sample() for seed in (1, 1, 2)]
    assert costs[0] == costs[1] != costs[2]
    assert all(0 < cost.symbols <= 3_000 for cost in costs)
    assert Validation(model, encoded.valid, 1, 1, Group()).sample().symbols > 0, "at least one article is read"


def test_the_processes_of_a_group_read_each_article_once(encoded: Encoded) -> None:
    """Each process computes its share here. The sum over a real group is tested in test_parallel.py."""

    class Alone(Group):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            return values

    model = small_model(len(encoded.vocabulary))
    shares = [Validation(model, encoded.valid, 10**9, 1, Alone(rank, 3)).whole().nats for rank in range(3)]
    assert sum(shares) == pytest.approx(score_articles(model, encoded.valid).total.nats)


def test_a_finished_training_is_scored_on_the_whole_split(encoded: Encoded, tmp_path: Path) -> None:
    training = small_training(encoded, valid_characters=3_000)
    records = run(training, tmp_path)
    whole = score_articles(training.model, encoded.valid).total.bits_per_character
    assert training.metrics()["valid_bpc"] == pytest.approx(whole)
    assert records[-1].valid_bpc != pytest.approx(whole, abs=1e-6)
    assert Checkpoints(tmp_path).read() is not None


def test_weights_that_are_not_finite_end_the_training_with_one_line(encoded: Encoded) -> None:
    """The loss of a step is computed before its update, so a validation can be the first to notice."""
    training = small_training(encoded)
    training.train_step()
    training.model.head.bias.data[0] = math.nan
    with pytest.raises(RunError, match=r"the loss of the validation split is nan; lower train\.learning_rate or"):
        training.record(validate=True)
    assert training.history == []
