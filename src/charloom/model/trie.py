"""The counts of an n-gram memory: for each context, how often each symbol followed it.

The contexts are a trie. Level n has a *row* for each context of n symbols. A row has an *entry* for each symbol that
followed the context, with its count. (In a row with a count above 255, all counts are scaled down.) An entry of level n
is n + 1 symbols long. If it was counted twice or more, it leads to a row of level n + 1. So a context that occurs once
has no row. Two kinds of entries never lead to a row: those of the last level, and an `<eos>` after other symbols.

Level 0 has one row, or one for each class. If it has several, these are the *roots* of separate tries: each context
belongs to a class.

The rows of all levels are numbered together: first those of level 0, then those of level 1, and so on. The entries are
numbered in the same way. One more row, after the last, is the *unknown row*. Its index stands for every context that
has no row. The *unknown entry* is the same for entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

ID_TYPES = (torch.uint8, torch.int32)  # of the stored symbols and sizes
# A table of a level has the entry of each pair (row, symbol). The levels before the first one with more pairs than this
# have tables. The others are searched.
MAX_TABLE = 1 << 22

Stored = Mapping[str, Tensor]


class Trie(NamedTuple):
    """Rows and entries. Entries are sorted by row, then by symbol.

    A tensor of the shape (entries + 1) ends with an element for the unknown entry.
    """

    alphabet: int  # the number of symbols
    first_rows: list[int]  # (levels + 1): the first row of each level, then the unknown row
    first_entries: list[int]  # (levels + 1): the first entry of each level, then the unknown entry
    symbols: Tensor  # (entries + 1)
    counts: Tensor  # (entries + 1): float32, from 1 to 255, and 0 for the unknown entry
    starts: Tensor  # (rows + 2): the first entry of each row and of the unknown row, then the number of entries
    children: Tensor  # (entries + 1): the row that an entry leads to, or the unknown row
    tables: list[Tensor]  # for each of the first levels (rows · alphabet + 1): the entry of each pair (row, symbol)
    search_steps: list[list[int]]  # for each level, the steps of a binary search in its longest row, such as 8, 4, 2, 1

    @property
    def order(self) -> int:
        """The length of the longest contexts, in symbols."""
        return len(self.first_rows) - 2

    @property
    def rows(self) -> int:
        """The number of rows of all levels."""
        return self.first_rows[-1]

    @property
    def roots(self) -> int:
        """The number of rows of level 0."""
        return self.first_rows[1]

    @property
    def unknown_row(self) -> int:
        """The row of all contexts that were never counted. It has no entries."""
        return self.first_rows[-1]

    @property
    def unknown_entry(self) -> int:
        """The number of all entries that were never counted. Its count is 0."""
        return self.first_entries[-1]

    def to(self, device: torch.device | str) -> Trie:
        """The same trie on another device."""
        return self._replace(
            symbols=self.symbols.to(device),
            counts=self.counts.to(device),
            starts=self.starts.to(device),
            children=self.children.to(device),
            tables=[table.to(device) for table in self.tables],
        )

    def rows_of(self, n: int) -> slice:
        """The rows of level n."""
        return slice(self.first_rows[n], self.first_rows[n + 1])

    def entries_of(self, n: int) -> slice:
        """The entries of level n."""
        return slice(self.first_entries[n], self.first_entries[n + 1])

    def find(self, n: int, rows: Tensor, symbols: Tensor) -> Tensor:
        """The entry of each symbol in its row. Each of the rows belongs to level n or is the unknown row.

        `rows` and `symbols` have the same shape. The result has this shape, too.
        """
        if n < len(self.tables):
            first, end = self.first_rows[n : n + 2]
            wanted = (rows - first).clamp_(max=end - first) * self.alphabet + symbols
            return take(self.tables[n], wanted.clamp_(max=len(self.tables[n]) - 1))
        return self._search(rows, symbols, self.search_steps[n])

    def walk(self, ids: Tensor, roots: Tensor, before: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The rows (levels, time, batch) of the contexts that end with each of the ids (time, batch).

        `roots` (time, batch) has the row of level 0 for the symbol after each id. `before` (levels, batch) has the rows
        of the contexts that end before the first id, but its row of level 0 is not used. `no_context` gives these rows
        for the beginning of a text.

        Also returns, for each level except the last, the entry (time, batch) of each id in the row of the context
        before the id. At level 0, this row is the root that `roots` has for the id.
        """
        ids, roots = ids.to(self.children.dtype), roots.to(self.children.dtype)
        if len(ids) == 1:  # with few ids, the number of operations takes the time, so all levels are searched together
            rows = torch.cat([roots, before[1:-1]])[: self.order]  # without a row if there is only level 0
            arrivals = self._search(rows, ids, max(self.search_steps, key=len))
            return torch.cat([roots, take(self.children, arrivals)])[:, None], list(arrivals[:, None])
        contexts, entries = [roots], []
        for n in range(self.order):
            rows = roots if n == 0 else torch.cat([before[n, None], contexts[n][:-1]])
            entries.append(self.find(n, rows, ids))
            contexts.append(take(self.children, entries[n]))
        return torch.stack(contexts), entries

    def no_context(self, batch: int) -> Tensor:
        """The rows (levels, batch) before a text: the unknown row."""
        return self.children[-1:].repeat(self.order + 1, batch)  # the unknown entry leads to the unknown row

    def _search(self, rows: Tensor, symbols: Tensor, steps: list[int]) -> Tensor:
        """`find` by binary search, for rows of any level. A row has at most sum(steps) + 1 entries."""
        rows, symbols = torch.broadcast_tensors(rows, symbols)
        entry = take(self.starts, rows) - 1  # the last entry of the row that is known to come before the symbol
        last = take(self.starts, rows + 1) - 1
        for step in steps:
            further = torch.minimum(entry + step, last)
            entry = torch.where(take(self.symbols, further) < symbols, further, entry)
        entry += 1
        found = (entry <= last) & (take(self.symbols, entry) == symbols)
        return torch.where(found, entry, self.unknown_entry)

    def suffixes(self, n: int, before: Tensor) -> Tensor:
        """For each row of level n, the row of its context without the first symbol, as an index within level n - 1.

        `before` is the result of this method for level n - 1. Raises ValueError if a context without its first symbol
        was not counted.
        """
        entries = self.entries_of(n - 1)
        leading = (self.children[entries] != self.unknown_row).nonzero()[:, 0] + entries.start
        parents = self.row_of_entry(n - 1)[leading - entries.start]
        if n == 1:
            return parents
        shorter = before[parents].to(self.children.dtype) + self.first_rows[n - 2]
        found = take(self.children, self.find(n - 2, shorter, self.symbols[leading]))
        if bool((found == self.unknown_row).any()):
            raise ValueError("a context whose end was never counted")
        return found.long() - self.first_rows[n - 1]

    def row_of_entry(self, n: int | None = None) -> Tensor:
        """The row (entries) of each entry. With `n`, only the entries of level n, whose rows are numbered from 0."""
        first, end = (0, None) if n is None else (self.first_rows[n], self.first_rows[n + 1] + 1)
        sizes = self.starts[first:end].diff()
        return torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)

    def totals(self) -> tuple[Tensor, Tensor]:
        """The sum of each row's counts (rows + 1), and how many different symbols it has. Both are floats."""
        different = self.starts.diff().float()
        return torch.zeros_like(different).index_add_(0, self.row_of_entry(), self.counts[:-1]), different

    def frequencies(self) -> Tensor:
        """The count (alphabet) of each symbol in all contexts together."""
        entries = self.entries_of(0)
        found = torch.zeros(self.alphabet, device=self.counts.device)
        return found.index_add_(0, self.symbols[entries].long(), self.counts[entries])

    def level_of_row(self) -> Tensor:
        """The level (rows + 1) of each row."""
        sizes = torch.tensor(self.first_rows).diff()
        levels = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        return torch.cat([levels, levels[-1:]]).to(self.children.device)


