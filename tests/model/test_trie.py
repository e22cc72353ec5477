"""The counts of the n-gram memory: which contexts they have, how entries are found, and which damage is noticed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from charloom.model.counting import count_ngrams
from charloom.model.trie import Trie, leads_on, read_trie
from tests.model.slow_memory import Context, Counted, SlowMemory, count_small_text

SYMBOLS, EOS = 8, 6
ZERO = torch.tensor([0])


@pytest.fixture(scope="module")
def counted() -> Counted:
    return count_small_text(order=5)


@pytest.fixture(scope="module")
def stored(counted: Counted) -> dict[str, Tensor]:
    return counted.memory.stored


def context_of_each_row(trie: Trie) -> list[Context]:
    """The context that each row stands for, from the entries that lead to it."""
    found: dict[int, Context] = {0: ()}
    for entry, (row, symbol) in enumerate(zip(trie.row_of_entry().tolist(), trie.symbols.tolist(), strict=False)):
        child = int(trie.children[entry])
        if child != trie.unknown_row:
            found[child] = (*found[row], symbol)
    return [found[row] for row in range(trie.unknown_row)]


def test_the_entries_are_the_counts_of_the_text(counted: Counted) -> None:
    slow, trie = SlowMemory(counted.text, counted.memory, EOS), counted.memory.trie
    known = [context for context in slow.rows if slow.is_known(context)]
    row_contexts = context_of_each_row(trie)
    assert sorted(row_contexts) == sorted(known)
    for row, context in enumerate(row_contexts):
        entries = slice(*trie.starts[row : row + 2].tolist())
        counts = dict(zip(trie.symbols[entries].tolist(), trie.counts[entries].tolist(), strict=True))
        assert counts == slow.rows[context]
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
    entries = list(zip(trie.row_of_entry().tolist(), trie.symbols.tolist(), strict=False))
    number = {pair: entry for entry, pair in enumerate(entries)}
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
    stored = count_ngrams(text, 1000, eos, 1) | {"text": text, "shares": text, "match_shares": text}
    trie = read_trie(stored, 1000, eos)
    pairs = {tuple(pair) for pair in torch.stack([text[:-1], text[1:]], 1).tolist()}
    rows = trie.children[trie.find(0, torch.zeros(1000, dtype=torch.int32), torch.arange(1000, dtype=torch.int32))]
    for before in (0, 2, 450, 898, eos, 999):
        after = torch.arange(1000, dtype=torch.int32)
        found = trie.find(1, rows[before].expand(1000), after)
        is_known = int((text[1:] == before).sum()) > 1
        expected = [is_known and (before, each) in pairs for each in range(1000)]
        assert (found != trie.unknown_entry).tolist() == expected
        assert trie.symbols[found[expected]].tolist() == after[expected].tolist()


def test_the_totals_and_frequencies_are_those_of_the_text(counted: Counted) -> None:
    trie, slow = counted.memory.trie, SlowMemory(counted.text, counted.memory, EOS)
    totals, different = trie.totals()
    rows = [slow.rows[context] for context in context_of_each_row(trie)]
    assert totals.tolist() == [*(row.total() for row in rows), 0]
    assert different.tolist() == [*map(len, rows), 0]
    frequencies = Counter(counted.text[1:])
    assert trie.frequencies().tolist() == [frequencies[symbol] for symbol in range(SYMBOLS)]


def test_the_suffix_of_a_row_is_the_context_without_its_first_symbol(counted: Counted) -> None:
    trie = counted.memory.trie
    row_contexts = context_of_each_row(trie)
    suffixes = torch.zeros(1, dtype=torch.int64)
    for n in range(1, trie.order + 1):
        suffixes = trie.suffixes(n, suffixes)
        shorter = row_contexts[trie.rows_of(n - 1)]
        expected = [context[1:] for context in row_contexts[trie.rows_of(n)]]
        assert [shorter[suffix] for suffix in suffixes.tolist()] == expected


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
    with pytest.raises(ValueError, match="other names"):
        read_trie({name: tensor for name, tensor in stored.items() if name != f"{part}.{n}"}, SYMBOLS, EOS)


@pytest.mark.parametrize("name", ["text", "shares", "match_shares"])
def test_a_missing_tensor_is_refused(stored: dict[str, Tensor], name: str) -> None:
    with pytest.raises(ValueError, match="other names"):
        read_trie({each: tensor for each, tensor in stored.items() if each != name}, SYMBOLS, EOS)


@pytest.mark.parametrize("name", ["more", "symbols.6", "symbols.x", "symbols.", "counts.6", "counts.00"])
def test_an_unknown_tensor_is_refused(stored: dict[str, Tensor], name: str) -> None:
    with pytest.raises(ValueError, match="other names"):
        read_trie(stored | {name: stored["symbols.5"]}, SYMBOLS, EOS)


def test_a_memory_without_levels_is_refused(stored: dict[str, Tensor]) -> None:
    names = ("text", "shares", "match_shares")
    with pytest.raises(ValueError, match="other names"):
        read_trie({name: stored[name] for name in names}, SYMBOLS, EOS)
