"""The n-gram memory: its predictions equal those of a slow implementation of the same formula, over dictionaries."""

from __future__ import annotations

from itertools import cycle, pairwise
from typing import Any

import numpy as np
import pytest
import torch

from charloom.model.counting import make_memory
from charloom.model.interpolation import RARE
from charloom.model.matching import HISTORY, LENGTHS
from charloom.model.memory import Cursor, Memory
from tests.model.slow_memory import (
    ALL_NUMBERS,
    Counted,
    SlowMemory,
    articles_of,
    count_small_text,
    share_of_wrong_places,
    with_history,
)


# The order of the memory, and a factor for the ids. Ids from 0 to 7 are stored as bytes, ids from 0 to 315 as int32.
@pytest.fixture(scope="module", params=[(1, 1), (2, 1), (4, 1), (7, 1), (6, 45)], ids=str)
def counted(request: pytest.FixtureRequest) -> Counted:
    return count_small_text(*request.param)


@pytest.fixture(scope="module")
def memory() -> Memory:
    return count_small_text(order=6).memory


# Without matches, each place is predicted exactly. With matches, two different contexts sometimes have equal hashes.
factors = pytest.mark.parametrize(("factor", "allowed"), [(0, 0), (1, 0.02)], ids=["no-match", "matches"])


def with_match_shares(counted: Counted, factor: float) -> Memory:
    """The memory with other shares of the matches."""
    stored = counted.memory.stored | {"match_shares": factor * counted.memory.stored["match_shares"]}
    return Memory.from_stored(stored, counted.memory.symbols, counted.eos)


@factors
def test_predictions_equal_those_of_the_formula(counted: Counted, factor: float, allowed: float) -> None:
    memory = with_match_shares(counted, factor)
    slow = SlowMemory(counted.text, memory, counted.eos)
    texts = counted.text[: len(counted.unseen)], counted.unseen
    found = memory.read(torch.tensor(texts).T, None)[0].probabilities
    for column, ids in enumerate(texts):
        expected = (slow.predict(ids[:end]) for end in range(1, len(ids) + 1))
        assert share_of_wrong_places(found[:, column], expected) <= allowed
    numbers = {slow.match(counted.unseen[:end])[0] for end in range(1, len(counted.unseen))}
    assert numbers == ALL_NUMBERS, "matches of all lengths occur"


