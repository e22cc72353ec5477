"""What the counts of an n-gram memory predict. The counts of short and of long contexts are interpolated:

    p_n(symbol) = share_n · count(symbol) / total + (1 - share_n) · p_(n-1)(symbol)

p_n is the prediction from contexts of up to n symbols. Before level 0, all symbols have the same probability. The share
depends on the level, on the total of the row, and on how many different symbols the row has. It is 0 if the context has
no row, or if the total is 1: when this single symbol is left out, nothing remains. Jelinek and Mercer (1980) describe
this interpolation. counting.py fits the shares.

A place is a position in a text at which the next symbol is predicted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.trie import Trie, take

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

TOTAL_BUCKETS = 13  # a row's total is 1, 2 to 3, 4 to 7, …, or 4096 and more
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # the limits between buckets of (different symbols / total)
BUCKETS = TOTAL_BUCKETS * (len(RATIOS) + 1)
RARE = 4  # if a symbol was counted this often in a context, leaving one count out changes the prediction little
# The probabilities after all contexts of up to DENSE_LEVEL symbols are computed once, when the memory is made. They are
# the dense probabilities. If there would be more than MAX_DENSE of them (128 MiB), only shorter contexts have them.
DENSE_LEVEL, MAX_DENSE = 4, 1 << 25
FEW_PLACES = 64  # torch adds the counts of at most so many places, and scipy those of more places
ONE_LESS_AT_ONCE = 1 << 18  # entries for which `_weights_of_one_less` computes the weights together
MAX_AT_ONCE = 1 << 20  # probabilities that are computed at once: 4 MiB, which fits in the processor's cache


class Prediction(NamedTuple):
    """What the counts predict at places of a text."""

    probabilities: Tensor  # (places, symbols)
    depths: Tensor  # (places): how many levels above the dense levels contributed


class Interpolation:
    """The predictions of a memory, for places that are given by the rows of their contexts."""

    def __init__(self, trie: Trie, shares: Tensor) -> None:
        """`shares` has the shape (levels, BUCKETS)."""
        self._trie = trie
        self._shares = shares
        self._totals, self._different = trie.totals()
        self._levels = trie.level_of_row()
        self.weights = self._weights_of(self._levels, self._totals, self._different)
        self._one_less: Tensor | None = None
        self.dense_level = self._longest_dense_level()
        self.dense = self._dense_probabilities()
        self._matrix = _matrix_of_counts(trie) if shares.device.type == "cpu" else None

    def probabilities(self, rows: Tensor) -> Prediction:
        """The probabilities after contexts, given by their rows (levels, places)."""
        rows, base = rows[self.dense_level + 1 :], self._longest_dense(rows)
        weights = take_rows(self.weights, rows)
        return Prediction(self._mix(base, rows, weights), usable_levels(weights))

    def leave_one_out(self, rows: Tensor, targets: Tensor, counted: Tensor) -> Prediction:
        """The same as `probabilities`, but with one count less for the symbol that follows each place.

        In the contexts that have dense probabilities, nothing is left out of counts of RARE or more. `targets` (levels,
        places) are the entries of these symbols. `counted` (places) says whether the memory counted the place. If it
        did not, nothing is left out.
        """
        base = self._longest_dense(rows)
        symbols = take(self._trie.symbols, targets[0])
        sparse = slice(self.dense_level + 1, None)
        weights = self._weights_without_target(rows[sparse], targets[sparse], counted)
        found = self._mix(base, rows[sparse], weights, symbols, counted)
        # Nothing is left out of the dense probabilities. If a symbol is rare after a context, the dense probabilities
        # of this context would reveal it. So the prediction is computed again without dense probabilities of this kind.
        dense = slice(self.dense_level + 1)
        is_rare = counted & (take(self._trie.counts, targets[dense]) < RARE)
        common = self._longest_dense(torch.where(is_rare, self._trie.unknown_row, rows[dense]))
        rare = (common != base).nonzero()[:, 0]
        if len(rare):
            all_weights = self._weights_without_target(rows[:, rare], targets[:, rare], counted[rare])
            found[rare] = self._mix(common[rare], rows[:, rare], all_weights, symbols[rare], counted[rare])
        return Prediction(found, usable_levels(weights))

    def _longest_dense(self, rows: Tensor) -> Tensor:
        """The row (places) of the longest known context that has dense probabilities. −1 means no known context."""
        found = torch.full_like(rows[0], -1)
        for level in rows[: self.dense_level + 1]:
            found = torch.where(level == self._trie.unknown_row, found, level)
        return found

    def _weights_without_target(self, rows: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        """The weights (levels, places, 2) of rows. For places that are `counted`, the target has one count less."""
        weights = take_rows(self._weights_of_one_less(), targets)
        if bool(counted.all()):
            return weights
        return torch.where(counted[:, None], weights, take_rows(self.weights, rows))

    def _mix(
        self,
        base: Tensor,
        rows: Tensor,
        weights: Tensor,
        symbols: Tensor | None = None,
        counted: Tensor | None = None,
    ) -> Tensor:
        """Interpolate the dense probabilities of `base` (places) with the counts of longer contexts.

        `weights` (levels, places, 2) belong to `rows` (levels, places). For places that are `counted`, the symbol in
        `symbols` (places) has one count less.
        """
        share, rest = weights.unbind(2)
        longer = rows > base  # the rows of longer contexts have higher numbers
        remaining = torch.ones_like(base, dtype=torch.float32)
        scales = torch.empty_like(share)
        for n in reversed(range(len(rows))):
            scales[n] = torch.where(longer[n], remaining * share[n], 0.0)
            remaining = torch.where(longer[n], remaining * rest[n], remaining)
        found = self._sum_of_counts(rows, scales)
        found.addcmul_(self.dense.index_select(0, base + 1), remaining[:, None])
        if symbols is not None and counted is not None:
            places = counted.nonzero()[:, 0]
            found[places, symbols[places].long()] -= scales.sum(0)[places]
        return found

    def _sum_of_counts(self, rows: Tensor, scales: Tensor) -> Tensor:
        """For each place, the sum (places, symbols) of the counts of its rows. Each row is multiplied by its scale.

        `rows` and `scales` have the shape (levels, places).
        """
        levels, places = rows.shape
        rows = torch.where(scales > 0, rows, self._trie.unknown_row)  # the unknown row has no entries
        if self._matrix is None or places <= FEW_PLACES:
            return self._sum_of_entries(rows, scales)
        ends = np.arange(places + 1, dtype=np.int32) * levels
        scaled = _sparse_matrix(scales.T.ravel(), rows.T.ravel(), ends, (places, self._matrix.shape[0]))
        return torch.from_numpy((scaled @ self._matrix).toarray())

    def _sum_of_entries(self, rows: Tensor, scales: Tensor) -> Tensor:
        """`_sum_of_counts` for GPUs, which scipy does not support, and for few places, for which scipy is slower.

        On a CPU, the counts are added in the same order as in scipy, so the result has the same bits.
        """
        trie, places = self._trie, rows.shape[1]
        first = take(trie.starts, rows.flatten())
        sizes = take(trie.starts, rows.flatten() + 1) - first
        which = torch.repeat_interleave(torch.arange(len(sizes), device=rows.device), sizes)
        entry = torch.arange(len(which), device=rows.device) + take(first - sizes.cumsum(0) + sizes, which)
        index = (which % places) * trie.alphabet + take(trie.symbols, entry)
        found = torch.zeros(places, trie.alphabet, device=rows.device)
        found.view(-1).index_add_(0, index, take(trie.counts, entry) * take(scales.flatten(), which))
        return found

    def _weights_of(self, levels: Tensor, totals: Tensor, different: Tensor) -> Tensor:
        """The weights (rows, 2): the factor of each count (share / total), and the factor of shorter contexts."""
        share = torch.where(totals > 1, self._shares[levels, bucket(totals, different)], 0.0)
        return torch.stack([share / totals.clamp(min=1), 1 - share], 1)

    def _weights_of_one_less(self) -> Tensor:
        """For each entry, the weights (entries + 1, 2) of its row after taking one from the entry's count."""
        if self._one_less is None:
            parts = [
                self._weights_of(
                    self._levels[rows], self._totals[rows] - 1, self._different[rows] - (counts == 1).float()
                )
                for rows, counts in zip(
                    self._trie.row_of_entry().split(ONE_LESS_AT_ONCE),
                    self._trie.counts[:-1].split(ONE_LESS_AT_ONCE),
                    strict=True,
                )
            ]
            self._one_less = torch.cat([*parts, self.weights[-1:]])
        return self._one_less

    def _longest_dense_level(self) -> int:
        """DENSE_LEVEL, or a lower level if there would be more than MAX_DENSE probabilities.

        With many symbols, the probabilities would be far larger than the file of the memory.
        """
        rows = torch.tensor(self._trie.first_rows[1 : DENSE_LEVEL + 2])
        return max(0, int((rows * self._trie.alphabet <= MAX_DENSE).sum()) - 1)

    def _dense_probabilities(self) -> Tensor:
        """The dense probabilities (1 + rows, symbols). Row r of the trie has index r + 1.

        Index 0 has the prediction without any context: the same probability for each symbol.
        """
        trie = self._trie
        # For each row, the row of its context without the first symbol, within the level before.
        suffixes = torch.zeros(trie.roots, dtype=torch.int64, device=self._shares.device)
        found = [torch.full((1, trie.alphabet), 1 / trie.alphabet, device=self._shares.device)]
        for n in range(self.dense_level + 1):
            if n:
                suffixes = trie.suffixes(n, suffixes)
            rows, entries = trie.rows_of(n), trie.entries_of(n)
            weights = self.weights[rows]
            here = found[-1][suffixes] * weights[:, 1:]
            row = trie.row_of_entry(n)
            here[row, trie.symbols[entries].long()] += trie.counts[entries] * weights[row, 0]
            found.append(here)
        return torch.cat(found)


