"""Long contexts: this module finds an earlier place in the counted text with the same last symbols.

It predicts the symbol that followed there. Most long contexts occur once or never. Counting them would take a lot of
memory, and one place in the text is enough to know what followed. So the places of the text are sorted by hashes of the
symbols before them, and a binary search finds a place that shares a long context. Mahoney (2005) calls this a match
model. It finds the sentences that occur in several articles, of which a news corpus is full.

Only the hashes are compared. Two different contexts can have the same hash. Such a false match is not detected. The
shares, which are fitted, allow for it: a kind of match that is often wrong gets a small share.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from charloom.model.trie import take

LENGTHS = (5, 8, 12, 20, 32)  # the lengths of contexts that are compared, in symbols
# A key has 63 bits: some bits of the hash of each of these contexts, the shortest context first.
BITS = (23, 11, 11, 9, 9)
SHIFTS = (40, 29, 18, 9, 0)  # for each length, the number of bits that belong to longer contexts
HISTORY = LENGTHS[-1]  # how many symbols before a place decide its key
PIECE = 1 << 14  # how many keys of a text are computed at once
NO_KEY = -1  # the key of a place whose article has fewer than LENGTHS[0] symbols so far
# Odd numbers without a pattern in their bits. BASE · INVERSE is 1 modulo 2^64.
BASE, MIX = 0x5851F42D4C957F2D, 0x1E3779B97F4A7C15
INVERSE = pow(BASE, -1, 2**64) - (pow(BASE, -1, 2**64) >> 63) * 2**64  # as a signed number


class Matches(NamedTuple):
    """For each place, the symbol that followed its longest known context, and how long this context is."""

    symbols: Tensor  # (places)
    # (places): 0 if no long context is known, n if the context has LENGTHS[n - 1] symbols or more. A context that
    # begins with the `<eos>` before its article has the highest n, because it predicts better than others.
    lengths: Tensor


class LongContexts:
    """The places of a text, sorted by the symbols before them."""

    def __init__(self, text: Tensor, eos: int) -> None:
        """`text` (symbols) begins with `<eos>`, and each of its articles ends with one."""
        self.keys, order = _keys_of_text(text[:-1], eos).sort(stable=True)
        self.following = text[1:][order]
        self._articles = ((text == eos).cumsum(0)[:-1][order] - 1).int()

    def find(self, keys: Tensor, articles: Tensor | None = None) -> Matches:
        """The matches of the places that have these keys (places).

        `articles` (places) are the numbers of the places' articles in the text. A match in the same article is not
        used. None means that all matches are used.
        """
        # Neighbours in the sorted order share the longest contexts. If several share equally long contexts, `rank`
        # selects the one that is listed first.
        neighbours = torch.tensor([0, 1, -1], device=keys.device)[:, None]
        candidates = (torch.searchsorted(self.keys, keys) + neighbours).clamp_(0, len(self.keys) - 1)
        different = keys ^ take(self.keys, candidates)
        lengths = torch.stack([(different >> shift) == 0 for shift in SHIFTS]).sum(0)
        allowed = keys != NO_KEY
        if articles is not None:
            allowed = allowed & (take(self._articles, candidates) != articles)
        lengths *= allowed
        rank = torch.arange(len(neighbours), 0, -1, device=keys.device)[:, None]
        best = (lengths * len(neighbours) + rank).argmax(0, keepdim=True)
        lengths, chosen = lengths.gather(0, best)[0], candidates.gather(0, best)[0]
        return Matches(torch.where(lengths > 0, self.following.index_select(0, chosen).long(), 0), lengths)


def follow(probabilities: Tensor, matches: Matches, shares: Tensor, depths: Tensor) -> Tensor:
    """Give the symbol of each match a share of the probability. This changes `probabilities` (places, symbols).

    The share depends on the length of the match and on the depth of the prediction. `shares` has the shape (lengths,
    depths), and `depths` has the shape (places).
    """
    share = torch.where(matches.lengths > 0, shares[(matches.lengths - 1).clamp(min=0), depths], 0.0)
    places = torch.arange(len(depths), device=depths.device)
    probabilities *= (1 - share)[:, None]
    probabilities[places, matches.symbols] += share
    return probabilities


def keys_of(ids: Tensor, eos: int) -> Tensor:
    """The key (time, batch) of the place after each of the ids (time, batch).

    A key joins hashes of the last symbols. Each hash is a polynomial of the symbols, modulo 2^64. The difference of two
    prefix sums gives this polynomial.
    """
    time = torch.arange(len(ids), device=ids.device)[:, None]
    opened = torch.where(ids == eos, time, 0).cummax(0).values  # the index of the article's opening `<eos>`
    powers = _powers(BASE, len(ids), ids.device)[:, None]
    inverses = _powers(INVERSE, len(ids), ids.device)[:, None]
    sums = torch.cat([torch.zeros_like(ids[:1]), ((ids + 1) * MIX * powers).cumsum(0)])
    lengths, bits, shifts = torch.tensor([LENGTHS, BITS, SHIFTS], device=ids.device)[..., None, None]
    begins = torch.maximum(time - lengths + 1, opened)  # (lengths, time, batch)
    hashes = (sums[1:] - sums.expand(len(LENGTHS), -1, -1).gather(1, begins)) * inverses
    hashes = (hashes ^ (hashes >> 32)) * MIX
    keys = ((hashes >> (64 - bits) & ((1 << bits) - 1)) << shifts).sum(0)
    return torch.where(time - opened + 1 >= LENGTHS[0], keys, NO_KEY)


def _keys_of_text(text: Tensor, eos: int) -> Tensor:
    """The keys (symbols) of a long text. A piece of the text fits in the cache, which makes this three times faster."""
    pieces = []
    for begin in range(0, len(text), PIECE):
        before = max(0, begin - HISTORY)
        pieces.append(keys_of(text[before : begin + PIECE, None].long(), eos)[begin - before :, 0])
    return torch.cat(pieces)


@lru_cache(maxsize=64)
def _powers(base: int, count: int, device: torch.device) -> Tensor:
    """The powers (count) of a number, modulo 2^64."""
    factors = torch.full((count,), base, device=device)
    factors[:1] = 1
    return factors.cumprod(0)