def take(values: Tensor, index: Tensor) -> Tensor:
    """`values[index]` for one-dimensional values and an index of any shape. `index_select` is faster than indexing."""
    return values.index_select(0, index.flatten()).view(index.shape)


def read_trie(stored: Stored, alphabet: int, eos: int, roots: int = 1) -> Trie:
    """The trie in its stored tensors, which the docstring of Counts describes.

    `alphabet` is the number of symbols. `roots` is the number of rows of level 0. Raises ValueError if the tensors do
    not fit together.
    """
    levels = sum(name.startswith("symbols.") for name in stored)
    parts = {f"{part}.{n}" for part in ("symbols", "counts", "sizes") for n in range(levels)}
    if not levels or stored.keys() != parts:
        raise ValueError("tensors are missing or have unknown names")
    first_rows, leading = [0, roots], []
    for n in range(levels):
        symbols, sizes = stored[f"symbols.{n}"], stored[f"sizes.{n}"]
        _check_level(symbols, stored[f"counts.{n}"], sizes, alphabet)
        if len(sizes) != first_rows[-1] - first_rows[-2]:
            raise ValueError(f"level {n} has {len(sizes)} rows instead of {first_rows[-1] - first_rows[-2]}")
        leading.append(leads_on(symbols, stored[f"counts.{n}"], eos, n) & (n < levels - 1))
        first_rows.append(first_rows[-1] + int(leading[-1].sum()))
    del first_rows[-1]  # the entries of the last level lead to no row
    sizes = torch.cat([stored[f"sizes.{n}"].long() + 1 for n in range(levels)])
    symbols = torch.cat([stored[f"symbols.{n}"].long() for n in range(levels)])
    keys = torch.repeat_interleave(torch.arange(len(sizes)), sizes) * alphabet + symbols
    if not bool((keys[1:] > keys[:-1]).all()):
        raise ValueError("a level with an invalid entry")
    leads = torch.cat(leading)
    first_entries = torch.tensor([0, *(len(stored[f"symbols.{n}"]) for n in range(levels))]).cumsum(0).tolist()
    index_type = torch.int32 if len(keys) < 2**31 else torch.int64  # int32 is faster, because it has half as many bytes
    return Trie(
        alphabet,
        first_rows,
        first_entries,
        torch.cat([*(stored[f"symbols.{n}"] for n in range(levels)), torch.zeros(1, dtype=stored["symbols.0"].dtype)]),
        torch.cat([*(stored[f"counts.{n}"] for n in range(levels)), torch.tensor([0])]).float(),
        torch.cat([torch.tensor([0]), sizes.cumsum(0), torch.tensor([len(keys)])]).to(index_type),
        torch.cat([torch.where(leads, leads.cumsum(0) + roots - 1, len(sizes)), torch.tensor([len(sizes)])]).to(
            index_type
        ),
        [table.to(index_type) for table in _tables(keys, alphabet, first_rows, first_entries)],
        [_steps(int(sizes[first:end].max())) for first, end in pairwise(first_rows)],
    )


