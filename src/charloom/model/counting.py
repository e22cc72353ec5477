"""Counting a training text into an n-gram memory, and how much each context is to be trusted."""

from __future__ import annotations

import torch
from torch import Tensor

from charloom.model.levels import leads_on, row_totals
from charloom.model.memory import BUCKETS, Memory, bucket

MAX_COUNT = 255  # counts are stored as bytes; a row with a larger count is scaled down
ROUNDS = 15  # of expectation maximisation: the shares change in the third decimal after that
FITTED = 400_000  # places of the text from which the shares are fitted
FIRST_SHARE = 0.6


def count_ngrams(codes: Tensor, symbols: int, eos: int, order: int) -> dict[str, Tensor]:
    """Count what follows each context of up to `order` symbols in `codes` (1-D ids, beginning with `<eos>`).

    Returns what Memory takes, without the shares. Needs about 100 bytes for each symbol of the text while it counts.
    """
    after = codes[1:]
    row = torch.zeros_like(after)  # the row of the context before each symbol; −1 if there is none at this level
    rows = 1
    stored: dict[str, Tensor] = {}
    id_type = torch.uint8 if symbols <= 256 else torch.int32
    for n in range(order + 1):
        if not rows:  # the text is shorter than such a context
            break
        known = row >= 0
        keys, entry, counts = torch.unique(row[known] * symbols + after[known], return_inverse=True, return_counts=True)
        of_row = keys.div(symbols, rounding_mode="floor")
        sizes = torch.bincount(of_row, minlength=rows)
        stored[f"symbols.{n}"] = (keys % symbols).to(id_type)
        stored[f"counts.{n}"] = _as_bytes(counts, of_row, rows)
        stored[f"sizes.{n}"] = (sizes - 1).to(id_type)
        leads = leads_on(keys % symbols, eos, n)
        children = torch.where(leads, leads.cumsum(0) - 1, -1)
        rows = int(leads.sum())
        following = torch.full_like(row, -1)
        following[known] = children[entry]
        row = torch.full_like(row, -1)
        row[1:] = following[:-1]
        if n == 0:  # the context of the first symbol is the <eos> before it
            row[:1] = children[keys == eos]
    return stored


def make_memory(codes: Tensor, symbols: int, eos: int, order: int) -> Memory:
    """Count a text and fit the shares to it. `codes` are its ids in one row, beginning with `<eos>`."""
    stored = count_ngrams(codes, symbols, eos, order)
    stored["shares"] = torch.full((len(stored) // 3, BUCKETS), FIRST_SHARE)
    stored["shares"] = fit_shares(Memory(stored, symbols, eos), codes)
    return Memory(stored, symbols, eos)


def fit_shares(memory: Memory, codes: Tensor) -> Tensor:
    """The shares (levels, BUCKETS) with which the memory best predicts its own text, each symbol left out once.

    Expectation maximisation over places spread through `codes`: a place's probability is a mixture of the levels, and a
    bucket's share is the part of its places' probability that its level explains.
    """
    contexts, targets = _spread_places(memory, codes)
    totals, different, counts = _left_out_once(memory, contexts, targets)
    buckets = [bucket(totals[n], different[n]) for n in range(memory.order + 1)]
    frequencies = [count / total.clamp(min=1) for count, total in zip(counts, totals, strict=True)]
    shares = torch.full((memory.order + 1, BUCKETS), FIRST_SHARE, dtype=torch.float64)
    for _ in range(ROUNDS):
        below = torch.full_like(frequencies[0], 1 / memory.symbols)
        explained = []  # at each level, the part of the probability so far that the level itself explains
        for n, frequency in enumerate(frequencies):
            share = torch.where(totals[n] > 0, shares[n][buckets[n]], 0.0)
            own = share * frequency
            below = own + (1 - share) * below
            explained.append(own / below.clamp(min=1e-30))
        responsible = torch.ones_like(below)
        for n in reversed(range(memory.order + 1)):
            seen = responsible * (totals[n] > 0)
            used = seen * explained[n]
            shares[n] = (_sum(used, buckets[n]) + 0.5) / (_sum(seen, buckets[n]) + 1)
            responsible = responsible - used
    return shares.float()


def _sum(values: Tensor, buckets: Tensor) -> Tensor:
    return torch.zeros(BUCKETS, dtype=values.dtype).index_add_(0, buckets, values)


def _spread_places(memory: Memory, codes: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Contexts and targets at FITTED places of the text, or at all: their rows and entries at each level."""
    columns = 100
    length = min(len(codes) // columns, FITTED // columns + memory.order + 1)
    starts = torch.arange(columns) * (len(codes) // columns)
    ids = codes[starts + torch.arange(length)[:, None]]
    return memory.contexts_and_targets(ids, memory.order)  # the first places lack a part of their context


def _left_out_once(
    memory: Memory, contexts: list[Tensor], targets: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Totals and different symbols of the rows, and counts of the targets, as if each were counted once less."""
    totals, different, counts = [], [], []
    for level, row, target in zip(memory.levels, contexts, targets, strict=True):
        there = target >= 0
        count = torch.where(there, level.counts[target.clamp(min=0)].double(), 0.0)
        sums, kinds = (each.double() for each in row_totals(level))
        at = row.clamp(min=0)
        totals.append(torch.where(there, sums[at] - 1, 0.0))
        different.append(torch.where(there, kinds[at] - (count == 1).double(), 0.0))
        counts.append(torch.where(there, count - 1, 0.0))
    return totals, different, counts


def _as_bytes(counts: Tensor, of_row: Tensor, rows: int) -> Tensor:
    """Counts as bytes: the counts of a row whose largest one is above MAX_COUNT keep their proportions."""
    largest = torch.zeros(rows, dtype=counts.dtype).scatter_reduce_(0, of_row, counts, "amax")
    scale = (MAX_COUNT / largest.double()).clamp(max=1.0)
    return (counts * scale[of_row]).round().clamp(min=1).to(torch.uint8)
