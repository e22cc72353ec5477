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
from charloom.text.vocab import Codes
from charloom.text.windows import Windows

BLOCK_SYMBOLS = 2**17  # gathered at once, whatever the batch: 1 MB of ids
_SIGNED = {1: np.uint8, 2: np.int16, 4: np.int32}  # of the same size: torch cannot index uint16 and uint32


class Batches(ABC):
    """A way of cutting a split into batches of `length` symbols and the one after, `batch_size` side by side.

    A process reads the `columns` that are its share of each. Symbols are gathered for a block of steps at once: at a
    hidden size of 64, gathering them step by step took 3 % of the training.
    """

    carries_state: bool  # whether a step goes on where the one before it ended
    steps_per_epoch: int

    def __init__(
        self, split: Windows, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        self.batch_size = batch_size
        self.length = split.length
        self._columns = columns
        self._split = split
        self._seed = seed
        self._device = device
        self._codes = _tensor(split.codes.view(_SIGNED[split.codes.itemsize])).to(device)
        self._mask = 2 ** (8 * split.codes.itemsize) - 1  # makes an id of what torch sees as a signed number
        self._rows = self._on_device(np.arange(split.length + 1))[:, None]
        self._block_steps = max(1, BLOCK_SYMBOLS // (batch_size * split.length))
        self._epoch = self._block = -1

    def at(self, epoch: int, step: int) -> Tensor:
        """The symbols (length + 1, columns) of a step: inputs all but the last row, targets all but the first."""
        return self._read(epoch, step)[0]

    def articles_at(self, epoch: int, step: int) -> Tensor:
        """The articles (length, columns) that a step's targets are in; an `<eos>` as input begins the next one."""
        return self._read(epoch, step)[1]

    def _read(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The symbols and articles of a step, from its block, which is gathered unless it is at hand."""
        block, place = divmod(step, self._block_steps)
        if epoch != self._epoch:
            self._begin(np.random.default_rng([self._seed, epoch]))
        if (epoch, block) != (self._epoch, self._block):
            first = block * self._block_steps
            positions, self._articles = self._gather(range(first, min(first + self._block_steps, self.steps_per_epoch)))
            self._symbols = self._codes[positions].long() & self._mask
            self._epoch, self._block = epoch, block
        return self._symbols[place], self._articles[place]

    @abstractmethod
    def _begin(self, random: np.random.Generator) -> None:
        """Draw an epoch's order."""

    @abstractmethod
    def _gather(self, steps: range) -> tuple[Tensor, Tensor]:
        """Where the symbols (steps, length + 1, columns) stand in the codes, and the articles of the targets."""

    def _on_device(self, values: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self._device)


class Lanes(Batches):
    """Contiguous text in `batch_size` lanes, the state carried along each: truncated back-propagation through time.

    Each epoch puts the articles in a fresh order, joins them to one stream and cuts it into lanes of equal length.
    """

    carries_state = True

    def __init__(
        self, split: Windows, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        super().__init__(split, batch_size, seed, device, columns)
        self._total = int(split.lengths.sum())
        lane = self._total // batch_size
        self.steps_per_epoch = lane // split.length
        if not self.steps_per_epoch:
            raise InputError(
                f"train.batch_size = {batch_size} lanes of windows.length = {split.length} need"
                f" {batch_size * split.length} symbols, the training split has {self._total}; lower one of them"
            )
        self._first = self._rows + self._on_device(np.arange(batch_size) * lane)[columns]

    def _begin(self, random: np.random.Generator) -> None:
        order = random.permutation(self._split.articles)
        lengths = self._split.lengths[order]
        ends = np.cumsum(lengths)
        self._order, self._ends = self._on_device(order), self._on_device(ends)
        self._shift = self._on_device(self._split.offsets[order] - (ends - lengths))  # from the stream to the codes

    def _gather(self, steps: range) -> tuple[Tensor, Tensor]:
        starts = self._on_device(np.array(steps) * self.length)[:, None, None]
        places = (self._first + starts) % self._total  # a circle: the last target may be the stream's first symbol
        ranks = torch.searchsorted(self._ends, places, right=True)
        return places + self._shift[ranks], self._order[ranks[:, 1:]]


class Shuffled(Batches):
    """Windows in random order, each read from the zero state; in a stream their offset is drawn anew each epoch."""

    carries_state = False

    def __init__(
        self, split: Windows, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        super().__init__(split, batch_size, seed, device, columns)
        self.steps_per_epoch = len(split) // batch_size
        if not self.steps_per_epoch:
            raise InputError(f"train.batch_size = {batch_size}: the training split has {len(split)} windows; lower it")
        self._ends = self._on_device(split.offsets[1:])

    def _begin(self, random: np.random.Generator) -> None:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        self._starts = self._on_device(np.minimum(self._split.starts[order].astype(np.int64) + offset, last))

    def _gather(self, steps: range) -> tuple[Tensor, Tensor]:
        starts = self._starts[steps.start * self.batch_size : steps.stop * self.batch_size]
        positions = self._rows + starts.view(len(steps), 1, self.batch_size)[:, :, self._columns]
        return positions, torch.searchsorted(self._ends, positions, right=True)[:, 1:]


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
