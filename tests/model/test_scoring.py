import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charloom.corpus.articles import read_articles
from charloom.model.network import CharModel, State
from charloom.model.scoring import Scores, batches_by_length, score_articles, surprisals, surprisals_of_parts
from charloom.text.vocab import Codes
from tests.learning import Encoded, encode_sample, small_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def model(encoded: Encoded) -> CharModel:
    return small_model(len(encoded.vocabulary))


@pytest.fixture(scope="module")
def texts(encoded: Encoded) -> list[Codes]:
    """Articles of many lengths, one longer than a chunk many times, an empty one and a single character."""
    articles = [encoded.test.article(index) for index in range(100)]
    eos = np.array([encoded.vocabulary.eos], encoded.vocabulary.dtype)
    return [*articles, np.concatenate([eos, *(text[1:] for text in articles[:6])]), np.tile(eos, 2), articles[0][:2]]


def test_each_text_is_read_under_its_class(encoded: Encoded, texts: list[Codes]) -> None:
    model = small_model(len(encoded.vocabulary), classes=2)
    torch.nn.init.normal_(model.initial)
    torch.nn.init.normal_(model.class_head)
    together = surprisals(model, texts, CPU, classes=itertools.cycle([0, 1, 2]))
    for index, found in enumerate(itertools.islice(together, 6)):
        (alone,) = surprisals(model, texts[index : index + 1], CPU, classes=[index % 3])
        assert found.bits == pytest.approx(alone.bits, rel=1e-5)
    under_none, untold = (list(surprisals(model, texts[:3], CPU, classes=told)) for told in ([2] * 3, None))
    assert all(np.array_equal(a.bits, b.bits) for a, b in zip(under_none, untold, strict=True))


def bits_symbol_by_symbol(model: CharModel, symbols: list[int]) -> list[float]:
    """The surprisal of a text in float64, one step at a time."""
    state: State | None = None
    bits = []
    with torch.no_grad():
        for symbol, following in itertools.pairwise(symbols):
            logits, state = model(torch.tensor([[symbol]]), state)
            bits.append(-torch.log_softmax(logits[0, 0], 0)[following].item() / math.log(2))
    return bits


@pytest.mark.parametrize("architecture", [{"cell": "LSTM", "layers": 2}, {"cell": "GRU"}, {"cell": "RNN"}])
def test_is_exact_against_single_steps_in_float64(
    encoded: Encoded, texts: list[Codes], architecture: dict[str, Any]
) -> None:
    model = small_model(len(encoded.vocabulary), **architecture).eval()
    found = list(surprisals(model, texts, CPU))
    scores = score_articles(model, encoded.test, CPU)
    model.double()
    for index in (0, 17, 99, *range(100, len(texts))):
        expected = bits_symbol_by_symbol(model, texts[index].tolist())
        assert found[index].bits == pytest.approx(expected, rel=1e-5)
        if index < 100:
            assert scores.nats[index] == pytest.approx(sum(expected) * math.log(2), rel=1e-5)


@pytest.mark.parametrize("cuts", [[1], [2, 2, 300], [129, 1000]])
def test_a_text_costs_what_its_parts_cost_with_the_state_carried(
    model: CharModel, texts: list[Codes], cuts: list[int]
) -> None:
    text = texts[100]
    (whole,) = surprisals(model, [text], CPU, top=3)
    parts = list(surprisals_of_parts(model, np.split(text, cuts), CPU, top=3))
    assert [len(part.bits) for part in parts] == np.diff([1, *cuts, len(text)]).tolist()
    assert sum(part.bits.sum() for part in parts) == pytest.approx(whole.bits.sum(), rel=1e-6)
    assert np.concatenate([part.bits for part in parts]) == pytest.approx(whole.bits, rel=1e-5)
    assert np.concatenate([part.probabilities for part in parts]) == pytest.approx(whole.probabilities, rel=1e-5)


def test_without_the_state_the_parts_cost_something_else(model: CharModel, texts: list[Codes]) -> None:
    """The chain rule's test would see a state that is dropped."""
    text = texts[0]
    whole, *parts = surprisals(model, [text, text[:40], text[39:]], CPU)
    assert sum(part.bits.sum() for part in parts) != pytest.approx(whole.bits.sum(), rel=1e-5)


def test_texts_come_in_their_order_whatever_their_neighbours(
    model: CharModel, texts: list[Codes], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = list(surprisals(model, iter(texts), CPU))
    for text, found in zip(texts, together, strict=True):
        (alone,) = surprisals(model, [text], CPU)
        assert alone.bits == pytest.approx(found.bits, rel=1e-5)


def test_the_expected_are_the_likeliest_with_their_probabilities(model: CharModel, texts: list[Codes]) -> None:
    (found,) = surprisals(model, texts[:1], CPU, top=len(model.head.bias))
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    place = np.argmax(found.expected == texts[0][1:, None], axis=1)
    chances = np.take_along_axis(found.probabilities, place[:, None], axis=1)[:, 0]
    assert -np.log2(chances) == pytest.approx(found.bits, rel=1e-5)
    (few,) = surprisals(model, texts[:1], CPU, top=2)
    assert np.array_equal(few.expected, found.expected[:, :2])


def test_texts_are_read_as_their_scores_are_taken(model: CharModel, texts: list[Codes]) -> None:
    read = 0

    def endless() -> Iterator[Codes]:
        nonlocal read
        for text in itertools.cycle(texts):
            read += len(text)
            yield text

    next(surprisals(model, endless(), CPU))
    assert read < 1.1 * 2**20


def padding(lengths: list[int]) -> float:
    """The share of padding in what is read for texts of these lengths."""
    read = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches_by_length(lengths))
    return read / sum(lengths) - 1


def test_less_than_a_twentieth_of_what_is_read_is_padding(ag_news_26k: Path) -> None:
    assert 0 < padding([len(article.text) + 1 for article in read_articles(ag_news_26k / "test.csv")]) < 0.05


def test_every_text_is_in_one_batch() -> None:
    lengths = np.random.default_rng(1).integers(1, 500, 1000).tolist()
    assert sorted(itertools.chain(*batches_by_length(lengths))) == list(range(1000))
    assert padding([7] * 65) == 0


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