@factors
@pytest.mark.parametrize("rare", [RARE, 1000])
def test_a_place_left_out_is_predicted_as_if_it_had_not_been_counted(
    counted: Counted, factor: float, allowed: float, rare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1000, nothing is approximated. Every fourth article is predicted as an article that was not counted."""
    monkeypatch.setattr("charloom.model.interpolation.RARE", rare)
    memory, text, eos = with_match_shares(counted, factor), counted.text, counted.eos
    slow = SlowMemory(text, memory, eos)
    articles = torch.where(articles_of(text, eos) % 4 == 1, -1, articles_of(text, eos))
    expected = [
        slow.predict(text[:end], article, None if article == -1 else text[end], rare)
        for end, article in enumerate(articles[:, 0].tolist(), start=1)
    ]
    found = memory.leave_one_out(with_history(text, eos), articles).probabilities
    assert share_of_wrong_places(found[:, 0], expected) <= allowed
    numbers = {slow.match(text[:end], article)[0] for end, article in enumerate(articles[:, 0].tolist(), start=1)}
    assert numbers == ALL_NUMBERS, "matches of all lengths occur"


@factors
@pytest.mark.parametrize("dense_level", [0, 1, 3])
def test_fewer_dense_levels_are_those_of_the_formula_too(
    counted: Counted, factor: float, allowed: float, dense_level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of a match depends on the number of levels that are not dense."""
    dense_level = min(dense_level, counted.memory.order)
    most = counted.memory.counts.trie.first_rows[dense_level + 1] * counted.memory.symbols
    monkeypatch.setattr("charloom.model.interpolation.MAX_DENSE", most)
    memory = with_match_shares(counted, factor)
    slow = SlowMemory(counted.text, memory, counted.eos, dense_level)
    found = memory.read(torch.tensor(counted.unseen)[:, None], None)[0].probabilities
    expected = (slow.predict(counted.unseen[:end]) for end in range(1, len(counted.unseen) + 1))
    assert share_of_wrong_places(found[:, 0], expected) <= allowed


def test_probabilities_sum_to_one(counted: Counted) -> None:
    ids, eos = torch.tensor(counted.text)[:, None], counted.eos
    found, _ = counted.memory.read(ids, None)
    left_out = counted.memory.leave_one_out(with_history(counted.text, eos), articles_of(counted.text, eos))
    for each in (found.probabilities, left_out.probabilities):
        assert float(each.min()) > 0
        assert float((each.sum(-1) - 1).abs().max()) < 1e-5


def test_no_probability_is_zero_even_if_a_share_is_one(counted: Counted) -> None:
    """The logarithm of a probability must be finite."""
    ones = {name: torch.ones_like(counted.memory.stored[name]) for name in ("shares", "match_shares")}
    memory = Memory.from_stored(counted.memory.stored | ones, counted.memory.symbols, counted.eos)
    found, _ = memory.read(torch.tensor(counted.unseen)[:, None], None)
    left_out = memory.leave_one_out(with_history(counted.text, counted.eos), articles_of(counted.text, counted.eos))
    assert 0 < float(found.probabilities.min()) < 1e-6
    assert 0 < float(left_out.probabilities.min()) < 1e-6


@pytest.mark.parametrize("sizes", [[1], [2], [7], [HISTORY], [50, 1, 3], [1, 1, 40]], ids=str)
def test_a_text_read_in_pieces_has_the_same_predictions(counted: Counted, sizes: list[int]) -> None:
    ids = torch.tensor([counted.unseen, counted.text[: len(counted.unseen)]]).T
    whole, end = counted.memory.read(ids, None)
    assert torch.equal(end.recent, ids[-HISTORY:])
    cursor: Cursor | None = None
    begin = 0
    for size in cycle(sizes):
        found, cursor = counted.memory.read(ids[begin : begin + size], cursor)
        assert torch.equal(found.probabilities, whole.probabilities[begin : begin + size])
        begin += size
        if begin >= len(ids):
            break


def test_nothing_before_the_opening_eos_of_an_article_matters(counted: Counted) -> None:
    ids = [*counted.text, *counted.unseen]
    whole = counted.memory.read(torch.tensor(ids)[:, None], None)[0].probabilities
    for begin, end in pairwise([*np.flatnonzero(np.array(ids) == counted.eos).tolist(), len(ids)]):
        alone, _ = counted.memory.read(torch.tensor(ids[begin:end])[:, None], None)
        assert torch.equal(alone.probabilities, whole[begin:end])


def test_nothing_before_the_opening_eos_matters_if_places_are_left_out(counted: Counted) -> None:
    articles = articles_of(counted.text, counted.eos)
    whole = counted.memory.leave_one_out(with_history(counted.text, counted.eos), articles).probabilities
    for number in range(int(articles.max()) + 1):
        places = (articles[:, 0] == number).nonzero()[:, 0]
        ids = counted.text[int(places[0]) : int(places[-1]) + 2]
        alone = counted.memory.leave_one_out(with_history(ids, counted.eos), articles[places])
        torch.testing.assert_close(alone.probabilities, whole[places])


@pytest.mark.parametrize("length", [LENGTHS[0] - 1, LENGTHS[0], HISTORY + 5])
def test_a_match_in_another_article_is_used_but_none_in_the_own_article(length: int) -> None:
    """The second article repeats the end of the first one, but another symbol follows. The share of a match is 1."""
    eos, first, second = 60, 61, 62
    passage = np.random.default_rng(1).permutation(60)[: HISTORY + 5].tolist()
    text = [eos, *passage, first, eos, *passage[-length:], second, eos]
    memory = make_memory(torch.tensor(text), 63, eos, 2)
    ids, articles, ends = with_history(text, eos), articles_of(text, eos), [len(passage), len(text) - 3]
    memory.use_match_shares(torch.zeros_like(memory.stored["match_shares"]))
    without_matches = memory.leave_one_out(ids, articles).probabilities[ends, 0]
    memory.use_match_shares(torch.ones_like(memory.stored["match_shares"]))
    left_out = memory.leave_one_out(ids, articles).probabilities[ends, 0]
    if length < LENGTHS[0]:
        assert torch.equal(left_out, without_matches)
    else:
        assert left_out.argmax(1).tolist() == [second, first]
        assert float(left_out.amax(1).min()) == pytest.approx(1)
    not_counted = memory.leave_one_out(ids, torch.full_like(articles, -1)).probabilities[ends, 0]
    assert float(not_counted[0, first]) == pytest.approx(1)


def test_the_most_frequent_symbols_come_first() -> None:
    text = [symbol for symbol, count in ((3, 1), (0, 2), (5, 4), (1, 2)) for _ in range(count)]
    memory = make_memory(torch.tensor([6, *text, 6, 6, 6]), 8, 6, 1)
    assert memory.by_frequency.tolist() == [5, 6, 0, 1, 3, 2, 4, 7]


def test_the_stored_form_gives_the_same_memory_back(counted: Counted) -> None:
    again = Memory.from_stored(counted.memory.stored, counted.memory.symbols, counted.eos)
    assert again.by_class is None
    assert again.stored.keys() == counted.memory.stored.keys()
    assert all(torch.equal(again.stored[name], tensor) for name, tensor in counted.memory.stored.items())
    ids, articles = with_history(counted.text, counted.eos), articles_of(counted.text, counted.eos)
    for memory in (again, counted.memory.to("cpu:0")):  # the CPU by another name: the memory is built again
        assert memory is not counted.memory
        assert torch.equal(memory.read(ids, None)[0].probabilities, counted.memory.read(ids, None)[0].probabilities)
        found, expected = (each.leave_one_out(ids, articles).probabilities for each in (memory, counted.memory))
        assert torch.equal(found, expected)


def test_a_memory_that_is_on_its_device_is_not_built_again(memory: Memory) -> None:
    assert memory.to("cpu") is memory


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("shares", lambda tensor: tensor + 2),
        ("shares", lambda tensor: tensor[1:]),
        ("match_shares", lambda tensor: tensor.double()),
        ("match_shares", lambda tensor: tensor.half()),
        ("match_shares", lambda tensor: tensor * float("inf")),
        ("match_shares", lambda tensor: tensor * float("nan")),
        ("match_shares", lambda tensor: tensor + 2),
        ("match_shares", lambda tensor: tensor - 2),
        ("match_shares", lambda tensor: tensor[1:]),
        ("match_shares", lambda tensor: tensor[:, 1:]),
        ("match_shares", lambda tensor: tensor.flatten()),
        ("text", lambda tensor: tensor.long()),
        ("text", lambda tensor: tensor.float()),
        ("text", lambda tensor: tensor == 0),
        ("text", lambda tensor: tensor[:, None]),
        ("text", lambda tensor: tensor[0]),
        ("text", lambda tensor: tensor[:0]),
        ("text", lambda tensor: tensor[:1]),
        ("text", lambda tensor: tensor[1:]),
        ("text", lambda tensor: tensor + 2),
        ("text", lambda tensor: torch.where(tensor == 5, -1, tensor.int())),
    ],
)
def test_damaged_shares_and_a_damaged_text_are_refused(memory: Memory, name: str, change: Any) -> None:
    stored = memory.stored | {name: change(memory.stored[name])}
    with pytest.raises(ValueError, match=r"^(a text|shares|a share) "):
        Memory.from_stored(stored, memory.symbols, 6)


@pytest.mark.parametrize("name", ["text", "shares", "match_shares", "symbols.0", "counts.6"])
def test_a_missing_tensor_is_refused(memory: Memory, name: str) -> None:
    stored = {each: tensor for each, tensor in memory.stored.items() if each != name}
    with pytest.raises(ValueError, match="tensors are missing or have unknown names"):
        Memory.from_stored(stored, memory.symbols, 6)


def test_a_memory_without_levels_is_refused(memory: Memory) -> None:
    names = ("text", "shares", "match_shares")
    with pytest.raises(ValueError, match="unknown names"):
        Memory.from_stored({name: memory.stored[name] for name in names}, memory.symbols, 6)


def test_a_memory_cannot_use_match_shares_that_do_not_fit(memory: Memory) -> None:
    match_shares = memory.stored["match_shares"]
    for wrong in (match_shares[1:], match_shares[:, 1:], match_shares + 2):
        with pytest.raises(ValueError, match="share"):
            memory.use_match_shares(wrong)
    assert torch.equal(memory.stored["match_shares"], match_shares)
