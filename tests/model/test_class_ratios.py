"""How many times likelier a memory says that a symbol is in the given class than in all articles."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
import torch
from torch import Tensor

from charloom.model.interpolation import RARE
from charloom.model.matching import HISTORY
from charloom.model.memory import Cursor, Memory, Remembered
from tests.model.slow_memory import (
    CLASSES,
    NO_CLASS,
    Counted,
    SlowClasses,
    articles_of,
    classes_of,
    count_small_text,
    share_of_wrong_places,
    with_history,
)

# Leaving a count out is a subtraction in float32. So a ratio near 0 has a larger relative error.
RTOL, ATOL = 1e-4, 5e-5
UNKNOWN = 65535  # another class id that is too high, so that no class is given


# The order of the memory, a factor for the ids, and the order of the counts by class.
@pytest.fixture(scope="module", params=[(1, 1, 2), (7, 1, 3), (3, 1, 7), (6, 45, 5)], ids=str)
def counted(request: pytest.FixtureRequest) -> Counted:
    return count_small_text(*request.param)


@pytest.fixture(scope="module")
def slow(counted: Counted) -> SlowClasses:
    return SlowClasses(counted)


@pytest.fixture(scope="module")
def memory() -> Memory:
    return count_small_text(order=6, class_order=4).memory


def ratios(remembered: Remembered) -> Tensor:
    assert remembered.class_ratios is not None
    return remembered.class_ratios


def texts_with_classes(counted: Counted) -> tuple[Tensor, Tensor]:
    """Three texts, and the class id of each place. Both have the shape (time, batch).

    The class changes at each `<eos>`. The articles of the first text have their own classes.
    """
    own = counted.text[: len(counted.unseen)]
    texts = torch.tensor([own, own, counted.unseen]).T
    random = torch.randint(0, CLASSES + 2, (36, 2), generator=torch.Generator().manual_seed(1))
    of_articles = torch.cat([torch.tensor(counted.classes)[:, None], random], 1)
    of_articles[of_articles == CLASSES + 1] = UNKNOWN
    return texts, of_articles.gather(0, (texts == counted.eos).cumsum(0) - 1)


def test_the_ratios_equal_those_of_the_formula(counted: Counted, slow: SlowClasses) -> None:
    ids, classes = texts_with_classes(counted)
    assert {*classes.flatten().tolist()} == {*range(CLASSES), NO_CLASS, UNKNOWN}
    found = ratios(counted.memory.read(ids, None, classes)[0])
    for column in range(3):
        text, ends = ids[:, column].tolist(), enumerate(classes[:, column].tolist(), start=1)
        expected = (slow.ratios(text[:end], class_id) for end, class_id in ends)
        assert share_of_wrong_places(found[:, column], expected, RTOL, ATOL) == 0


@pytest.mark.parametrize("rare", [RARE, 1000])
def test_a_place_left_out_has_the_ratios_of_a_place_that_was_not_counted(
    counted: Counted, slow: SlowClasses, rare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1000, nothing is approximated.

    Every fourth article is predicted as one that was not counted, with another class. No class is given for every
    seventh article.
    """
    monkeypatch.setattr("charloom.model.interpolation.RARE", rare)
    text, eos = counted.text, counted.eos
    articles = articles_of(text, eos)
    classes = torch.tensor(classes_of(text, counted.classes, eos))[:, None]
    classes = torch.where(articles % 4 == 1, (classes + 1) % CLASSES, classes)
    classes = torch.where(articles % 7 == 1, NO_CLASS, classes)
    articles = torch.where(articles % 4 == 1, -1, articles)
    found = ratios(counted.memory.leave_one_out(with_history(text, eos), articles, classes))
    pairs = zip(articles[:, 0].tolist(), classes[:, 0].tolist(), strict=True)
    expected = [
        slow.ratios(text[:end], class_id, None if article == -1 else text[end], rare)
        for end, (article, class_id) in enumerate(pairs, start=1)
    ]
    assert share_of_wrong_places(found[:, 0], expected, RTOL, ATOL) == 0


def test_the_columns_of_a_batch_have_the_ratios_of_single_texts(counted: Counted) -> None:
    ids, classes = texts_with_classes(counted)
    together = ratios(counted.memory.read(ids, None, classes)[0])
    articles = torch.tensor([[-1, 0, 3]]).expand(len(ids) - HISTORY - 1, -1)
    left_out = ratios(counted.memory.leave_one_out(ids, articles, classes[HISTORY:-1]))
    for column in range(3):
        one = slice(column, column + 1)
        alone = counted.memory.read(ids[:, one], None, classes[:, one])[0]
        assert torch.equal(together[:, one], ratios(alone))
        alone = counted.memory.leave_one_out(ids[:, one], articles[:, one], classes[HISTORY:-1, one])
        torch.testing.assert_close(left_out[:, one], ratios(alone), rtol=RTOL, atol=ATOL)


