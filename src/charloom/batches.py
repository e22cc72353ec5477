"""The order in which a training reads its text: a function of (seed, epoch, step) alone.

The codes live where the model does (on a CPU they stay mapped from disk), and batches are gathered there.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.vocab import Codes
from charloom.windows import Windows

_SIGNED = {1: np.uint8, 2: np.int16, 4: np.int32}  # of the same size: torch cannot index uint16 and uint32


class Batches(ABC):
    """A way of cutting a split into batches of `length` symbols and the one after, `batch_size` side by side."""

    carries_state: bool  # whether a step goes on where the one before it ended
    steps_per_epoch: int

    def __init__(self, split: Windows, batch_size: int, seed: int, device: torch.device) -> None:
        self.batch_size = batch_size
        self.length = split.length
        self._split = split
        self._seed = seed
        self._device = device
        self._codes = _tensor(split.codes.view(_SIGNED[split.codes.itemsize])).to(device)
        self._mask = 2 ** (8 * split.codes.itemsize) - 1  # makes an id of what torch sees as a signed number
        self._epoch = -1

    def at(self, epoch: int, step: int, columns: slice = slice(None)) -> Tensor:
        """The symbols (length + 1, columns) of a step: inputs all but the last row, targets all but the first."""
        self._enter(epoch)
        return self._codes[self._positions(step, columns)].long() & self._mask

    def articles_at(self, epoch: int, step: int, columns: slice = slice(None)) -> Tensor:
        """The articles (length, columns) that a step's targets are in; an `<eos>` as input begins the next one."""
        self._enter(epoch)
        return self._articles(step, columns)

    def _enter(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._begin(np.random.default_rng([self._seed, epoch]))
            self._epoch = epoch

    @abstractmethod
    def _begin(self, random: np.random.Generator) -> None:
        """Draw an epoch's order."""

    @abstractmethod
    def _positions(self, step: int, columns: slice) -> Tensor:
        """Where the symbols of a step stand in the codes."""

    @abstractmethod
    def _articles(self, step: int, columns: slice) -> Tensor:
        """Which articles a step's targets are in."""

    def _on_device(self, values: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self._device)


class Lanes(Batches):
    """Contiguous text in `batch_size` lanes, the state carried along each: truncated back-propagation through time.

    Each epoch puts the articles in a fresh order, joins them to one stream and cuts it into lanes of equal length.
    """

    carries_state = True

    def __init__(self, split: Windows, batch_size: int, seed: int, device: torch.device) -> None:
        super().__init__(split, batch_size, seed, device)
        self._symbols = int(split.lengths.sum())
        lane = self._symbols // batch_size
        self.steps_per_epoch = lane // split.length
        if not self.steps_per_epoch:
            raise InputError(
                f"train.batch_size = {batch_size} lanes of windows.length = {split.length} need"
                f" {batch_size * split.length} symbols, the training split has {self._symbols}; lower one of them"
            )
        rows, lanes = np.arange(split.length + 1)[:, None], np.arange(batch_size) * lane
        self._first = self._on_device(rows + lanes)

    def _begin(self, random: np.random.Generator) -> None:
        order = random.permutation(self._split.articles)
        lengths = self._split.lengths[order]
        ends = np.cumsum(lengths)
        self._order, self._ends = self._on_device(order), self._on_device(ends)
        self._shift = self._on_device(self._split.offsets[order] - (ends - lengths))  # from the stream to the codes

    def _positions(self, step: int, columns: slice) -> Tensor:
        places = self._places(step, columns)
        return places + self._shift[self._ranks(places)]

    def _articles(self, step: int, columns: slice) -> Tensor:
        return self._order[self._ranks(self._places(step, columns)[1:])]

    def _places(self, step: int, columns: slice) -> Tensor:
        """Where the symbols of a step stand in the stream; it is a circle: the last target may be its first symbol."""
        return (self._first[:, columns] + step * self.length) % self._symbols

    def _ranks(self, places: Tensor) -> Tensor:
        """Which articles of the stream those places are in."""
        return torch.searchsorted(self._ends, places, right=True)


class Shuffled(Batches):
    """Windows in random order, each read from the zero state; in a stream their offset is drawn anew each epoch."""

    carries_state = False

    def __init__(self, split: Windows, batch_size: int, seed: int, device: torch.device) -> None:
        super().__init__(split, batch_size, seed, device)
        self.steps_per_epoch = len(split) // batch_size
        if not self.steps_per_epoch:
            raise InputError(f"train.batch_size = {batch_size}: the training split has {len(split)} windows; lower it")
        self._rows = self._on_device(np.arange(split.length + 1)[:, None])
        self._ends = self._on_device(split.offsets[1:])

    def _begin(self, random: np.random.Generator) -> None:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        self._starts = self._on_device(np.minimum(self._split.starts[order].astype(np.int64) + offset, last))

    def _positions(self, step: int, columns: slice) -> Tensor:
        return self._rows + self._starts[step * self.batch_size : (step + 1) * self.batch_size][columns]

    def _articles(self, step: int, columns: slice) -> Tensor:
        return torch.searchsorted(self._ends, self._positions(step, columns)[1:], right=True)


class Labels:
    """The class that each article of a split is read under: its own, or `no_class` for a share of them.

    Which those are is a function of (seed, epoch, article) alone.
    """

    def __init__(self, split: Windows, no_class: int, dropout: float, seed: int, device: torch.device) -> None:
        self._classes = np.minimum(split.classes, no_class).astype(np.int64)
        self._no_class = no_class
        self._dropout = dropout
        self._seed = seed
        self._device = device
        self._epoch = -1

    def at(self, epoch: int) -> Tensor:
        """The classes (articles) of an epoch."""
        if epoch != self._epoch:
            draws = np.random.default_rng([self._seed, epoch, 1]).random(len(self._classes))  # 1: not the order's
            classes = np.where(draws < self._dropout, self._no_class, self._classes)
            self._now = torch.from_numpy(classes).to(self._device)
            self._epoch = epoch
        return self._now


KINDS: dict[str, type[Batches]] = {"lanes": Lanes, "shuffled": Shuffled}


def _tensor(codes: Codes) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nobody writes to it
        return torch.from_numpy(codes)
