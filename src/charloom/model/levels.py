"""The levels of an n-gram memory: the counts of all contexts of one length. memory.py explains rows and entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

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


def read_levels(stored: Mapping[str, Tensor], symbols: int, eos: int) -> Iterator[Level]:
    """The levels of a memory, from its stored tensors. Raises ValueError if these do not fit together.

    `symbols` is the number of symbols. Memory's docstring describes the tensors.
    """
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


def leads_on(symbols: Tensor, eos: int, n: int) -> Tensor:
    """Which entries of level n begin a longer context. An `<eos>` after other symbols does not: it ends the article."""
    return (symbols != eos) | (n == 0)


def row_totals(level: Level) -> tuple[Tensor, Tensor]:
    """The total of each row, and how many different symbols it has; both as floats."""
    different = level.starts.diff()
    totals = torch.zeros(len(different), device=different.device)
    return totals.index_add_(0, level.row_of_entry, level.counts.float()), different.float()