def take_rows(weights: Tensor, rows: Tensor) -> Tensor:
    """The weights (levels, places, 2) of rows (levels, places)."""
    return weights.index_select(0, rows.flatten()).view(*rows.shape, 2)


def usable_levels(weights: Tensor) -> Tensor:
    """For each place, the number of levels whose share is above 0. The weights are (levels, places, 2)."""
    return (weights[..., 0] > 0).sum(0)


def bucket(totals: Tensor, different: Tensor) -> Tensor:
    """The bucket of rows with these totals and numbers of different symbols."""
    by_total = torch.log2(totals.clamp(min=1)).floor().long().clamp(max=TOTAL_BUCKETS - 1)
    limits = torch.tensor(RATIOS, device=totals.device, dtype=totals.dtype)
    return by_total * (len(RATIOS) + 1) + torch.bucketize(different / totals.clamp(min=1), limits)


def _matrix_of_counts(trie: Trie) -> csr_matrix:
    """The counts as a sparse matrix (rows + 1, symbols)."""
    shape = len(trie.starts) - 1, trie.alphabet
    return _sparse_matrix(trie.counts[:-1], trie.symbols[:-1].int(), trie.starts.numpy(), shape)


def _sparse_matrix(
    values: Tensor, columns: Tensor, starts: npt.NDArray[np.integer], shape: tuple[int, int]
) -> csr_matrix:
    """A sparse matrix from its values, their columns, and the index of the first value of each row."""
    from scipy.sparse import csr_matrix  # loaded here, because it takes 0.15 s and a model without a memory needs none

    return csr_matrix((values.numpy(), columns.numpy(), starts), shape)
