import itertools
import math
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from charloom.cells import CELLS
from charloom.corpus.articles import read_articles
from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.model.network import CharModel
from charloom.model.scoring import Cost, Scores, score_articles, surprisals, surprisals_of_pieces
from charloom.model.states import State
from charloom.text.vocab import Codes
from tests.learning import Encoded, encode_sample, remembering_model, small_model, small_training

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module", params=[0, 4], ids=["no-memory", "memory"])
def model(encoded: Encoded, request: pytest.FixtureRequest) -> CharModel:
    return remembering_model(encoded, memory=request.param)


@pytest.fixture(scope="module")
def texts(encoded: Encoded) -> list[Codes]:
    """100 articles, a text much longer than STEPS_PER_CALL, an empty text, and a text of a single character."""
    articles = [encoded.test.article(index) for index in range(100)]
    eos = np.array([encoded.vocabulary.eos], encoded.vocabulary.dtype)
    return [*articles, np.concatenate([eos, *(text[1:] for text in articles[:6])]), np.tile(eos, 2), articles[0][:2]]


@pytest.fixture(scope="module", params=[0, 4], ids=["no-memory", "memory"])
def conditioned_model(encoded: Encoded, request: pytest.FixtureRequest) -> CharModel:
    """A model with four classes, which have random effects. If it has a memory, the memory counts the classes."""
    changes = {"classes": len(AG_NEWS_CLASSES), "memory": request.param, "class_memory": 3}
    model = small_training(encoded, changes).model
    torch.nn.init.normal_(model.initial)
    torch.nn.init.normal_(model.class_head)
    return model


def test_each_text_is_scored_with_its_class(conditioned_model: CharModel, texts: list[Codes]) -> None:
    classes = list(itertools.islice(itertools.cycle(range(5)), len(texts)))
    together = list(surprisals(conditioned_model, texts, top=2, classes=classes))
    for text, class_id, found in zip(texts, classes, together, strict=True):
        (alone,) = surprisals(conditioned_model, [text], top=2, classes=[class_id])
        assert found.nats == pytest.approx(alone.nats, rel=1e-5)
        assert found.probabilities == pytest.approx(alone.probabilities, rel=1e-5)
        assert found.log_ratios == pytest.approx(alone.log_ratios, rel=1e-5)
    with_a_class = [found.log_ratios.any() for found, class_id in zip(together, classes, strict=True) if class_id < 4]
    assert all(with_a_class) == (conditioned_model.memory is not None)


def test_the_highest_class_id_means_that_no_class_is_given(conditioned_model: CharModel, texts: list[Codes]) -> None:
    no_class, not_given = (
        list(surprisals(conditioned_model, texts[:3], classes=classes)) for classes in ([4] * 3, None)
    )
    assert all(np.array_equal(a.nats, b.nats) for a, b in zip(no_class, not_given, strict=True))


def nats_symbol_by_symbol(model: CharModel, symbols: list[int]) -> list[float]:
    """The nats of each symbol of a text, computed one step at a time in the precision of the model.

    A memory predicts in float32 in each case.
    """
    state: State | None = None
    nats = []
    with torch.no_grad():
        for symbol, following in itertools.pairwise(symbols):
            logits, state = model(torch.tensor([[symbol]]), state)
            nats.append(-torch.log_softmax(logits[0, 0], 0)[following].item())
    return nats


@pytest.mark.parametrize(
    ("layers", "cell", "memory"), [*itertools.product([1, 2], CELLS, [0]), (1, "LSTM", 4), (2, "GRU", 3)]
)
def test_scores_equal_single_steps_in_float64(
    encoded: Encoded, texts: list[Codes], cell: str, layers: int, memory: int
) -> None:
    model = remembering_model(encoded, memory=memory, cell=cell, layers=layers).eval()
    # With a memory, some probabilities are almost 1. The surprisal is then almost 0, and float32 rounds 1 to 6e-8.
    nearly = partial(pytest.approx, rel=1e-5, abs=1e-6 if memory else 0)
    found = list(surprisals(model, texts))
    scores = score_articles(model, encoded.test)
    model.double()
    for index in (0, 17, 99, *range(100, len(texts))):
        expected = nats_symbol_by_symbol(model, texts[index].tolist())
        assert found[index].nats == nearly(expected)
        assert found[index].bits == nearly(np.array(expected) / math.log(2))
        if index < 100:
            assert scores.nats[index] == pytest.approx(sum(expected), rel=1e-5)


