"""The batches of a training. Which text a step reads depends only on (seed, epoch, step).

The codes are copied to the model's device, and batches are gathered there. On a CPU the codes stay mapped from disk.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes

BLOCK_SYMBOLS = 2**17  # symbols gathered at once, for any batch size: 1 MB of ids
_READABLE = {1: np.uint8, 2: np.int16, 4: np.int32}  # bytes per number → the type as which torch can read it

Epoch = TypeVar("Epoch")


class _Block(NamedTuple):
    """The batches of several steps."""

    place: tuple[int, int]  # its epoch, and its number in the epoch
    symbols: Tensor  # (steps, length + 1, columns)
    articles: Tensor  # (steps, length, columns)


class Batches(ABC, Generic[Epoch]):
    """A way to cut a split into batches. A batch has `batch_size` columns of `length` + 1 symbols.

    A process reads only its own `columns` of each batch. Symbols are gathered for a block of steps at once, because
    gathering them for one step at a time took 3 % of the training time at hidden size 64.
    """

    carries_state: bool  # whether a step continues the text of the step before
    steps_per_epoch: int

    def __init__(
        self, split: EncodedSplit, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        """Raises InputError if the split is too small for one batch."""
        self.batch_size = batch_size
        self.length = split.length
        self._columns = columns
        self._split = split
        self._seed = seed
        self._device = device
        self._codes = _tensor(split.codes.view(_READABLE[split.codes.itemsize])).to(device)
        self._mask = 2 ** (8 * split.codes.itemsize) - 1  # turns a number that torch reads as negative back into the id
        self._rows = self._on_device(np.arange(split.length + 1))[:, None]
        self._block_steps = max(1, BLOCK_SYMBOLS // (batch_size * split.length))
        self._epoch: tuple[int, Epoch] | None = None
        self._block: _Block | None = None

    def at(self, epoch: int, step: int) -> Tensor:
        """The symbols (length + 1, columns) of a step. All rows but the last are inputs, all but the first targets."""
        return self._block_of(epoch, step).symbols[step % self._block_steps]

    def articles_at(self, epoch: int, step: int) -> Tensor:
        """The index of the article of each target, (length, columns).

        If the input is the `<eos>` between two articles, the target belongs to the second one.
        """
        return self._block_of(epoch, step).articles[step % self._block_steps]

    def _block_of(self, epoch: int, step: int) -> _Block:
        """The block with this step. The latest block is kept; another one is gathered."""
        place = epoch, step // self._block_steps
        if self._block is None or self._block.place != place:
            if self._epoch is None or self._epoch[0] != epoch:
                self._epoch = epoch, self._begin(np.random.default_rng([self._seed, epoch]))
            first = place[1] * self._block_steps
            steps = range(first, min(first + self._block_steps, self.steps_per_epoch))
            positions, articles = self._gather(self._epoch[1], steps)
            self._block = _Block(place, self._codes[positions].long() & self._mask, articles)
        return self._block

    @abstractmethod
    def _begin(self, random: np.random.Generator) -> Epoch:
        """Draw the order of an epoch."""

    @abstractmethod
    def _gather(self, epoch: Epoch, steps: range) -> tuple[Tensor, Tensor]:
        """The indices (steps, length + 1, columns) of the symbols in the codes, and the articles of the targets."""

    def _on_device(self, values: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self._device)


class _Stream(NamedTuple):
    """The articles of an epoch, joined to one stream in the epoch's order."""

    order: Tensor  # (articles,): the index of the article at each place
    ends: Tensor  # (articles,): where that article ends in the stream
    shift: Tensor  # (articles,): what to add to an index in the stream to get the index in the codes