def _tables(keys: Tensor, alphabet: int, first_rows: list[int], first_entries: list[int]) -> Iterator[Tensor]:
    """For each of the first levels, the entry of each pair (row, symbol), then the unknown entry."""
    for (first_row, end_row), (first, end) in zip(pairwise(first_rows), pairwise(first_entries), strict=True):
        pairs = (end_row - first_row) * alphabet
        if pairs > MAX_TABLE:
            return
        table = torch.full((pairs + 1,), len(keys))
        table[keys[first:end] - first_row * alphabet] = torch.arange(first, end)
        yield table


def _steps(longest: int) -> list[int]:
    """The steps of a binary search in a row with at most `longest` entries: powers of 2, in falling order.

    A search moves past all entries but the last one. Then it compares the next entry.
    """
    return [1 << bit for bit in reversed(range((longest - 1).bit_length()))]


def _check_level(symbols: Tensor, counts: Tensor, sizes: Tensor, alphabet: int) -> None:
    """Raise ValueError if these are not the tensors of a level."""
    if not symbols.dim() == counts.dim() == sizes.dim() == 1 or not len(symbols) or not len(sizes):
        raise ValueError("a level of another shape")
    if symbols.dtype not in ID_TYPES or sizes.dtype not in ID_TYPES or counts.dtype != torch.uint8:
        raise ValueError("a level of another type")
    smallest, largest, entries = int(sizes.min()) + 1, int(sizes.max()) + 1, int(sizes.sum()) + len(sizes)
    if smallest < 1 or largest > alphabet or not entries == len(symbols) == len(counts):
        raise ValueError("a level whose rows and entries do not fit together")
    if int(symbols.min()) < 0 or int(symbols.max()) >= alphabet or not int(counts.min()):
        raise ValueError("a level with an invalid entry")


def leads_on(symbols: Tensor, counts: Tensor, eos: int, n: int) -> Tensor:
    """Whether each entry of level n leads to a row of level n + 1. It does if it was counted twice or more.

    The exception is an `<eos>` after other symbols. It ends the article, and contexts do not continue after it.
    """
    return ((symbols != eos) | (n == 0)) & (counts > 1)