@pytest.mark.parametrize("cuts", [[1], [2, 2, 300], [129, 1000]])
def test_a_text_costs_as_much_as_its_pieces_with_the_state_carried_over(
    model: CharModel, texts: list[Codes], cuts: list[int]
) -> None:
    text = texts[100]
    (whole,) = surprisals(model, [text])
    pieces = list(surprisals_of_pieces(model, np.split(text, cuts)))
    assert [len(piece.nats) for piece in pieces] == np.diff([1, *cuts, len(text)]).tolist()
    assert sum(piece.nats.sum() for piece in pieces) == pytest.approx(whole.nats.sum(), rel=1e-6)
    assert np.concatenate([piece.nats for piece in pieces]) == pytest.approx(whole.nats, rel=1e-5)


def test_pieces_that_are_scored_without_the_state_do_not_add_up_to_the_text(
    model: CharModel, texts: list[Codes]
) -> None:
    """So the test above would notice a lost state."""
    text = texts[0]
    whole, *pieces = surprisals(model, [text, text[:40], text[39:]])
    assert sum(piece.nats.sum() for piece in pieces) != pytest.approx(whole.nats.sum(), rel=1e-5)


def test_a_text_costs_the_same_alone_and_with_others(model: CharModel, texts: list[Codes]) -> None:
    together = list(surprisals(model, iter(texts)))
    for text, found in zip(texts, together, strict=True):
        (alone,) = surprisals(model, [text])
        assert alone.nats == pytest.approx(found.nats, rel=1e-5)


def test_texts_that_end_at_any_step_are_scored_to_their_end(model: CharModel, texts: list[Codes]) -> None:
    """The model reads a batch in pieces of at least 128 steps, and finished texts are dropped between the pieces."""
    text = np.resize(texts[100], 3000)
    lengths = [1, 2, 128, 129, 130, 131, 255, 256, 257, 258, 2048, 2049, 2050, 3000]
    (whole,) = surprisals(model, [text], top=3)
    for length, found in zip(lengths, surprisals(model, [text[:length] for length in lengths], top=3), strict=True):
        assert found.nats == pytest.approx(whole.nats[: length - 1], rel=1e-5)
        assert found.probabilities == pytest.approx(whole.probabilities[: length - 1], rel=1e-5)
        assert found.expected.shape == found.probabilities.shape == (length - 1, 3)


def test_the_expected_symbols_are_the_likeliest_with_their_probabilities(model: CharModel, texts: list[Codes]) -> None:
    (found,) = surprisals(model, texts[:1], top=len(model.head.bias))
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.diff(found.probabilities, axis=1) <= 0).all()
    place = np.argmax(found.expected == texts[0][1:, None], axis=1)
    probabilities = np.take_along_axis(found.probabilities, place[:, None], axis=1)[:, 0]
    assert -np.log(probabilities) == pytest.approx(found.nats, rel=1e-5)
    (few,) = surprisals(model, texts[:1], top=2)
    assert np.array_equal(few.expected, found.expected[:, :2])


def test_texts_are_read_only_as_their_scores_are_asked_for(model: CharModel, texts: list[Codes]) -> None:
    read = 0

    def endless() -> Iterator[Codes]:
        nonlocal read
        for text in itertools.cycle(texts):
            read += len(text)
            yield text

    next(surprisals(model, endless()))
    assert read < 1.1 * 2**20  # `surprisals` reads about 2**20 symbols ahead


