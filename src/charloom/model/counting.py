"""Counting a training text into an n-gram memory, and fitting the shares: how much each context is trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from charloom.model.counts import SHARES, Counts, Places, places_of
from charloom.model.interpolation import BUCKETS, MAX_AT_ONCE, bucket
from charloom.model.matching import HISTORY, LENGTHS
from charloom.model.memory import Memory
from charloom.model.trie import Trie, leads_on, read_trie, take

MAX_COUNT = 255  # counts are stored as bytes; a row with a larger count is scaled down
ROUNDS = 15  # rounds of expectation maximisation; more rounds change the shares only in the third decimal
FITTED = 400_000  # the shares are fitted to at most this many places of the text
FIRST_SHARE = 0.6  # each share before the first round
# Each bucket gets one more place, of which a half is explained. So the share of a bucket without places is 0.5.
MORE_PLACES, MORE_EXPLAINED = 1.0, 0.5


def count_ngrams(codes: Tensor, symbols: int, eos: int, order: int, roots: Tensor | None = None) -> dict[str, Tensor]:
    """Count what follows each context of up to `order` symbols in `codes` (1-D ids).

    `codes` begins and ends with `<eos>`. `roots` (codes - 1) has the row of level 0 for each symbol except the first.
    None means that there is one such row. Returns the tensors of all levels, as the docstring of Counts describes them.
    Counting needs about 100 bytes for each symbol of the text. Raises ValueError if `codes` does not begin and end with
    `<eos>`.
    """
    if len(codes) < 2 or codes[0] != eos or codes[-1] != eos:
        raise ValueError("a text that does not begin and end with <eos>")
    after = codes[1:]
    roots = torch.zeros_like(after) if roots is None else roots
    row = roots  # the row of the context before each symbol; −1 if this context is not counted
    rows = int(roots.max()) + 1
    stored: dict[str, Tensor] = {}
    for n in range(order + 1):
        if not rows:  # no context of this length is counted
            break
        known = row >= 0
        keys, entry, counts = torch.unique(row[known] * symbols + after[known], return_inverse=True, return_counts=True)
        of_row = keys.div(symbols, rounding_mode="floor")
        sizes = torch.bincount(of_row, minlength=rows)
        stored[f"symbols.{n}"] = (keys % symbols).to(_id_type(symbols))
        stored[f"counts.{n}"] = _as_bytes(counts, of_row, rows)
        stored[f"sizes.{n}"] = (sizes - 1).to(_id_type(symbols))
        leads = leads_on(keys % symbols, counts, eos, n)
        children = torch.where(leads, leads.cumsum(0) - 1, -1)
        rows = int(leads.sum())
        if n == 0:  # a context that begins with an `<eos>` belongs to the root of the symbol after the `<eos>`
            row = children[torch.searchsorted(keys, roots * symbols + codes[:-1])]
            continue
        following = torch.full_like(row, -1)
        following[known] = children[entry]
        row = torch.full_like(row, -1)
        row[1:] = following[:-1]
    return stored


def make_memory(codes: Tensor, symbols: int, eos: int, order: int, by_class: Counts | None = None) -> Memory:
    """Count a text and fit the shares to it.

    `codes` are the ids of the text in one row, with an `<eos>` before and after each article. `by_class` are the counts
    by class, which `count_classes` makes.
    """
    counts = _make_counts(codes, symbols, eos, order, torch.zeros_like(codes[1:]))
    shares = torch.full((len(LENGTHS), counts.order + 1), FIRST_SHARE)
    memory = Memory(counts, codes.to(_id_type(symbols)), eos, shares, by_class)
    starts, length = _spread(codes)
    ids = _around(codes, starts, length, eos)
    articles = ((codes == eos).cumsum(0) - 1)[starts + torch.arange(length)[:, None]].flatten()
    memory.use_match_shares(fit_match_shares(memory, ids, articles))
    return memory


def count_classes(articles: Tensor, of_class: Tensor, classes: int, symbols: int, eos: int, order: int) -> Counts:
    """Count the articles of each class apart, and fit the shares.

    `articles` (1-D ids) are the articles in one row, each with an `<eos>` at its end. `of_class` has the class id of
    each of these ids. `classes` is the number of classes.
    """
    # Each class also gets an empty article. So a class has an entry even if it has no other articles.
    codes = torch.cat([torch.tensor([eos]), articles, torch.full((classes,), eos)])
    return _make_counts(codes, symbols, eos, order, torch.cat([of_class, torch.arange(classes)]))


def _make_counts(codes: Tensor, symbols: int, eos: int, order: int, roots: Tensor) -> Counts:
    """Count a text, and fit the shares at some of its places. The arguments are those of `count_ngrams`."""
    stored = count_ngrams(codes, symbols, eos, order, roots)
    starts, length = _spread(codes)
    root_of_place = roots[starts + torch.arange(length)[:, None]]
    rows = int(roots.max()) + 1
    trie = read_trie(stored, symbols, eos, rows)
    shares = fit_shares(trie, places_of(trie, _around(codes, starts, length, eos), root_of_place))
    del trie  # before Counts makes its own, because a trie needs 100 MB
    return Counts(stored | {SHARES: shares}, symbols, eos, rows)


def fit_shares(trie: Trie, places: Places) -> Tensor:
    """The shares (levels, BUCKETS) with which the counts predict these places best.

    Each place is left out of the counts. The probability at a place is a mixture of the levels. Expectation
    maximisation finds the shares: in each round, the new share of a bucket is a mean over the places of the bucket,
    namely of the part of the probability that came from the bucket's level.
    """
    totals, different, counts = _left_out_once(trie, places)
    buckets = bucket(totals, different)
    frequencies = counts / totals.clamp(min=1)
    shares = torch.full((trie.order + 1, BUCKETS), FIRST_SHARE, dtype=torch.float64)
    for _ in range(ROUNDS):
        below = torch.full_like(frequencies[0], 1 / trie.alphabet)
        explained = []  # for each level, the part of the probability after this level that comes from it
        for n, frequency in enumerate(frequencies):
            share = torch.where(totals[n] > 1, shares[n][buckets[n]], 0.0)
            own = share * frequency
            below = own + (1 - share) * below
            explained.append(own / below.clamp(min=1e-30))
        responsible = torch.ones_like(below)
        for n in reversed(range(trie.order + 1)):
            seen = responsible * (totals[n] > 1)
            used = seen * explained[n]
            shares[n] = (_sum(used, buckets[n]) + MORE_EXPLAINED) / (_sum(seen, buckets[n]) + MORE_PLACES)
            responsible = responsible - used
    return shares.float()


def fit_match_shares(memory: Memory, ids: Tensor, articles: Tensor) -> Tensor:
    """The shares (lengths, levels) of the long contexts.

    Expectation maximisation finds them, as in `fit_shares`. The shares of the counts must be fitted first.

    `ids` (HISTORY + time + 1, batch) is a text, as for `Memory.leave_one_out`. `articles` (time · batch) has the number
    of the article of each place.
    """
    places, keys, targets = memory.places(ids), memory.keys(ids), ids[HISTORY + 1 :].flatten()
    depths = memory.order + 1
    parts = []
    for piece in torch.arange(len(targets)).split(max(1, MAX_AT_ONCE // memory.symbols)):
        some = Places(places.rows[:, piece], places.targets[:, piece])
        prediction, matches = memory.predict_left_out(some, keys[piece], articles[piece])
        known = matches.lengths > 0
        below = prediction.probabilities.gather(1, targets[piece, None])[:, 0].double()
        bucket_of = (matches.lengths - 1) * depths + prediction.depths
        parts.append((below[known], (matches.symbols == targets[piece])[known], bucket_of[known]))
    below, hit, which = (torch.cat(part) for part in zip(*parts, strict=True))
    shares = torch.full((len(LENGTHS) * depths,), FIRST_SHARE, dtype=torch.float64)
    seen = _sum(torch.ones_like(below), which, len(shares))
    for _ in range(ROUNDS):
        share = shares[which]
        used = torch.where(hit, share / (share + (1 - share) * below), 0.0)
        shares = (_sum(used, which, len(shares)) + MORE_EXPLAINED) / (seen + MORE_PLACES)
    return shares.float().view(len(LENGTHS), depths)


def _sum(values: Tensor, buckets: Tensor, count: int = BUCKETS) -> Tensor:
    """The sum (count) of the values in each bucket."""
    return torch.zeros(count, dtype=values.dtype).index_add_(0, buckets, values)


def _spread(codes: Tensor) -> tuple[Tensor, int]:
    """At most FITTED places, spread over a text: the first places of columns, and how many places each column has."""
    places = len(codes) - 1
    columns = min(100, places)
    return torch.arange(columns) * (places // columns), min(places // columns, FITTED // columns)


def _around(codes: Tensor, starts: Tensor, length: int, eos: int) -> Tensor:
    """The ids (HISTORY + length + 1, columns) of columns of places, as `Counts.places` needs them."""
    codes = torch.cat([torch.full((HISTORY,), eos), codes])
    return codes[starts + torch.arange(HISTORY + length + 1)[:, None]]


def _left_out_once(trie: Trie, places: Places) -> tuple[Tensor, Tensor, Tensor]:
    """For each row, its total and its number of different symbols, and for each target its count.

    One is taken from the count of each target first. Each result has the shape (levels, places).
    """
    totals, different = trie.totals()
    counts = take(trie.counts, places.targets).double()
    once = (counts == 1).double()
    there = counts > 0
    return (
        torch.where(there, take(totals, places.rows).double() - 1, 0.0),
        torch.where(there, take(different, places.rows).double() - once, 0.0),
        (counts - 1).clamp(min=0),
    )


def _id_type(symbols: int) -> torch.dtype:
    return torch.uint8 if symbols <= 256 else torch.int32


def _as_bytes(counts: Tensor, of_row: Tensor, rows: int) -> Tensor:
    """The counts as bytes. If the largest count of a row is above MAX_COUNT, the whole row is scaled down.

    A count above 1 stays above 1, because `leads_on` depends on it.
    """
    largest = torch.zeros(rows, dtype=counts.dtype).scatter_reduce_(0, of_row, counts, "amax")
    scale = (MAX_COUNT / largest.double()).clamp(max=1.0)
    return (counts * scale[of_row]).round().maximum(counts.clamp(max=2)).to(torch.uint8)
