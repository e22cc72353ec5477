"""The n-gram memory: how often each symbol followed each context in the training text, and what this predicts.

A context is the last n symbols, for n from 0 to `order`, or a longer one. It never reaches back beyond the `<eos>`
before its article. trie.py has the counts, interpolation.py the formula of the prediction, matching.py the longer
contexts. counting.py counts a text.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from charloom.model.interpolation import BUCKETS, MIN_PROBABILITY, Interpolation, Prediction
from charloom.model.matching import HISTORY, LENGTHS, LongContexts, Matches, follow, keys_of
from charloom.model.trie import ID_TYPES, Stored, read_trie, take


class Places(NamedTuple):
    """Places of a text, each with its contexts and with the symbol that follows, for each level of the memory."""

    rows: Tensor  # (levels, places): the contexts
    targets: Tensor  # (levels, places): the entries of the symbols that follow
    keys: Tensor  # (places): the long contexts


class Memory:
    """The counts of a training text, and what they predict. None of its numbers is trained by gradient descent."""

    def __init__(self, stored: Stored, symbols: int, eos: int, device: torch.device | str = "cpu") -> None:
        """`stored` is what counting.py made and model.safetensors contains. For each level n: `symbols.n` and
        `counts.n` (entries), and `sizes.n` (rows), the number of entries of each row minus 1. The ids of the counted
        `text`. The `shares` (levels, BUCKETS) of the counts, and the `match_shares` (lengths, levels + 1).

        Raises ValueError if `stored` is damaged.
        """
        self.stored = dict(stored)
        self.symbols = symbols
        self._eos = eos
        self.trie = read_trie(stored, symbols, eos).to(device)
        self.order = self.trie.order  # the length of the longest contexts that are counted, in symbols
        self.by_frequency = self.trie.frequencies().argsort(descending=True, stable=True)  # ids, most frequent first
        self._long = LongContexts(_checked_text(stored["text"], symbols, eos).to(device), eos)
        self.use_shares(stored["shares"], stored["match_shares"])

    def use_shares(self, shares: Tensor, match_shares: Tensor) -> None:
        """Predict with these shares from now on. Raises ValueError if they do not fit the memory."""
        levels, device = self.order + 1, self.trie.starts.device
        self.shares = _checked_shares(shares, (levels, BUCKETS)).to(device)
        self._match_shares = _checked_shares(match_shares, (len(LENGTHS), levels + 1)).to(device)
        self._interpolation = Interpolation(self.trie, self.shares)
        self.stored |= {"shares": shares, "match_shares": match_shares}

    def to(self, device: torch.device | str) -> Memory:
        """The same memory on another device. On the same device it is this memory itself."""
        if torch.device(device) == self.shares.device:
            return self
        return Memory(self.stored, self.symbols, self._eos, device)

    def read(self, ids: Tensor, recent: Tensor | None) -> tuple[Tensor, Tensor]:
        """The probabilities (time, batch, symbols) of the symbol after each of the ids (time, batch).

        `recent` (HISTORY, batch) are the ids before, the second result of the call for the text before; None at the
        beginning of a text.
        """
        if recent is None:
            recent = torch.full_like(ids[:1], self._eos).repeat(HISTORY, 1)  # nothing before an `<eos>` matters
        ids = torch.cat([recent, ids])
        contexts, _ = self._walk(ids[HISTORY - self.order :])
        rows = torch.stack([level[self.order :].flatten() for level in contexts])
        matches = self._long.find(keys_of(ids, self._eos)[HISTORY:].flatten())
        found = self._predict(self._interpolation.probabilities(rows), matches)
        return found.view(-1, ids.shape[1], self.symbols), ids[-HISTORY:]

    def leave_one_out(self, ids: Tensor, articles: Tensor) -> Tensor:
        """What the memory would predict at places of its own training text, had it not counted the place.

        `ids` (HISTORY + time + 1, batch) begins with the symbols before the places and ends with the last target.
        `articles` (time, batch) are the numbers of the articles of the targets in the counted text, −1 if an article
        was not counted. Returns (time, batch, symbols).
        """
        found = self._predict(*self.predict_left_out(self.places(ids), articles.flatten()))
        return found.view(*articles.shape, self.symbols)

    def predict_left_out(self, places: Places, articles: Tensor) -> tuple[Prediction, Matches]:
        """What the counts predict and what followed long contexts, both as `leave_one_out` says."""
        left = self._interpolation.leave_one_out(places.rows, places.targets, articles >= 0)
        return left, self._long.find(places.keys, articles)

    def places(self, ids: Tensor) -> Places:
        """The time · batch places in a text, given by ids as `leave_one_out` has them."""
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
        """For each level the row (time, batch) of the context that ends at each id.

        Also returns, for each level but the last, the entry that each id is, in the row of the context before it.
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
