"""The counts of a text, with their shares: of all articles, or of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charloom.model.counting import count_classes, count_ngrams
from charloom.model.counts import Counts
from charloom.model.interpolation import BUCKETS, MAX_DENSE, RARE
from charloom.model.matching import HISTORY
from tests.model.slow_memory import (
    CLASSES,
    NO_CLASS,
    Counted,
    SlowClasses,
    SlowCounts,
    classes_of,
    count_small_text,
    random_shares,
    share_of_wrong_places,
    with_history,
)

EOS = 6


# The order of the memory, a factor for the ids, and the order of the counts by class.
def rows_of(counts: Counts, ids: Tensor, roots: Tensor) -> Tensor:
    """The rows (levels, places) of the contexts before each place. `ids` (HISTORY + time, batch) begin with history."""
    rows, _ = counts.trie.walk(ids[HISTORY:], roots, counts.trie.no_context(ids.shape[1]))
    return rows.flatten(1)


@pytest.fixture(scope="module", params=[(1, 1, 1), (7, 1, 3), (2, 1, 7), (5, 45, 6)], ids=str)
def counted(request: pytest.FixtureRequest) -> Counted:
    return count_small_text(*request.param)


@pytest.fixture(scope="module")
def slow(counted: Counted) -> list[SlowCounts]:
    """By class id, the counts of the class in dictionaries."""
    return SlowClasses(counted).of_class


@pytest.fixture(scope="module")
def by_class() -> Counts:
    return count_small_text(order=1, class_order=4).by_class


def test_each_class_predicts_as_if_there_were_no_other_articles(counted: Counted, slow: list[SlowCounts]) -> None:
    """The class changes at each `<eos>`. In each column, the articles have other classes."""
    text, eos, counts = counted.text[: len(counted.unseen)], counted.eos, counted.by_class
    columns = [(text, 0), (text, 1), (text, 3), (counted.unseen, 0), (counted.unseen, 2)]
    classes = [
        [(class_id + shift) % CLASSES for class_id in classes_of([*ids, eos], counted.classes, eos)]
        for ids, shift in columns
    ]
    histories = torch.cat([with_history(ids, eos) for ids, _ in columns], 1)
    rows = rows_of(counts, histories, torch.tensor(classes).T)
    found = counts.predict(rows).probabilities.view(len(text), len(columns), -1)
    for column, (ids, _) in enumerate(columns):
        ends = enumerate(classes[column], start=1)
        expected = [[slow[class_id].predict(ids[:end])[0]] for end, class_id in ends]
        assert share_of_wrong_places(found[:, column], expected) == 0


@pytest.mark.parametrize("rare", [RARE, 1000])
def test_a_place_left_out_is_predicted_as_if_its_class_had_not_counted_it(
    counted: Counted, slow: list[SlowCounts], rare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1000, nothing is approximated. Articles without a class, and every fifth place, are not left out."""
    monkeypatch.setattr("charloom.model.interpolation.RARE", rare)
    text, counts = counted.text, counted.by_class
    classes = [class_id % CLASSES for class_id in classes_of(text, counted.classes, counted.eos)]
    has_class = torch.tensor(classes_of(text, counted.classes, counted.eos)) != NO_CLASS
    is_counted = has_class & (torch.arange(len(classes)) % 5 != 2)
    places = counts.places(with_history(text, counted.eos), torch.tensor(classes)[:, None])
    found = counts.leave_one_out(places, is_counted).probabilities
    expected = [
        [slow[class_id].predict(text[:end], text[end] if is_counted[end - 1] else None, rare)[0]]
        for end, class_id in enumerate(classes, start=1)
    ]
    assert share_of_wrong_places(found, expected) == 0


