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
        if epoch != self._epoch:
            self._begin(np.random.default_rng([self._seed, epoch]))
            self._epoch = epoch
        return self._codes[self._positions(step, columns)].long() & self._mask

    @abstractmethod
    def _begin(self, random: np.random.Generator) -> None:
        """Draw an epoch's order."""

    @abstractmethod
    def _positions(self, step: int, columns: slice) -> Tensor:
        """Where the symbols of a step stand in the codes."""

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
        self._ends = self._on_device(ends)
        self._shift = self._on_device(self._split.offsets[order] - (ends - lengths))  # from the stream to the codes

    def _positions(self, step: int, columns: slice) -> Tensor:
        # the stream is a circle: the last lane's last target may be its first symbol
        positions = (self._first[:, columns] + step * self.length) % self._symbols
        return positions + self._shift[torch.searchsorted(self._ends, positions, right=True)]


class Shuffled(Batches):
    """Windows in random order, each read from the zero state; in a stream their offset is drawn anew each epoch."""

    carries_state = False

    def __init__(self, split: Windows, batch_size: int, seed: int, device: torch.device) -> None:
        super().__init__(split, batch_size, seed, device)
        self.steps_per_epoch = len(split) // batch_size
        if not self.steps_per_epoch:
            raise InputError(f"train.batch_size = {batch_size}: the training split has {len(split)} windows; lower it")
        self._rows = self._on_device(np.arange(split.length + 1)[:, None])

    def _begin(self, random: np.random.Generator) -> None:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        self._starts = self._on_device(np.minimum(self._split.starts[order].astype(np.int64) + offset, last))

    def _positions(self, step: int, columns: slice) -> Tensor:
        return self._rows + self._starts[step * self.batch_size : (step + 1) * self.batch_size][columns]


KINDS: dict[str, type[Batches]] = {"lanes": Lanes, "shuffled": Shuffled}


def _tensor(codes: Codes) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nobody writes to it
        return torch.from_numpy(codes)
