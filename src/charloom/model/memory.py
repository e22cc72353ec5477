"""The n-gram memory: how often each symbol followed each context in the training text.

A context is the last n symbols, for n from 0 to `order`. It never reaches back beyond the `<eos>` before its article.
The contexts are a trie. Level n has a *row* for each context of n symbols. A row has an *entry* for each symbol that
followed the context, with its count. An entry of level n is n + 1 symbols long, so it leads to a row of level n + 1.

The memory predicts the next symbol by interpolation, from short contexts to long ones:

    p_n(symbol) = share_n · count(symbol) / total + (1 - share_n) · p_(n-1)(symbol)

The share depends on the level, on the total of the row, and on how many different symbols the row has. That is the
interpolation of Jelinek and Mercer (1980). counting.py counts a text and fits the shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PLACES = 4096  # places that are predicted at once: their probabilities fit in the processor's cache
TOTAL_BUCKETS = 13  # a row's total is 1, 2 to 3, 4 to 7, …, or 4096 and more
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # the limits between buckets of (different symbols / total)
BUCKETS = TOTAL_BUCKETS * (len(RATIOS) + 1)
MIN_PROBABILITY = 1e-9
RARE = 16  # a count from which leaving one out matters little
DENSE_LEVEL = 2  # the probabilities after all contexts up to this length are computed once, when the memory is made
MAX_DENSE = 1 << 25  # but only if there are at most so many of these probabilities, which is 128 MiB
ID_TYPES = (torch.uint8, torch.int32)  # of the stored symbols and sizes


class Level(NamedTuple):
    """The contexts of one length. The entries are sorted by row, then by symbol."""

    keys: Tensor  # (entries,): row · number of symbols + symbol
    symbols: Tensor  # (entries,)
    counts: Tensor  # (entries,): from 1 to 255
    starts: Tensor  # (rows + 1,): the first entry of each row
    children: Tensor  # (entries,): the row of the next level, −1 if there is none

    def to(self, device: torch.device | str) -> Level:
        """The same level on another device."""
        return Level(*(tensor.to(device) for tensor in self))

    @property
    def row_of_entry(self) -> Tensor:
        """The row (entries,) of each entry."""
        sizes = self.starts.diff()
        return torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)


class Memory:
    """The counts of a training text, and what they predict. None of its numbers is trained by gradient descent."""

    def __init__(
        self, stored: Mapping[str, Tensor], symbols: int, eos: int, device: torch.device | str = "cpu"
    ) -> None:
        """`stored` is what counting.py made and model.safetensors contains: `shares` (levels, BUCKETS), and for each
        level n `symbols.n` and `counts.n` (entries,), and `sizes.n` (rows,), the number of entries of each row minus 1.

        Raises ValueError if `stored` is damaged.
        """
        self.stored = dict(stored)
        self.symbols = symbols
        self._eos = eos
        self.levels = [level.to(device) for level in _levels(stored, symbols, eos)]
        self.shares = _checked_shares(stored["shares"], len(self.levels)).to(device)
        self._row_weights = [_weights(self.shares[n], *row_totals(level)) for n, level in enumerate(self.levels)]
        self._one_less: list[Tensor] | None = None
        self._dense_level = self._longest_dense_level()
        self._dense = self._dense_probabilities()

    @property
    def order(self) -> int:
        """The length of the longest contexts, in symbols."""
        return len(self.levels) - 1

    def to(self, device: torch.device | str) -> Memory:
        """The same memory on another device."""
        return Memory(self.stored, self.symbols, self._eos, device)

    def read(self, ids: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """The probabilities (time, batch, symbols) of the symbol after each of the ids (time, batch).

        `rows` (order, batch) is the second result of the call for the text before; None at the beginning of a text.
        """
        contexts, _ = self.walk(ids, rows)
        found = self.probabilities([level.flatten() for level in contexts])
        return found.view(*ids.shape, self.symbols), torch.stack([level[-1] for level in contexts[1:]])

    def leave_one_out(self, ids: Tensor, counted: Tensor, history: int) -> Tensor:
        """What the memory would predict at places of its own training text, had it not counted the place.

        `ids` (history + time + 1, batch) begins with `history` symbols before the places and ends with the last target.
        `counted` (time, batch) says which targets the memory has counted. Returns (time, batch, symbols).
        """
        contexts, arrivals = self.walk(ids, None)
        last = self.find(self.order, contexts[-1][:-1], ids[1:])
        places = slice(history, len(ids) - 1)
        targets = [*(arrival[1:] for arrival in arrivals), last]
        found = self.probabilities(
            [level[places].flatten() for level in contexts],
            [level[places].flatten() for level in targets],
            counted.flatten(),
        )
        return found.view(*counted.shape, self.symbols)

    def walk(self, ids: Tensor, rows: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        """For each level the row (time, batch) of the context that ends at each id, −1 if that was never counted.

        Also returns, for each level but the last, the entry that each id is, in the row of the context before it.
        """
        contexts, arrivals = [torch.zeros_like(ids)], []
        for n in range(self.order):
            if n == 0:
                before = torch.zeros_like(ids[:1])
            else:
                before = torch.full_like(ids[:1], -1) if rows is None else rows[n - 1][None]
            entry = self.find(n, torch.cat([before, contexts[n][:-1]]), ids)
            arrivals.append(entry)
            contexts.append(torch.where(entry >= 0, self.levels[n].children[entry.clamp(min=0)], -1))
        return contexts, arrivals

    def find(self, n: int, rows: Tensor, symbols: Tensor) -> Tensor:
        """The entries of these symbols in these rows of level n; −1 if there is none."""
        keys = self.levels[n].keys
        wanted = rows * self.symbols + symbols
        places = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
        return torch.where((rows >= 0) & (keys[places] == wanted), places, -1)

    def probabilities(
        self, rows: Sequence[Tensor], targets: Sequence[Tensor] | None = None, counted: Tensor | None = None
    ) -> Tensor:
        """The probabilities (places, symbols) after contexts, given by their rows (places) at each level.

        `targets` (places) are the entries of the symbols that follow; where `counted`, each is counted once less.
        """
        found = torch.empty(len(rows[0]), self.symbols, device=rows[0].device)
        rare = None if targets is None or counted is None else (counted & self._is_rare(targets)).nonzero()[:, 0]
        for begin in range(0, len(found), PLACES):
            self._fill(found, slice(begin, begin + PLACES), self._dense_level, rows, targets, counted)
        if rare is not None:  # here the dense probabilities, from which nothing is left out, would give the target away
            for some in rare.split(PLACES):
                self._fill(found, some, -1, rows, targets, counted)
        return found.clamp_(min=MIN_PROBABILITY)

    def _is_rare(self, targets: Sequence[Tensor]) -> Tensor:
        """Whether the targets (places) were counted fewer than RARE times after their last `_dense_level` symbols."""
        n = self._dense_level
        return (targets[n] < 0) | (self.levels[n].counts[targets[n].clamp(min=0)] < RARE)

    def _fill(
        self,
        found: Tensor,
        places: slice | Tensor,
        base: int,
        rows: Sequence[Tensor],
        targets: Sequence[Tensor] | None,
        counted: Tensor | None,
    ) -> None:
        """Compute `probabilities` for some places."""
        found[places] = self._interpolate(
            base,
            [level[places] for level in rows],
            None if targets is None else [level[places] for level in targets],
            None if counted is None else counted[places],
        )

    def _interpolate(
        self, base: int, rows: Sequence[Tensor], targets: Sequence[Tensor] | None, counted: Tensor | None
    ) -> Tensor:
        """`probabilities` for a few places: what the long contexts leave is given to the short ones.

        Contexts of up to `base` symbols have their dense probabilities. If `base` is -1, all levels are computed.
        """
        levels = range(self.order, base, -1)
        left = torch.ones(len(rows[0]), device=rows[0].device)
        scales = {}
        for n in levels:
            weights = self._weights_at(n, rows[n], targets, counted)
            scales[n] = left * weights[:, 0]
            left = left * weights[:, 1]
        if base < 0:
            found = (left / self.symbols)[:, None].repeat(1, self.symbols)
        else:
            found = self._dense[self._dense_row(rows)] * left[:, None]
        for n in levels:
            self._add_counts(found, n, rows[n], scales[n])
            if targets is not None and counted is not None:
                own = (counted & (targets[n] >= 0)).nonzero()[:, 0]
                index = own * self.symbols + self.levels[n].symbols[targets[n][own]]
                found.view(-1)[index] -= scales[n][own]
        return found

    def _add_counts(self, found: Tensor, n: int, rows: Tensor, scales: Tensor) -> None:
        """Add the counts of these rows (places) of level n, times `scales` (places), to `found` (places, symbols)."""
        level, known = self.levels[n], rows >= 0
        first = level.starts[rows.clamp(min=0)]
        sizes = torch.where(known, level.starts[rows.clamp(min=0) + 1] - first, 0)
        place = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), sizes)
        entry = torch.arange(len(place), device=rows.device) + (first - sizes.cumsum(0) + sizes)[place]
        index = place * self.symbols + level.symbols[entry]
        found.view(-1)[index] += level.counts[entry] * scales[place]  # no index occurs twice

    def _weights_at(self, n: int, rows: Tensor, targets: Sequence[Tensor] | None, counted: Tensor | None) -> Tensor:
        """The weights (places, 2) of these rows of level n; an unknown context leaves all to shorter ones."""
        nothing = torch.tensor([0.0, 1.0], device=rows.device)
        if targets is None or counted is None:
            return torch.where((rows >= 0)[:, None], self._row_weights[n][rows.clamp(min=0)], nothing)
        own = (counted & (targets[n] >= 0))[:, None]
        one_less = self._weights_of_one_less()[n][targets[n].clamp(min=0)]
        if bool(own.all()):
            return one_less
        return torch.where(own, one_less, self._weights_at(n, rows, None, None))

    def _weights_of_one_less(self) -> list[Tensor]:
        """For each entry, the weights (entries, 2) of its row if the entry had been counted once less."""
        if self._one_less is None:
            self._one_less = []
            for n, level in enumerate(self.levels):
                totals, different = row_totals(level)
                row, once = level.row_of_entry, (level.counts == 1).float()
                self._one_less.append(_weights(self.shares[n], totals[row] - 1, different[row] - once))
        return self._one_less

    def _dense_row(self, rows: Sequence[Tensor]) -> Tensor:
        """Where `_dense` has the probabilities after the longest known context of at most `_dense_level` symbols."""
        place, offset = torch.zeros_like(rows[0]), 1
        for n in range(1, self._dense_level + 1):
            place = torch.where(rows[n] >= 0, rows[n] + offset, place)
            offset += len(self.levels[n].starts) - 1
        return place

    def _longest_dense_level(self) -> int:
        """DENSE_LEVEL, or a lower level if there would be more than MAX_DENSE probabilities.

        With many symbols, the probabilities would be far larger than the file of the memory.
        """
        rows = torch.tensor([len(level.starts) - 1 for level in self.levels[: DENSE_LEVEL + 1]]).cumsum(0)
        return max(0, int((rows * self.symbols <= MAX_DENSE).sum()) - 1)

    def _dense_probabilities(self) -> Tensor:
        """The probabilities (rows, symbols) after each context of up to `_dense_level` symbols, level after level."""
        found: list[Tensor] = []
        for n, level in enumerate(self.levels[: self._dense_level + 1]):
            uniform = torch.full((1, self.symbols), 1 / self.symbols, device=self.shares.device)
            shorter = uniform if n == 0 else found[-1][self._suffixes(n)]
            weights = self._row_weights[n]
            here = shorter * weights[:, 1:]
            here.view(-1)[level.keys] += level.counts * weights[level.row_of_entry, 0]
            found.append(here)
        return torch.cat(found)

    def _suffixes(self, n: int) -> Tensor:
        """For each row of level n, which is 1 or 2, the row of its context without the first symbol."""
        parents = (self.levels[n - 1].children >= 0).nonzero()[:, 0]
        if n == 1:
            return torch.zeros_like(parents)
        symbols = self.levels[1].symbols[parents].long()
        entries = self.find(0, torch.zeros_like(symbols), symbols)
        if bool((entries < 0).any()):
            raise ValueError("a context ends with a symbol that was never counted")
        return self.levels[0].children[entries]


def leads_on(symbols: Tensor, eos: int, n: int) -> Tensor:
    """Which entries of level n begin a longer context. An `<eos>` after other symbols does not: it ends the article."""
    return (symbols != eos) | (n == 0)


def bucket(totals: Tensor, different: Tensor) -> Tensor:
    """The bucket of rows with these totals and numbers of different symbols."""
    by_total = torch.log2(totals.clamp(min=1)).floor().long().clamp(max=TOTAL_BUCKETS - 1)
    limits = torch.tensor(RATIOS, device=totals.device, dtype=totals.dtype)
    return by_total * (len(RATIOS) + 1) + torch.bucketize(different / totals.clamp(min=1), limits)


def row_totals(level: Level) -> tuple[Tensor, Tensor]:
    """The total of each row, and how many different symbols it has; both as floats."""
    different = level.starts.diff()
    totals = torch.zeros(len(different), device=different.device)
    return totals.index_add_(0, level.row_of_entry, level.counts.float()), different.float()


def _weights(shares: Tensor, totals: Tensor, different: Tensor) -> Tensor:
    """(rows, 2): what a count is multiplied by (share / total), and what is left for shorter contexts (1 − share)."""
    share = torch.where(totals > 0, shares[bucket(totals, different)], 0.0)
    return torch.stack([share / totals.clamp(min=1), 1 - share], 1)


def _levels(stored: Mapping[str, Tensor], symbols: int, eos: int) -> Iterator[Level]:
    rows, levels = 1, sum(name.startswith("symbols.") for name in stored)
    parts = {f"{part}.{n}" for part in ("symbols", "counts", "sizes") for n in range(levels)}
    if levels < 2 or stored.keys() != parts | {"shares"}:
        raise ValueError("its tensors have other names")
    for n in range(levels):
        level = _level(stored[f"symbols.{n}"], stored[f"counts.{n}"], stored[f"sizes.{n}"], symbols)
        if len(level.starts) != rows + 1:
            raise ValueError(f"level {n} has {len(level.starts) - 1} rows instead of {rows}")
        leads = leads_on(level.symbols, eos, n) & (n < levels - 1)
        rows = int(leads.sum())
        yield level._replace(children=torch.where(leads, leads.cumsum(0) - 1, -1))


def _level(symbols: Tensor, counts: Tensor, sizes: Tensor, alphabet: int) -> Level:
    """A level without its children. `alphabet` is the number of symbols."""
    if not symbols.dim() == counts.dim() == sizes.dim() == 1 or not len(symbols) or not len(sizes):
        raise ValueError("a level of another shape")
    if symbols.dtype not in ID_TYPES or sizes.dtype not in ID_TYPES or counts.dtype != torch.uint8:
        raise ValueError("a level of another type")
    ids, sizes = symbols.long(), sizes.long() + 1
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    if int(sizes.min()) < 1 or int(sizes.max()) > alphabet or int(starts[-1]) != len(ids) or len(counts) != len(ids):
        raise ValueError("a level whose rows and entries do not fit together")
    keys = torch.repeat_interleave(torch.arange(len(sizes)), sizes) * alphabet + ids
    in_range = int(ids.min()) >= 0 and int(ids.max()) < alphabet and int(counts.min()) > 0
    if not in_range or not bool((keys[1:] > keys[:-1]).all()):
        raise ValueError("a level with an invalid entry")
    return Level(keys, symbols, counts, starts, keys)


def _checked_shares(shares: Tensor, levels: int) -> Tensor:
    if shares.shape != (levels, BUCKETS) or shares.dtype != torch.float32:
        raise ValueError("shares of another shape or type")
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError("a share that is not from 0 to 1")
    return shares
