"""The n-gram memory: how often each symbol followed each context in the training text, and what this predicts.

A context consists of the last n symbols of a text. It begins at the `<eos>` before its article, or later. trie.py has
the counts of contexts of up to `order` symbols. interpolation.py predicts from the counts. matching.py finds longer
contexts. counting.py counts a text.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from charloom.model.interpolation import BUCKETS, Interpolation, Prediction
from charloom.model.matching import HISTORY, LENGTHS, LongContexts, Matches, follow, keys_of
from charloom.model.trie import ID_TYPES, Stored, read_trie, take

MIN_PROBABILITY = 1e-9  # the network needs logarithms of the probabilities


class Places(NamedTuple):
    """Places of a text: the contexts before each place, and the symbol after the place."""

    rows: Tensor  # (levels, places): the row of the context of each level
    targets: Tensor  # (levels, places): the entry of the symbol in each of these rows
    keys: Tensor  # (places): the key of the long contexts


class Memory:
    """The counts of a training text, and what they predict. None of its numbers is trained by gradient descent."""

    def __init__(self, stored: Stored, symbols: int, eos: int, device: torch.device | str = "cpu") -> None:
        """`stored` has the tensors that counting.py made and that model.safetensors contains:

        - for each level n, `symbols.n` (entries), `counts.n` (entries) and `sizes.n` (rows): the number of entries of
          each row minus 1
        - `text` (symbols): the ids of the counted text
        - `shares` (levels, BUCKETS) of the counts, and `match_shares` (lengths, levels + 1) of the long contexts

        Raises ValueError if `stored` is damaged.
        """
        self.stored = dict(stored)
        self.symbols = symbols
        self._eos = eos
        self.trie = read_trie(stored, symbols, eos).to(device)
        self.order = self.trie.order  # the length of the longest contexts that are counted, in symbols
        self.by_frequency = self.trie.frequencies().argsort(descending=True, stable=True)  # (symbols): ids
        self._long = LongContexts(_checked_text(stored["text"], symbols, eos).to(device), eos)
        self.use_shares(stored["shares"], stored["match_shares"])

    def use_shares(self, shares: Tensor, match_shares: Tensor) -> None:
        """Predict with these shares from now on. Raises ValueError if they do not fit the memory."""
        self.shares = _checked_shares(shares, (self.order + 1, BUCKETS)).to(self.trie.starts.device)
        self._interpolation = Interpolation(self.trie, self.shares)
        self.stored["shares"] = shares
        self.use_match_shares(match_shares)

    def use_match_shares(self, match_shares: Tensor) -> None:
        """Give what followed long contexts these shares from now on. The shares of the counts stay."""
        checked = _checked_shares(match_shares, (len(LENGTHS), self.order + 2))
        self._match_shares = checked.to(self.trie.starts.device)
        self.stored["match_shares"] = match_shares

    def to(self, device: torch.device | str) -> Memory:
        """The same memory on another device. If it is on this device already, the result is the memory itself."""
        if torch.device(device) == self.shares.device:
            return self
        return Memory(self.stored, self.symbols, self._eos, device)

    def read(self, ids: Tensor, recent: Tensor | None) -> tuple[Tensor, Tensor]:
        """The probabilities (time, batch, symbols) of the symbol after each of the ids (time, batch).

        Also returns the last HISTORY ids (HISTORY, batch). The next call needs them as `recent` to continue the text.
        At the beginning of a text, `recent` is None.
        """
        if recent is None:
            recent = torch.full_like(ids[:1], self._eos).repeat(HISTORY, 1)  # no context contains these `<eos>`
        ids = torch.cat([recent, ids])
        contexts, _ = self._walk(ids[HISTORY - self.order :])
        rows = torch.stack([level[self.order :].flatten() for level in contexts])
        matches = self._long.find(keys_of(ids, self._eos)[HISTORY:].flatten())
        found = self._predict(self._interpolation.probabilities(rows), matches)
        return found.view(-1, ids.shape[1], self.symbols), ids[-HISTORY:]

    def leave_one_out(self, ids: Tensor, articles: Tensor) -> Tensor:
        """The probabilities (time, batch, symbols) at places of the training text, each left out of the counts.

        `ids` (HISTORY + time + 1, batch) begins with the symbols before the places and ends with the last target.
        `articles` (time, batch) has, for each target, the number of its article in the counted text. If this article
        was not counted, the number is −1.
        """
        found = self._predict(*self.predict_left_out(self.places(ids), articles.flatten()))
        return found.view(*articles.shape, self.symbols)

    def predict_left_out(self, places: Places, articles: Tensor) -> tuple[Prediction, Matches]:
        """The two parts of `leave_one_out`: the prediction from the counts, and the matches of long contexts."""
        left = self._interpolation.leave_one_out(places.rows, places.targets, articles >= 0)
        return left, self._long.find(places.keys, articles)

    def places(self, ids: Tensor) -> Places:
        """The time · batch places of a text. `ids` is the same as for `leave_one_out`."""
        contexts, arrivals = self._walk(ids[HISTORY - self.order :])
        last = self.trie.find(self.order, contexts[-1][:-1], ids[HISTORY - self.order + 1 :].to(contexts[-1].dtype))
        targets = [*(arrival[1:] for arrival in arrivals), last]
        rows = torch.stack([level[self.order : -1].flatten() for level in contexts])
        keys = keys_of(ids[:-1], self._eos)[HISTORY:].flatten()
        return Places(rows, torch.stack([level[self.order :].flatten() for level in targets]), keys)

    def _predict(self, prediction: Prediction, matches: Matches) -> Tensor:
        found = follow(prediction.probabilities, matches, self._match_shares, prediction.depths)
        return found.clamp_(min=MIN_PROBABILITY)

    def _walk(self, ids: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """For each level, the row (time, batch) of the context that ends with each id.

        Also returns, for each level except the last, the entry (time, batch) of each id in the row of the context
        before the id.
        """
        trie = self.trie
        ids = ids.to(trie.children.dtype)
        unknown = torch.full_like(ids[:1], trie.unknown_row)
        contexts, arrivals = [torch.zeros_like(ids)], []
        for n in range(self.order):
            before = contexts[0] if n == 0 else torch.cat([unknown, contexts[n][:-1]])
            arrivals.append(trie.find(n, before, ids))
            contexts.append(take(trie.children, arrivals[n]))
        return contexts, arrivals


def _checked_shares(shares: Tensor, shape: tuple[int, int]) -> Tensor:
    if shares.shape != shape or shares.dtype != torch.float32:
        raise ValueError("shares of another shape or type")
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ValueError("a share that is not from 0 to 1")
    return shares


def _checked_text(text: Tensor, symbols: int, eos: int) -> Tensor:
    if text.dim() != 1 or text.dtype not in ID_TYPES or len(text) < 2:
        raise ValueError("a text of another shape or type")
    if int(text.min()) < 0 or int(text.max()) >= symbols or int(text[0]) != eos:
        raise ValueError("a text with an invalid symbol")
    return text
