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

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from charloom.model.levels import read_levels, row_totals

PLACES = 4096  # places that are predicted at once: their probabilities fit in the processor's cache
TOTAL_BUCKETS = 13  # a row's total is 1, 2 to 3, 4 to 7, …, or 4096 and more
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # the limits between buckets of (different symbols / total)
BUCKETS = TOTAL_BUCKETS * (len(RATIOS) + 1)
MIN_PROBABILITY = 1e-9
RARE = 4  # a count from which leaving one out matters little
DENSE_LEVEL = 2  # the probabilities after all contexts up to this length are computed once, when the memory is made
MAX_DENSE = 1 << 25  # but only if there are at most so many of these probabilities, which is 128 MiB


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
        self.levels = [level.to(device) for level in read_levels(stored, symbols, eos)]
        self.shares = _checked_shares(stored["shares"], len(self.levels)).to(device)
        # the entries of all levels in one row, and where each row of each level begins there
        self._offsets = torch.tensor([0, *(len(level.keys) for level in self.levels)]).cumsum(0).tolist()
        self._symbols = torch.cat([level.symbols for level in self.levels])
        self._counts = torch.cat([level.counts for level in self.levels])
        self._starts = [level.starts + offset for level, offset in zip(self.levels, self._offsets, strict=False)]
        self._row_weights = [_weights(self.shares[n], *row_totals(level)) for n, level in enumerate(self.levels)]
        self._one_less: list[Tensor] | None = None
        self._dense_level = self._longest_dense_level()
        self._dense = self._dense_probabilities()

    @property
    def order(self) -> int:
        """The length of the longest contexts, in symbols."""
        return len(self.levels) - 1

    def to(self, device: torch.device | str) -> Memory:
        """The same memory on another device. On the same device it is this memory itself."""
        if torch.device(device) == self.shares.device:
            return self
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
        found = self.probabilities(*self.contexts_and_targets(ids, history), counted.flatten())
        return found.view(*counted.shape, self.symbols)

    def contexts_and_targets(self, ids: Tensor, history: int) -> tuple[list[Tensor], list[Tensor]]:
        """For each level the rows of contexts, and the entries of the symbols that follow them: (time · batch) each.

        `ids` (history + time + 1, batch) begins with `history` symbols before the places and ends with the last target.
        """
        contexts, arrivals = self.walk(ids, None)
        last = self.find(self.order, contexts[-1][:-1], ids[1:])
        places = slice(history, len(ids) - 1)
        targets = [*(arrival[1:] for arrival in arrivals), last]
        return [level[places].flatten() for level in contexts], [level[places].flatten() for level in targets]

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
        scales = []
        for n in levels:
            weights = self._weights_at(n, rows[n], targets, counted)
            scales.append(left * weights[:, 0])
            left = left * weights[:, 1]
        if base < 0:
            found = (left / self.symbols)[:, None].repeat(1, self.symbols)
        else:
            found = self._dense.index_select(0, self._dense_row(rows)) * left[:, None]
        if levels:
            scale = torch.cat(scales)
            self._add_counts(found, levels, torch.cat([rows[n] for n in levels]), scale)
            if targets is not None and counted is not None:
                self._leave_out(found, levels, torch.cat([targets[n] for n in levels]), counted, scale)
        return found

    def _add_counts(self, found: Tensor, levels: range, rows: Tensor, scale: Tensor) -> None:
        """Add the counts of these rows, times `scale`, to `found` (places, symbols).

        `rows` and `scale` (levels · places) have the places of one level after those of another.
        """
        places = len(found)
        row = rows.view(len(levels), places).clamp(min=0)
        first = torch.cat([self._starts[n].index_select(0, row[index]) for index, n in enumerate(levels)])
        last = torch.cat([self._starts[n].index_select(0, row[index] + 1) for index, n in enumerate(levels)])
        sizes = torch.where(rows >= 0, last - first, 0)
        which = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), sizes)
        shift = first - sizes.cumsum(0) + sizes
        entry = torch.arange(len(which), device=rows.device) + shift.index_select(0, which)
        index = (which % places) * self.symbols + self._symbols.index_select(0, entry)
        values = self._counts.index_select(0, entry) * scale.index_select(0, which)
        found.view(-1).index_add_(0, index, values)

    def _leave_out(self, found: Tensor, levels: range, targets: Tensor, counted: Tensor, scale: Tensor) -> None:
        """Take each target that was counted off the counts once."""
        own = (counted.repeat(len(levels)) & (targets >= 0)).nonzero()[:, 0]
        places = len(found)
        offset = torch.tensor([self._offsets[n] for n in levels], device=targets.device)
        entry = targets[own] + offset[own.div(places, rounding_mode="floor")]
        index = (own % places) * self.symbols + self._symbols.index_select(0, entry)
        found.view(-1).index_add_(0, index, -scale[own])

    def _weights_at(self, n: int, rows: Tensor, targets: Sequence[Tensor] | None, counted: Tensor | None) -> Tensor:
        """The weights (places, 2) of these rows of level n; an unknown context leaves all to shorter ones."""
        nothing = torch.tensor([0.0, 1.0], device=rows.device)
        if targets is None or counted is None:
            return torch.where((rows >= 0)[:, None], self._row_weights[n].index_select(0, rows.clamp(min=0)), nothing)
        own = counted & (targets[n] >= 0)
        one_less = self._weights_of_one_less()[n].index_select(0, targets[n].clamp(min=0))
        if bool(own.all()):
            return one_less
        return torch.where(own[:, None], one_less, self._weights_at(n, rows, None, None))

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


def bucket(totals: Tensor, different: Tensor) -> Tensor:
    """The bucket of rows with these totals and numbers of different symbols."""
    by_total = torch.log2(totals.clamp(min=1)).floor().long().clamp(max=TOTAL_BUCKETS - 1)
    limits = torch.tensor(RATIOS, device=totals.device, dtype=totals.dtype)
    return by_total * (len(RATIOS) + 1) + torch.bucketize(different / totals.clamp(min=1), limits)


def _weights(shares: Tensor, totals: Tensor, different: Tensor) -> Tensor:
    """(rows, 2): what a count is multiplied by (share / total), and what is left for shorter contexts (1 − share)."""
    share = torch.where(totals > 0, shares[bucket(totals, different)], 0.0)
    return torch.stack([share / totals.clamp(min=1), 1 - share], 1)


def _checked_shares(shares: Tensor, levels: int) -> Tensor:
    if shares.shape != (levels, BUCKETS) or shares.dtype != torch.float32:
        raise ValueError("shares of another shape or type")
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError("a share that is not from 0 to 1")
    return shares