def test_an_eos_belongs_to_its_article_and_the_next_symbol_to_the_next_class() -> None:
    """Articles of class 0 are 0 3, those of class 1 are 1 3 5. The share of each count is 1."""
    first, second = [0, 3, EOS], [1, 3, 5, EOS]
    articles, of_class = torch.tensor([*first, *first, *second, *second]), torch.tensor([0] * 6 + [1] * 8)
    counts = count_classes(articles, of_class, 2, 8, EOS, order=2)
    counts.use_shares(torch.ones_like(counts.shares))
    ids, classes = [EOS, *first, *second, *first], [*[0] * 3, *[1] * 4, *[0] * 3]
    targets = torch.tensor(ids[1:])
    rows = rows_of(counts, with_history(ids[:-1], EOS), torch.tensor(classes)[:, None])
    found = counts.predict(rows).probabilities.gather(1, targets[:, None])[:, 0]
    # Each class also has an empty article. So its articles begin with their symbol twice, and once with an `<eos>`.
    torch.testing.assert_close(found, torch.tensor([2 / 3, 1, 1, 2 / 3, 1, 1, 1, 2 / 3, 1, 1]))
    places = counts.places(with_history(ids, EOS), torch.tensor(classes)[:, None])
    assert torch.equal(places.rows, rows)
    assert counts.trie.symbols[places.targets[:2]].tolist() == [ids[1:]] * 2
    left_out = counts.leave_one_out(places, torch.ones(len(targets), dtype=torch.bool)).probabilities
    # Of two articles, one is left. A context of `<eos>` has one more count, that of the empty article.
    begins = targets.gather(0, torch.tensor([0, 3, 7]))
    torch.testing.assert_close(left_out[[0, 3, 7], begins], torch.full((3,), 1 / 2))


def test_without_a_class_all_symbols_have_the_same_probability(by_class: Counts) -> None:
    ids = with_history(5 * [EOS, 0, 1, 2], EOS).expand(-1, 2)
    roots = torch.tensor([[by_class.trie.unknown_row, 0]]).expand(20, -1)
    found = by_class.predict(rows_of(by_class, ids, roots)).probabilities.view(20, 2, -1)
    assert torch.equal(found[:, 0], torch.full_like(found[:, 0], 1 / 8))
    assert not torch.isclose(found[:, 1], found[:, 0]).all(1).any()


def test_a_class_without_articles_has_an_empty_article() -> None:
    """A row of one count has no share. So all symbols have the same probability in such a class."""
    counts = count_classes(torch.tensor([0, EOS, 0, EOS]), torch.tensor([1, 1, 1, 1]), 3, 8, EOS, order=2)
    assert counts.trie.roots == 3
    sizes, frequencies = counts.stored["sizes.0"].tolist(), counts.stored["counts.0"].tolist()
    assert [sizes, counts.stored["symbols.0"].tolist(), frequencies] == [[0, 1, 0], [EOS, 0, EOS, EOS], [1, 2, 3, 1]]
    counts.use_shares(torch.ones_like(counts.shares))
    rows = rows_of(counts, with_history([EOS], EOS).expand(-1, 3), torch.tensor([[0, 1, 2]]))
    found = counts.predict(rows).probabilities
    assert torch.equal(found[[0, 2]], torch.full((2, 8), 1 / 8))
    torch.testing.assert_close(found[1, [0, EOS]], torch.tensor([2 / 3, 1 / 3]))


def test_classes_can_be_counted_without_any_article() -> None:
    counts = count_classes(torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64), 3, 8, EOS, 5)
    assert (counts.trie.roots, counts.order) == (3, 0)
    rows = rows_of(counts, with_history([EOS, 0], EOS), torch.tensor([[2], [0]]))
    assert torch.equal(counts.predict(rows).probabilities, torch.full((2, 8), 1 / 8))


@pytest.mark.parametrize("longest", [0, 1, 2, 4, 5, 6, 7])
def test_places_can_be_predicted_from_shorter_contexts(longest: int) -> None:
    counted = count_small_text(order=7)
    counts, text = counted.memory.counts, counted.text
    places = counts.places(with_history(text, EOS), torch.zeros(len(text) - 1, 1, dtype=torch.int64)).up_to(longest)
    assert places.rows.shape == places.targets.shape == (longest + 1, len(text) - 1)
    slow = SlowCounts(text, counts, EOS)
    expected = [[slow.predict(text[:end], None, RARE, longest)[0]] for end in range(1, len(text))]
    assert share_of_wrong_places(counts.predict(places.rows).probabilities, expected) == 0
    expected = [[slow.predict(text[:end], text[end], RARE, longest)[0]] for end in range(1, len(text))]
    everything = torch.ones(len(text) - 1, dtype=torch.bool)
    assert share_of_wrong_places(counts.leave_one_out(places, everything).probabilities, expected) == 0


