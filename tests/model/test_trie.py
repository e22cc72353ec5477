"""The counts of the n-gram memory: which contexts they have, how entries are found, and which damage is noticed."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from charloom.model.counting import count_ngrams
from charloom.model.counts import Counts
from charloom.model.trie import Trie, leads_on, read_trie
from tests.model.slow_memory import CLASSES, Context, Counted, SlowClasses, SlowCounts, contexts, count_small_text

SYMBOLS, EOS = 8, 6
ZERO = torch.tensor([0])


@pytest.fixture(scope="module")
def counted() -> Counted:
    return count_small_text(order=5, class_order=4)


@pytest.fixture(scope="module")
def stored(counted: Counted) -> dict[str, Tensor]:
    return levels_of(counted.memory.counts)


@pytest.fixture(scope="module")
def stored_by_class(counted: Counted) -> dict[str, Tensor]:
    return levels_of(counted.by_class)


@pytest.fixture(scope="module", params=["all articles", "by class"])
def tries(request: pytest.FixtureRequest, counted: Counted) -> Tries:
    """The trie of all articles, or the one that has a root for each class."""
    if request.param == "by class":
        return Tries(counted.by_class.trie, SlowClasses(counted).of_class)
    return Tries(counted.memory.counts.trie, [SlowCounts(counted.text, counted.memory.counts, EOS)])


class Tries(NamedTuple):
    """A trie, and for each of its roots the same counts in dictionaries."""

    fast: Trie
    slow: list[SlowCounts]


def levels_of(counts: Counts) -> dict[str, Tensor]:
    """The stored tensors of the levels."""
    return {name: tensor for name, tensor in counts.stored.items() if name != "shares"}


def context_of_each_row(trie: Trie) -> list[tuple[int, Context]]:
    """The root and the context of each row, from the entries that lead to the row."""
    found: dict[int, tuple[int, Context]] = {root: (root, ()) for root in range(trie.roots)}
    for entry, (row, symbol) in enumerate(zip(trie.row_of_entry().tolist(), trie.symbols.tolist(), strict=False)):
        child = int(trie.children[entry])
        if child != trie.unknown_row:
            root, context = found[row]
            found[child] = root, (*context, symbol)
    return [found[row] for row in range(trie.unknown_row)]


def entry_of_each_pair(trie: Trie) -> dict[tuple[int, int], int]:
    """The entry of each pair (row, symbol) that has one."""
    pairs = zip(trie.row_of_entry().tolist(), trie.symbols.tolist(), strict=False)
    return {pair: entry for entry, pair in enumerate(pairs)}


def test_the_entries_are_the_counts_of_the_text(tries: Tries) -> None:
    trie = tries.fast
    known = [(root, context) for root, slow in enumerate(tries.slow) for context in slow.rows if slow.is_known(context)]
    row_contexts = context_of_each_row(trie)
    assert trie.roots == len(tries.slow)
    assert sorted(row_contexts) == sorted(known)
    for row, (root, context) in enumerate(row_contexts):
        entries = slice(*trie.starts[row : row + 2].tolist())
        counts = dict(zip(trie.symbols[entries].tolist(), trie.counts[entries].tolist(), strict=True))
        assert counts == tries.slow[root].rows[context]
        assert list(counts) == sorted(counts)
        assert len(context) == int(trie.level_of_row()[row])


# The tables of the first levels make the search faster. With so many pairs at most, 6, 2 or no levels have a table.
@pytest.mark.parametrize(("most", "tables"), [(1 << 22, 6), (SYMBOLS * 7, 2), (0, 0)])
def test_each_entry_is_found_in_its_row_and_no_other(
    stored: dict[str, Tensor], most: int, tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.trie.MAX_TABLE", most)
    trie = read_trie(stored, SYMBOLS, EOS)
    assert len(trie.tables) == tables
    check_that_entries_are_found(trie)


@pytest.mark.parametrize(("most", "tables"), [(1 << 22, 5), (SYMBOLS * 20, 2), (SYMBOLS * CLASSES, 1), (0, 0)])
def test_each_entry_is_found_in_a_trie_of_several_roots(
    stored_by_class: dict[str, Tensor], most: int, tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.trie.MAX_TABLE", most)
    trie = read_trie(stored_by_class, SYMBOLS, EOS, CLASSES)
    assert len(trie.tables) == tables
    check_that_entries_are_found(trie)


def check_that_entries_are_found(trie: Trie) -> None:
    number = entry_of_each_pair(trie)
    for n in range(trie.order + 1):
        rows = [*range(trie.unknown_row)[trie.rows_of(n)], trie.unknown_row]
        pairs = [(row, symbol) for row in rows for symbol in range(SYMBOLS)]
        found = trie.find(n, *torch.tensor(pairs, dtype=torch.int32).T)
        assert found.tolist() == [number.get(pair, trie.unknown_entry) for pair in pairs]


@pytest.mark.parametrize("most", [1 << 22, 0])
def test_entries_are_found_in_rows_of_many_symbols(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charloom.model.trie.MAX_TABLE", most)
    eos, random = 998, torch.Generator().manual_seed(1)
    text = 2 * torch.randint(0, 450, (3000,), generator=random)
    text[[0, 1500, -1]] = eos
    trie = read_trie(count_ngrams(text, 1000, eos, 1), 1000, eos)
    pairs = {tuple(pair) for pair in torch.stack([text[:-1], text[1:]], 1).tolist()}
    rows = trie.children[trie.find(0, torch.zeros(1000, dtype=torch.int32), torch.arange(1000, dtype=torch.int32))]
    for before in (0, 2, 450, 898, eos, 999):
        after = torch.arange(1000, dtype=torch.int32)
        found = trie.find(1, rows[before].expand(1000), after)
        is_known = int((text[1:] == before).sum()) > 1
        expected = [is_known and (before, each) in pairs for each in range(1000)]
        assert (found != trie.unknown_entry).tolist() == expected
        assert trie.symbols[found[expected]].tolist() == after[expected].tolist()


def test_the_totals_are_those_of_the_text(tries: Tries) -> None:
    totals, different = tries.fast.totals()
    rows = [tries.slow[root].rows[context] for root, context in context_of_each_row(tries.fast)]
    assert totals.tolist() == [*(row.total() for row in rows), 0]
    assert different.tolist() == [*map(len, rows), 0]


def test_the_frequencies_are_those_of_the_text(counted: Counted) -> None:
    frequencies = Counter(counted.text[1:])
    assert counted.memory.counts.trie.frequencies().tolist() == [frequencies[symbol] for symbol in range(SYMBOLS)]


def test_the_suffix_of_a_row_is_the_context_without_its_first_symbol(tries: Tries) -> None:
    """The suffix has the same root."""
    trie = tries.fast
    row_contexts = context_of_each_row(trie)
    suffixes = torch.zeros(trie.roots, dtype=torch.int64)
    for n in range(1, trie.order + 1):
        suffixes = trie.suffixes(n, suffixes)
        shorter = row_contexts[trie.rows_of(n - 1)]
        expected = [(root, context[1:]) for root, context in row_contexts[trie.rows_of(n)]]
        assert [shorter[suffix] for suffix in suffixes.tolist()] == expected


def test_a_walk_finds_the_row_of_each_context_and_the_entry_of_each_symbol(counted: Counted, tries: Tries) -> None:
    """Each article of the two columns has a random root, or the unknown row instead of a root."""
    trie, random = tries.fast, Random(1)
    ids = torch.tensor([counted.text[: len(counted.unseen)], counted.unseen]).T
    of_articles = torch.tensor([random.choice([*range(trie.roots), trie.unknown_row]) for _ in counted.text])
    roots = of_articles[(ids == EOS).cumsum(0) + torch.tensor([0, 50])]
    rows, entries = trie.walk(ids, roots, trie.no_context(2))
    assert [len(rows), len(entries)] == [trie.order + 1, trie.order]
    row_of = {key: row for row, key in enumerate(context_of_each_row(trie))}
    entry_of = entry_of_each_pair(trie)
    for place, column in torch.cartesian_prod(torch.arange(len(ids)), torch.arange(2)).tolist():
        root, symbol = int(roots[place, column]), int(ids[place, column])
        by_length = dict(enumerate(contexts(ids[: place + 1, column].tolist(), EOS, trie.order)))
        found = [int(level[place, column]) for level in rows]
        assert found[0] == root
        assert found[1:] == [row_of.get((root, by_length.get(n, (-1,))), trie.unknown_row) for n in range(1, len(rows))]
        before = [root] + [int(level[place - 1, column]) if place else trie.unknown_row for level in rows[1:-1]]
        expected = [entry_of.get((row, symbol), trie.unknown_entry) for row in before]
        assert [int(level[place, column]) for level in entries] == expected


def test_symbols_that_were_counted_twice_lead_on_and_eos_only_in_level_0() -> None:
    symbols, counts = torch.tensor([1, 2, EOS, EOS]), torch.tensor([1, 2, 1, 9])
    assert leads_on(symbols, counts, EOS, n=0).tolist() == [False, True, False, True]
    assert leads_on(symbols, counts, EOS, n=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("symbols.1", lambda tensor: tensor + 200),  # symbols outside the vocabulary
        ("symbols.1", lambda tensor: tensor.flip(0)),  # not in order
        ("symbols.5", lambda tensor: tensor.flip(0)),
        ("symbols.0", lambda tensor: tensor.index_copy(0, ZERO, tensor[1:2])),  # the same symbol twice in a row
        ("symbols.0", lambda tensor: tensor.int().index_fill(0, ZERO, -1)),
        ("symbols.1", lambda tensor: tensor[:-1]),
        ("symbols.1", lambda tensor: tensor[:0]),
        ("symbols.1", lambda tensor: tensor[None]),
        ("symbols.1", lambda tensor: tensor[0]),
        ("symbols.1", lambda tensor: tensor.half()),
        ("symbols.1", lambda tensor: tensor.long()),
        ("symbols.1", lambda tensor: tensor > 0),
        ("counts.5", lambda tensor: tensor.index_fill(0, ZERO, 0)),
        ("counts.1", lambda tensor: tensor.float()),
        ("counts.1", lambda tensor: tensor.int()),
        ("counts.1", lambda tensor: tensor[1:]),
        ("counts.1", lambda tensor: tensor[:, None]),
        ("counts.1", lambda tensor: tensor.clamp(max=1)),  # then no entry leads to the rows of level 2
        ("counts.2", lambda tensor: tensor.clamp(min=2)),  # then more entries lead on than level 3 has rows
        ("sizes.0", lambda tensor: tensor[:0]),
        ("sizes.0", lambda tensor: tensor.repeat(2)),
        ("sizes.1", lambda tensor: tensor.double()),
        ("sizes.1", lambda tensor: tensor.short()),
        ("sizes.1", lambda tensor: tensor[None]),
        ("sizes.1", lambda tensor: tensor + 1),
        ("sizes.1", lambda tensor: tensor[:-1]),
        ("sizes.1", lambda tensor: tensor.flip(0)),
        ("sizes.1", lambda tensor: tensor * 0 + 255),
        ("sizes.1", lambda tensor: tensor.int() - 2),
    ],
)
def test_a_damaged_level_is_refused(stored: dict[str, Tensor], name: str, change: Any) -> None:
    with pytest.raises(ValueError, match=r"^(a level (of|with|whose)|level \d has) "):
        read_trie(stored | {name: change(stored[name])}, SYMBOLS, EOS)


def test_a_negative_size_is_refused_even_if_the_sum_is_right(stored: dict[str, Tensor]) -> None:
    sizes = stored["sizes.2"].int()
    sizes[0] += sizes[1] + 2
    sizes[1] = -2
    with pytest.raises(ValueError, match="a level whose rows and entries do not fit together"):
        read_trie(stored | {"sizes.2": sizes}, SYMBOLS, EOS)


@pytest.mark.parametrize("part", ["symbols", "counts", "sizes"])
@pytest.mark.parametrize("n", [0, 3, 5])
def test_a_level_that_lacks_a_tensor_is_refused(stored: dict[str, Tensor], part: str, n: int) -> None:
    with pytest.raises(ValueError, match="unknown names"):
        read_trie({name: tensor for name, tensor in stored.items() if name != f"{part}.{n}"}, SYMBOLS, EOS)


@pytest.mark.parametrize("name", ["more", "symbols.6", "symbols.x", "symbols.", "counts.6", "counts.00"])
def test_an_unknown_tensor_is_refused(stored: dict[str, Tensor], name: str) -> None:
    with pytest.raises(ValueError, match="unknown names"):
        read_trie(stored | {name: stored["symbols.5"]}, SYMBOLS, EOS)


def test_a_trie_without_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown names"):
        read_trie({}, SYMBOLS, EOS)


@pytest.mark.parametrize("roots", [1, CLASSES - 1, CLASSES + 1, 1 << 40])
def test_another_number_of_roots_is_refused(stored_by_class: dict[str, Tensor], roots: int) -> None:
    with pytest.raises(ValueError, match=f"^level 0 has {CLASSES} rows instead of {roots}$"):
        read_trie(stored_by_class, SYMBOLS, EOS, roots)