def symbols_read(model: CharModel, texts: Iterable[Codes]) -> int:
    """The number of symbols that the model reads to score texts, with the padding."""
    read = 0

    def count(module: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        nonlocal read
        read += arguments[0].numel()

    with model.register_forward_pre_hook(count):
        score_all(model, texts)
    return read


def score_all(model: CharModel, texts: Iterable[Codes], top: int = 0) -> None:
    for _ in surprisals(model, texts, top):
        pass


def symbols_to_read(texts: Iterable[Codes]) -> int:
    """The number of symbols that a model must read to score texts: all but the last symbol of each text."""
    return sum(len(text) - 1 for text in texts)


@pytest.mark.parametrize("short", [1, 63])
def test_a_long_text_is_read_alone_after_short_texts_have_ended(
    model: CharModel, texts: list[Codes], short: int
) -> None:
    mixed = [*texts[:short], np.resize(texts[0], 20_000)]
    assert symbols_read(model, mixed) < symbols_to_read(mixed) + 128 * len(mixed)


class LargestTensor(TorchFunctionMode):
    """Notes the size of the largest tensor that a function of torch returns, in elements."""

    elements = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        for each in returned if isinstance(returned, tuple) else [returned]:
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return returned


def test_no_tensor_has_the_size_of_the_longest_text_times_the_number_of_texts(
    encoded: Encoded, texts: list[Codes]
) -> None:
    model = small_model(len(encoded.vocabulary))
    mixed, top = [*texts[:63], np.resize(texts[0], 50_000)], 4
    with LargestTensor() as largest:
        score_all(model, mixed, top)
    of_one_call = 64 * 128 * model.symbols  # the logits of 64 texts in 128 steps
    assert largest.elements <= max(of_one_call, top * sum(map(len, mixed)))


def test_padding_is_less_than_a_fiftieth_of_the_text(encoded: Encoded, ag_news_26k: Path) -> None:
    model = small_model(len(encoded.vocabulary))
    texts = [np.zeros(len(article.text) + 2, np.uint8) for article in read_articles(ag_news_26k / "test.csv")]
    assert 1 < symbols_read(model, texts) / symbols_to_read(texts) < 1.02


def test_texts_of_equal_length_are_not_padded(model: CharModel, texts: list[Codes]) -> None:
    equal = [np.resize(text, 150) for text in texts[:70]]
    assert symbols_read(model, equal) == symbols_to_read(equal)


def test_the_perplexity_of_a_uniform_model_is_the_size_of_the_vocabulary(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    total = score_articles(model, encoded.test).total
    assert total.perplexity == pytest.approx(len(encoded.vocabulary), rel=1e-6)
    symbols = encoded.test.characters + encoded.test.articles
    expected = symbols * math.log2(len(encoded.vocabulary)) / encoded.test.characters
    assert total.bits_per_character == pytest.approx(expected, rel=1e-6)


def test_eos_is_a_symbol_but_not_a_character(encoded: Encoded) -> None:
    scores = score_articles(small_model(len(encoded.vocabulary)), encoded.test)
    assert len(scores.nats) == len(scores.characters) == encoded.test.articles == 128
    assert scores.total.characters == encoded.test.characters == scores.characters.sum()
    assert scores.total.symbols == encoded.test.characters + encoded.test.articles


def test_scoring_changes_neither_the_weights_nor_the_mode(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary), dropout=0.5, layers=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = score_articles(model, encoded.valid)
    second = score_articles(model, encoded.valid)
    assert np.array_equal(first.nats, second.nats)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_perplexity_of_an_absurd_loss_is_finite() -> None:
    assert math.isfinite(Scores(np.array([1e9]), np.array([1])).total.perplexity)


def test_costs_can_be_added() -> None:
    total = Cost(nats=2.0, symbols=4, characters=3) + Cost(nats=1.0, symbols=2, characters=1)
    assert total == Cost(nats=3.0, symbols=6, characters=4)
    assert total.bits == pytest.approx(3 / math.log(2))
    assert total.bits_per_character == pytest.approx(total.bits / 4)
    assert total.nats_per_symbol == 0.5