def test_counts_of_many_symbols_predict_the_same_and_take_little_memory() -> None:
    """700 of 50,000 symbols occur. The probabilities after each of them would be 140 MB."""
    symbols, eos = 50_000, 49_998
    random = np.random.default_rng(1)
    codes = random.permutation(np.repeat(random.permutation(eos)[:700], 4)).tolist()
    text = [eos, *codes[:1500], eos, *codes[1400:], eos]
    stored = count_ngrams(torch.tensor(text), symbols, eos, 2)
    counts = Counts(stored | {"shares": random_shares(3)[0]}, symbols, eos)
    assert counts.trie.first_rows[2] * symbols > MAX_DENSE >= counts._interpolation.dense.numel()
    slow = SlowCounts(text, counts, eos, dense_level=0)
    ids = text[1450:1520]
    rows = rows_of(counts, with_history(ids, eos), torch.zeros(len(ids), 1, dtype=torch.int64))
    expected = [[slow.predict(ids[:end])[0]] for end in range(1, len(ids) + 1)]
    assert share_of_wrong_places(counts.predict(rows).probabilities, expected) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda shares: shares.half(),
        lambda shares: shares.double(),
        lambda shares: shares * float("nan"),
        lambda shares: shares * float("inf"),
        lambda shares: shares + 2,
        lambda shares: shares - 2,
        lambda shares: shares[:, :3],
        lambda shares: shares[1:],
        lambda shares: shares.flatten(),
    ],
)
def test_shares_that_do_not_fit_are_refused(by_class: Counts, change: Any) -> None:
    before = by_class.stored["shares"]
    with pytest.raises(ValueError, match=r"^(shares|a share) "):
        Counts(by_class.stored | {"shares": change(before)}, 8, EOS, CLASSES)
    with pytest.raises(ValueError, match=r"^(shares|a share) "):
        by_class.use_shares(change(before))
    assert by_class.stored["shares"] is before


@pytest.mark.parametrize("name", ["shares", "symbols.0", "counts.4", "sizes.2"])
def test_counts_that_lack_a_tensor_are_refused(by_class: Counts, name: str) -> None:
    with pytest.raises(ValueError, match="tensors are missing or have unknown names"):
        Counts({each: tensor for each, tensor in by_class.stored.items() if each != name}, 8, EOS, CLASSES)


def test_counts_of_another_number_of_classes_are_refused(by_class: Counts) -> None:
    with pytest.raises(ValueError, match="level 0 has 4 rows instead of 3"):
        Counts(by_class.stored, 8, EOS, 3)


def test_a_context_of_symbols_that_were_never_counted_is_refused() -> None:
    """After `<eos>` comes only 0, and level 0 knows only 0. A forged level 1 says that 3 follows 0."""
    stored = forged([([2], [0], [0]), ([2], [0], [3]), ([2], [0], [0])])
    with pytest.raises(ValueError, match="a context whose end was never counted"):
        Counts(stored, 8, EOS)


def test_a_context_of_symbols_that_only_another_class_counted_is_refused() -> None:
    """Only class 1 has counted 3. In both classes, a forged level 1 says that 3 follows 0."""
    level_1, level_2 = ([2, 2], [0, 0], [3, 3]), ([2, 2], [0, 0], [0, 0])
    both = forged([([2, 2, 1], [0, 1], [0, 0, 3]), level_1, level_2])
    with pytest.raises(ValueError, match="a context whose end was never counted"):
        Counts(both, 8, EOS, roots=2)


def forged(levels: list[tuple[list[int], list[int], list[int]]]) -> dict[str, Tensor]:
    """The stored form of counts with these counts, sizes and symbols of each level."""
    stored = {
        f"{part}.{n}": torch.tensor(values, dtype=torch.uint8)
        for n, level in enumerate(levels)
        for part, values in zip(("counts", "sizes", "symbols"), level, strict=True)
    }
    return stored | {"shares": torch.ones(len(levels), BUCKETS)}