class Lanes(Batches[_Stream]):
    """Contiguous text in `batch_size` lanes. Each step continues where the step before ended in each lane.

    The hidden state is carried along, gradients are not (truncated back-propagation through time). Each epoch puts the
    articles into a new random order, joins them to one stream and cuts it into lanes of the same length.
    `windows.stride` has no effect here.
    """

    carries_state = True

    def __init__(
        self, split: EncodedSplit, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
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

    def _begin(self, random: np.random.Generator) -> _Stream:
        order = random.permutation(self._split.articles)
        lengths = self._split.lengths[order]
        ends = np.cumsum(lengths)
        shift = self._split.offsets[order] - (ends - lengths)
        return _Stream(self._on_device(order), self._on_device(ends), self._on_device(shift))

    def _gather(self, epoch: _Stream, steps: range) -> tuple[Tensor, Tensor]:
        starts = self._on_device(np.array(steps) * self.length)[:, None, None]
        places = (self._first + starts) % self._total  # the target after the stream's last symbol is its first symbol
        ranks = torch.searchsorted(epoch.ends, places, right=True)
        return places + epoch.shift[ranks], epoch.order[ranks[:, 1:]]


class Shuffled(Batches[Tensor]):
    """Windows in random order. Each is read from the state in which every text begins.

    If the windows lie in a stream, each epoch shifts all of them by the same random offset below `windows.stride`.
    """

    carries_state = False

    def __init__(
        self, split: EncodedSplit, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        super().__init__(split, batch_size, seed, device, columns)
        self.steps_per_epoch = len(split) // batch_size
        if not self.steps_per_epoch:
            raise InputError(f"train.batch_size = {batch_size}: the training split has {len(split)} windows; lower it")
        self._ends = self._on_device(split.offsets[1:])

    def _begin(self, random: np.random.Generator) -> Tensor:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        return self._on_device(np.minimum(self._split.starts[order].astype(np.int64) + offset, last))

    def _gather(self, epoch: Tensor, steps: range) -> tuple[Tensor, Tensor]:
        starts = epoch[steps.start * self.batch_size : steps.stop * self.batch_size]
        positions = self._rows + starts.view(len(steps), 1, self.batch_size)[:, :, self._columns]
        return positions, torch.searchsorted(self._ends, positions, right=True)[:, 1:]


BATCHING: dict[str, type[Batches[Any]]] = {"lanes": Lanes, "shuffled": Shuffled}


class ClassIds:
    """The class id with which each article is read: the article's class, or `no_class` for a random share of them.

    The share is drawn again in each epoch; it depends only on (seed, epoch, article). An unlabelled article is always
    read with `no_class`. This is how `data.labelled_fraction` reaches the loss:

    1. `EncodedSplit.labelled` replaces the class of each unlabelled article with UNLABELLED.
    2. ClassIds replaces UNLABELLED with `no_class`.
    3. `Training` looks up the class id of the article of each target in the batch.
    4. `CharModel.forward` receives these ids, so an unlabelled article trains the weights of `no_class`.
    """

    def __init__(self, split: EncodedSplit, no_class: int, dropout: float, seed: int, device: torch.device) -> None:
        """`dropout` is the share of the articles that are read with `no_class`."""
        # UNLABELLED is higher than every class id, and no_class is one more than the last: the minimum replaces it
        self._classes = np.minimum(split.classes, no_class).astype(np.int64)
        self._no_class = no_class
        self._dropout = dropout
        self._seed = seed
        self._device = device
        self._drawn: tuple[int, Tensor] | None = None

    def at(self, epoch: int) -> Tensor:
        """The class ids (articles) of an epoch."""
        if self._drawn is None or self._drawn[0] != epoch:
            # the 1 makes these random numbers differ from those that order the batches
            draws = np.random.default_rng([self._seed, epoch, 1]).random(len(self._classes))
            classes = np.where(draws < self._dropout, self._no_class, self._classes)
            self._drawn = epoch, torch.from_numpy(classes).to(self._device)
        return self._drawn[1]


def _tensor(codes: Codes) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing writes to it
        return torch.from_numpy(codes)