def test_the_classes_do_not_change_the_probabilities(counted: Counted) -> None:
    ids, classes = texts_with_classes(counted)
    plain = count_small_text(counted.memory.order, counted.eos // 6).memory
    assert plain.by_class is None
    expected, articles = plain.read(ids, None)[0], torch.ones_like(ids[HISTORY:-1])
    for memory, given in ((counted.memory, classes), (counted.memory, None), (plain, classes)):
        found, end = memory.read(ids, None, given)
        assert torch.equal(found.probabilities, expected.probabilities)
        assert torch.equal(end.recent, ids[-HISTORY:])
        left_out = memory.leave_one_out(ids, articles, None if given is None else given[HISTORY:-1])
        assert torch.equal(left_out.probabilities, plain.leave_one_out(ids, articles).probabilities)


def test_the_ratio_is_exactly_1_where_no_class_is_given(counted: Counted) -> None:
    ids, classes = texts_with_classes(counted)
    found = ratios(counted.memory.read(ids, None, classes)[0])
    left_out = counted.memory.leave_one_out(ids, torch.zeros_like(ids[HISTORY:-1]), classes[HISTORY:-1])
    for each, given in ((found, classes < CLASSES), (ratios(left_out), classes[HISTORY:-1] < CLASSES)):
        assert (each[~given] == 1).all()
        assert ((each[given] - 1).abs().amax(1) > 1e-3).float().mean() > 0.9


@pytest.mark.parametrize("classes", [None, [NO_CLASS] * 2, [UNKNOWN, NO_CLASS]], ids=str)
def test_a_text_read_without_any_class_has_no_ratios(memory: Memory, classes: list[int] | None) -> None:
    ids = torch.randint(7, (9, 2))
    found, _ = memory.read(ids, None, None if classes is None else torch.tensor(classes))
    assert found.class_ratios is None


def test_a_memory_that_does_not_count_the_classes_has_no_ratios() -> None:
    memory, ids = count_small_text(order=2).memory, torch.randint(7, (HISTORY + 5, 2))
    found, _ = memory.read(ids, None, torch.tensor([0, 1]))
    left_out = memory.leave_one_out(ids, torch.zeros_like(ids[HISTORY:-1]), torch.zeros_like(ids[HISTORY:-1]))
    assert found.class_ratios is None
    assert left_out.class_ratios is None


def test_a_class_can_be_given_for_a_text_or_for_each_symbol(memory: Memory) -> None:
    ids, classes = torch.randint(7, (20, CLASSES + 1)), torch.arange(CLASSES + 1)
    found = ratios(memory.read(ids, None, classes)[0])
    assert torch.equal(found, ratios(memory.read(ids, None, classes.expand(20, -1))[0]))


@pytest.mark.parametrize("sizes", [[1], [7], [HISTORY], [50, 1, 3], [1, 1, 40]], ids=str)
def test_a_text_read_in_pieces_has_the_same_ratios(counted: Counted, sizes: list[int]) -> None:
    """If no class is given in a whole piece, the piece has no ratios."""
    ids, classes = texts_with_classes(counted)
    whole = ratios(counted.memory.read(ids, None, classes)[0])
    cursor: Cursor | None = None
    begin = 0
    for size in cycle(sizes):
        piece = slice(begin, begin + size)
        found, cursor = counted.memory.read(ids[piece], cursor, classes[piece])
        if found.class_ratios is None:
            assert (classes[piece] >= CLASSES).all()
            assert (whole[piece] == 1).all()
        else:
            assert torch.equal(found.class_ratios, whole[piece])
        begin += size
        if begin >= len(ids):
            break


def test_ratios_are_finite_and_above_zero_even_if_a_share_is_one(counted: Counted) -> None:
    """The logarithm of a ratio must be finite."""
    ones = {name: torch.ones_like(counted.memory.stored[name]) for name in ("shares", "by_class.shares")}
    memory = Memory.from_stored(counted.memory.stored | ones, counted.memory.symbols, counted.eos, CLASSES)
    ids, classes = texts_with_classes(counted)
    found = ratios(memory.read(ids, None, classes)[0])
    left_out = memory.leave_one_out(ids, torch.zeros_like(ids[HISTORY:-1]), classes[HISTORY:-1])
    for each in (found, ratios(left_out)):
        assert each.log().isfinite().all()
        assert float(each.min()) < 1e-6


def test_the_stored_form_gives_the_same_memory_back(counted: Counted) -> None:
    stored = counted.memory.stored
    again = Memory.from_stored(stored, counted.memory.symbols, counted.eos, CLASSES)
    assert again.stored.keys() == stored.keys()
    assert all(torch.equal(again.stored[name], tensor) for name, tensor in stored.items())
    assert {name for name in stored if name.startswith("by_class.")} == {
        f"by_class.{name}" for name in counted.by_class.stored
    }
    ids, classes = texts_with_classes(counted)
    articles = torch.zeros_like(ids[HISTORY:-1])
    for memory in (again, counted.memory.to("cpu:0")):  # the CPU by another name: the memory is built again
        assert memory is not counted.memory
        found, expected = (each.read(ids, None, classes)[0] for each in (memory, counted.memory))
        assert torch.equal(ratios(found), ratios(expected))
        found, expected = (each.leave_one_out(ids, articles, classes[HISTORY:-1]) for each in (memory, counted.memory))
        assert torch.equal(ratios(found), ratios(expected))


@pytest.mark.parametrize("classes", [0, 1, CLASSES - 1, CLASSES + 1])
def test_a_memory_of_another_number_of_classes_is_refused(memory: Memory, classes: int) -> None:
    with pytest.raises(ValueError, match="unknown names" if not classes else "level 0 has 4 rows instead of"):
        Memory.from_stored(memory.stored, memory.symbols, 6, classes)


def test_a_memory_without_the_counts_by_class_is_refused(memory: Memory) -> None:
    stored = {name: tensor for name, tensor in memory.stored.items() if not name.startswith("by_class.")}
    with pytest.raises(ValueError, match="unknown names"):
        Memory.from_stored(stored, memory.symbols, 6, CLASSES)
    assert Memory.from_stored(stored, memory.symbols, 6).by_class is None


@pytest.mark.parametrize("name", ["shares", "symbols.0", "counts.4", "sizes.2"])
def test_a_missing_tensor_by_class_is_refused(memory: Memory, name: str) -> None:
    stored = {each: tensor for each, tensor in memory.stored.items() if each != f"by_class.{name}"}
    with pytest.raises(ValueError, match="unknown names"):
        Memory.from_stored(stored, memory.symbols, 6, CLASSES)


@pytest.mark.parametrize("name", ["text", "match_shares", "symbols.5", "counts.5", "by_class.shares", "", "more"])
def test_an_unknown_tensor_by_class_is_refused(memory: Memory, name: str) -> None:
    stored = memory.stored | {f"by_class.{name}": memory.stored["by_class.counts.4"]}
    with pytest.raises(ValueError, match="unknown names"):
        Memory.from_stored(stored, memory.symbols, 6, CLASSES)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("shares", lambda tensor: tensor.double()),
        ("shares", lambda tensor: tensor + 2),
        ("shares", lambda tensor: tensor * float("nan")),
        ("shares", lambda tensor: tensor[1:]),
        ("symbols.0", lambda tensor: tensor + 2),
        ("symbols.0", lambda tensor: tensor.flip(0)),
        ("symbols.1", lambda tensor: tensor.long()),
        ("symbols.1", lambda tensor: tensor[1:]),
        ("counts.0", lambda tensor: tensor.clamp(max=1)),  # then no entry leads to the rows of level 1
        ("counts.1", lambda tensor: tensor * 0),
        ("counts.2", lambda tensor: tensor.float()),
        ("sizes.0", lambda tensor: tensor[:-1]),
        ("sizes.0", lambda tensor: tensor.flip(0)),
        ("sizes.0", lambda tensor: tensor.int() * 0 + 2**30),
        ("sizes.3", lambda tensor: tensor.int() - 2),
        ("sizes.4", lambda tensor: tensor[None]),
    ],
)
def test_damaged_counts_by_class_are_refused(memory: Memory, name: str, change: Any) -> None:
    stored = memory.stored | {f"by_class.{name}": change(memory.stored[f"by_class.{name}"])}
    with pytest.raises(ValueError, match=r"^(shares|a share|a level|level \d has) "):
        Memory.from_stored(stored, memory.symbols, 6, CLASSES)


def test_a_class_can_be_given_after_a_beginning_without_one(counted: Counted) -> None:
    """The first articles are read without a class. The next article begins in the second piece."""
    beginning, article = torch.tensor([[counted.eos, 1, 2, 0]]).T, torch.tensor([[counted.eos, 0, 1, 2, 1, 1]]).T
    given = torch.full_like(article, 1)
    _, cursor = counted.memory.read(beginning, None, None)
    found, _ = counted.memory.read(article, cursor, given)
    assert torch.equal(ratios(found), ratios(counted.memory.read(article, None, given)[0]))
