"""Long contexts in the counted text: their keys, the places that share them, and the share of what followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from charloom.model.matching import BITS, HISTORY, LENGTHS, NO_KEY, SHIFTS, LongContexts, Matches, follow, keys_of
from tests.model.slow_memory import (
    ALL_NUMBERS,
    Context,
    Counted,
    SlowMemory,
    articles_of,
    count_small_text,
    long_contexts,
    with_history,
)

EOS = 6


@pytest.fixture(scope="module")
def counted() -> Counted:
    return count_small_text(order=2)


@pytest.fixture(scope="module")
def slow(counted: Counted) -> SlowMemory:
    return SlowMemory(counted.text, counted.memory, EOS)


@pytest.fixture(scope="module")
def contexts(counted: Counted) -> LongContexts:
    return LongContexts(torch.tensor(counted.text, dtype=torch.uint8), EOS)


def keys(ids: Sequence[int], eos: int = EOS) -> Tensor:
    """The key (symbols) behind each symbol of a text."""
    return keys_of(with_history(ids, eos), eos)[HISTORY:, 0]


def random_ids(count: int, symbols: int = EOS, seed: int = 1) -> list[int]:
    return torch.randint(0, symbols, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def test_the_bits_of_a_key_belong_to_the_lengths_in_their_order() -> None:
    assert len(LENGTHS) == len(BITS) == len(SHIFTS)
    assert list(LENGTHS) == sorted(set(LENGTHS))
    assert [sum(BITS[n:]) for n in range(1, len(BITS) + 1)] == list(SHIFTS)
    assert sum(BITS) == 63  # so no key is negative, and NO_KEY differs from all keys in its first bit


@pytest.mark.parametrize("factor", [1, 45, 99_991])
def test_equal_contexts_have_equal_bits_wherever_they_stand(counted: Counted, factor: int) -> None:
    """The bits of two different contexts are almost always different."""
    ids = [factor * symbol for symbol in (*counted.text, *counted.unseen, *random_ids(3000))]
    found = keys(ids, factor * EOS)
    bits: dict[tuple[int, Context], set[int]] = defaultdict(set)
    for place, key in enumerate(found.tolist()):
        each = list(long_contexts(ids[max(0, place + 1 - HISTORY) : place + 1], factor * EOS))
        assert (key == NO_KEY) == (not each)
        for number, context in each:
            bits[number, context].add(key >> SHIFTS[number - 1])
    assert {len(each) for each in bits.values()} == {1}
    for number in range(1, len(LENGTHS) + 1):
        all_bits = [each.copy().pop() for (other, _), each in bits.items() if other == number]
        assert len(set(all_bits)) > 0.99 * len(all_bits)


def test_equal_contexts_have_equal_bits_far_away_from_each_other() -> None:
    for number, length in enumerate(LENGTHS, start=1):
        passage = random_ids(length)
        ids = [EOS, *random_ids(200_000, seed=2), 0, *passage, *random_ids(70_000, seed=3), 1, *passage]
        first, second = keys(ids)[[200_001 + length, -1]].tolist()
        assert first >> SHIFTS[number - 1] == second >> SHIFTS[number - 1]
        assert first != second or number == len(LENGTHS)


def test_the_columns_of_a_batch_have_the_keys_of_single_texts(counted: Counted) -> None:
    columns = counted.unseen, counted.text[: len(counted.unseen)], counted.text[: -len(counted.unseen) - 1 : -1]
    together = keys_of(torch.cat([with_history(ids, EOS) for ids in columns], 1), EOS)[HISTORY:]
    for column, ids in enumerate(columns):
        assert torch.equal(together[:, column], keys(ids))


def test_nothing_before_the_opening_eos_of_an_article_matters() -> None:
    article = [EOS, *random_ids(2 * HISTORY)]
    expected = keys(article)
    for size in (1, 2, LENGTHS[0], HISTORY - 1, HISTORY, 3 * HISTORY):
        assert torch.equal(keys([EOS, *random_ids(size, seed=size), *article])[size + 1 :], expected)
    assert (expected == NO_KEY).tolist() == [n < LENGTHS[0] for n in range(1, len(article) + 1)]


def test_an_article_that_begins_as_another_article_matches_from_eos_on() -> None:
    """A context that reaches back to the `<eos>` cannot be longer, so it counts as one of the longest matches."""
    ids = [EOS, *random_ids(LENGTHS[0])]
    contexts = LongContexts(torch.tensor([*ids, 3, EOS, 1, *ids[1:], 4, EOS]), EOS)
    assert contexts.find(keys(ids))[0][-1] == 3
    assert contexts.find(keys(ids))[1].tolist() == [0] * (LENGTHS[0] - 1) + [len(LENGTHS)] * 2
    assert int(contexts.find(keys([EOS, 5, 5, *ids[1:]]))[1][-1]) == 1


@pytest.mark.parametrize("use_articles", [False, True])
def test_the_longest_match_is_found(
    counted: Counted, slow: SlowMemory, contexts: LongContexts, use_articles: bool
) -> None:
    """Almost always: two different contexts can have the same bits."""
    ids = counted.text if use_articles else counted.unseen
    articles = articles_of([*ids, EOS], EOS)[:, 0] if use_articles else torch.full((len(ids),), -1)
    found = contexts.find(keys(ids), articles if use_articles else None)
    numbers, wrong = set(), 0
    for place, article in enumerate(articles.tolist()):
        number, symbols = slow.match(ids[: place + 1], article)
        wrong += int(found.lengths[place]) != number or bool(symbols and int(found.symbols[place]) not in symbols)
        numbers.add(number)
    assert wrong <= 0.02 * len(ids)
    assert numbers == ALL_NUMBERS, "matches of all lengths occur"


def test_no_match_is_in_the_own_article() -> None:
    """Each article consists of symbols that only this article has, and it repeats itself."""
    text = [99]
    for article in range(8):
        part = [12 * article + symbol for symbol in random_ids(HISTORY, 12, seed=article)]
        text += [*part, *part, *part[:-5], 99]
    contexts = LongContexts(torch.tensor(text), 99)
    articles = articles_of(text, 99)[:, 0]
    found = contexts.find(keys(text, 99)[:-1], articles)
    assert int((found.lengths > 0).sum()) <= 0.02 * len(text)
    others = contexts.find(keys(text, 99)[:-1], (articles + 1) % 8)
    has_key = keys(text, 99)[:-1] != NO_KEY
    assert (others.lengths[has_key] == len(LENGTHS)).all()
    assert not others.lengths[~has_key].any()


@pytest.mark.parametrize("piece", [1, HISTORY, HISTORY + 1, 100, 699])
def test_a_text_whose_keys_are_computed_in_pieces_has_the_same_matches(
    counted: Counted, contexts: LongContexts, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.matching.PIECE", piece)
    in_pieces = LongContexts(torch.tensor(counted.text, dtype=torch.int32), EOS)
    for found, expected in zip(in_pieces.find(keys(counted.unseen)), contexts.find(keys(counted.unseen)), strict=True):
        assert torch.equal(found, expected)


def test_the_shortest_text_has_no_match() -> None:
    contexts = LongContexts(torch.tensor([EOS, EOS]), EOS)
    found = contexts.find(keys([EOS, *random_ids(2 * HISTORY)]))
    assert not found.lengths.any()
    assert not found.symbols.any()


def test_the_symbol_of_a_match_gets_the_share_of_its_length_and_depth() -> None:
    before = torch.softmax(torch.rand(5, 4, generator=torch.Generator().manual_seed(1)), 1)
    shares = torch.rand(len(LENGTHS), 3, generator=torch.Generator().manual_seed(2))
    matches = Matches(torch.tensor([3, 0, 2, 2, 1]), torch.tensor([1, 0, 2, len(LENGTHS), 1]))
    depths = torch.tensor([0, 1, 2, 1, 2])
    found = follow(before.clone(), matches, shares, depths)
    for place, share in enumerate([shares[0, 0], torch.tensor(0.0), shares[1, 2], shares[-1, 1], shares[0, 2]]):
        expected = (1 - share) * before[place]
        expected[matches.symbols[place]] += share
        torch.testing.assert_close(found[place], expected)
    assert torch.equal(found[1], before[1])
