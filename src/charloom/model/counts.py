"""The counts of a text, with the shares: how much contexts of each length are trusted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from charloom.model.interpolation import BUCKETS, Interpolation, Prediction
from charloom.model.matching import HISTORY
from charloom.model.single import SingleCounts
from charloom.model.trie import Stored, Trie, read_trie

SHARES = "shares"


class Places(NamedTuple):
    """Places of a text: the contexts before each place, and the symbol after the place."""

    rows: Tensor  # (levels, places): the row of the context of each level
    targets: Tensor  # (levels, places): the entry of the symbol in each of these rows

    def up_to(self, order: int) -> Places:
        """The same places with contexts of up to `order` symbols."""
        return Places(self.rows[: order + 1], self.targets[: order + 1])


def places_of(trie: Trie, ids: Tensor, roots: Tensor) -> Places:
    """The time · batch places of a text.

    The first place is after `ids[HISTORY]`, so the targets are `ids[HISTORY + 1:]`. `ids` is (HISTORY + time + 1,
    batch). `roots` (time, batch) has the row of level 0 for each place.
    """
    before = trie.no_context(ids.shape[1])
    contexts, arrivals = trie.walk(
        ids[HISTORY - trie.order :], torch.cat([roots[:1].expand(trie.order, -1), roots, roots[-1:]]), before
    )
    rows = contexts[:, trie.order : -1]
    symbols = ids[HISTORY + 1 :].to(rows[0].dtype)
    # The arrivals at level 0 are in the root of the next place, which can belong to another class.
    targets = [trie.find(0, rows[0], symbols), *(arrival[trie.order + 1 :] for arrival in arrivals[1:])]
    if trie.order:
        targets.append(trie.find(trie.order, rows[-1], symbols))
    return Places(rows.flatten(1), torch.stack([level.flatten() for level in targets]))


class Counts:
    """The counts of a text, and what they predict."""

    def __init__(
        self, stored: Stored, symbols: int, eos: int, roots: int = 1, device: torch.device | str = "cpu"
    ) -> None:
        """`stored` has these tensors:

        - for each level n, `symbols.n` (entries), `counts.n` (entries) and `sizes.n` (rows): the number of entries of
          each row minus 1
        - `shares` (levels, BUCKETS)

        Level 0 has `roots` rows. Raises ValueError if `stored` is damaged.
        """
        if SHARES not in stored:
            raise ValueError("tensors are missing or have unknown names")
        trie = read_trie({name: tensor for name, tensor in stored.items() if name != SHARES}, symbols, eos, roots)
        self.stored = dict(stored)
        self.trie = trie.to(device)
        self.order = trie.order  # the length of the longest contexts, in symbols
        self.use_shares(stored[SHARES])

    def use_shares(self, shares: Tensor) -> None:
        """Predict with these shares from now on. Raises ValueError if they do not fit the counts."""
        self.shares = checked_shares(shares, (self.order + 1, BUCKETS)).to(self.trie.starts.device)
        self.stored[SHARES] = shares
        self._interpolation = Interpolation(self.trie, self.shares)

    @property
    def dense_level(self) -> int:
        """The length of the longest contexts whose probabilities are computed once (interpolation.py)."""
        return self._interpolation.dense_level

    def places(self, ids: Tensor, roots: Tensor) -> Places:
        """The places of a text, as in `places_of`."""
        return places_of(self.trie, ids, roots)

    def predict(self, rows: Tensor) -> Prediction:
        """The prediction after contexts, given by their rows (levels, places). The highest levels can be missing."""
        return self._interpolation.probabilities(rows)

    def single(self) -> SingleCounts:
        """The same counts, with the present shares, for one place on a CPU."""
        return SingleCounts(self.trie, self._interpolation)

    def leave_one_out(self, places: Places, counted: Tensor) -> Prediction:
        """The prediction at places of a text. Each place that was `counted` (places) is left out of the counts."""
        return self._interpolation.leave_one_out(places.rows, places.targets, counted)


def checked_shares(shares: Tensor, shape: tuple[int, int]) -> Tensor:
    """The shares. Raises ValueError if they have another shape or type, or are not from 0 to 1."""
    if shares.shape != shape or shares.dtype != torch.float32:
        raise ValueError("shares of another shape or type")
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError("a share that is not from 0 to 1")
    return shares
