import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from charloom.model import CharModel, State
from charloom.scoring import Scores, score_articles
from tests.learning import Encoded, encode_sample, small_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def nats_symbol_by_symbol(model: CharModel, symbols: list[int]) -> float:
    """The cost of an article in float64, one step at a time."""
    state: State | None = None
    total = 0.0
    with torch.no_grad():
        for symbol, following in itertools.pairwise(symbols):
            logits, state = model(torch.tensor([[symbol]]), state)
            total -= torch.log_softmax(logits[0, 0], 0)[following].item()
    return total


def test_is_exact_against_single_steps_in_float64(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary), layers=2).eval()
    scores = score_articles(model, encoded.test, CPU)
    model.double()
    for index in (0, 17, encoded.test.articles - 1):
        expected = nats_symbol_by_symbol(model, encoded.test.article(index).tolist())
        assert scores.nats[index] == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_costs_the_log_of_the_vocabulary(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    scores = score_articles(model, encoded.test, CPU)
    assert scores.perplexity == pytest.approx(len(encoded.vocabulary), rel=1e-6)
    symbols = encoded.test.characters + encoded.test.articles
    expected = symbols * math.log2(len(encoded.vocabulary)) / encoded.test.characters
    assert scores.bits_per_character == pytest.approx(expected, rel=1e-6)


def test_counts_characters_without_eos(encoded: Encoded) -> None:
    scores = score_articles(small_model(len(encoded.vocabulary)), encoded.test, CPU)
    assert scores.summary()["articles"] == 128
    assert scores.summary()["characters"] == encoded.test.characters == scores.characters.sum()


def test_does_not_change_the_model_or_its_mode(encoded: Encoded, tmp_path: Path) -> None:
    model = small_model(len(encoded.vocabulary), dropout=0.5, layers=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = score_articles(model, encoded.valid, CPU)
    second = score_articles(model, encoded.valid, CPU)
    assert np.array_equal(first.nats, second.nats)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_absurd_loss_has_a_perplexity_all_the_same() -> None:
    assert math.isfinite(Scores(np.array([1e9]), np.array([1])).perplexity)
