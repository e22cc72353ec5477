"""The batches of a training. Which symbols a step reads depends only on the split and (seed, epoch, step).

The codes of the split are copied to the model's device, and the batches are gathered there. On a CPU the codes are not
copied: they stay mapped from disk.
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

BLOCK_SYMBOLS = 2**17  # about so many symbols are gathered at once: 1 MB of ids
_READABLE = {1: np.uint8, 2: np.int16, 4: np.int32}  # bytes per code → a type of this size that torch can read

Order = TypeVar("Order")  # of an epoch: what `Batches._draw_order` returns


class _Block(NamedTuple):
    """The batches of several steps."""

    place: tuple[int, int]  # the epoch, and the number of the block in the epoch
    starts: Tensor  # (steps, columns): where the first symbols are in the codes
    symbols: Tensor  # (steps, length + 1, columns)
    articles: Tensor  # (steps, length, columns)


class Batches(ABC, Generic[Order]):
    """A way to cut a split into batches. A batch has `batch_size` columns of `length` + 1 symbols.

    If several processes share the batches, each reads only its `columns`. The symbols of several steps are gathered
    together, as a block. Gathering the symbols of each step separately took 3 % of the training time at hidden size 64.
    """

    carries_state: bool  # whether each column continues the text of the same column in the step before
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
        # torch reads a high id as a negative number. `number & mask` turns it back into the id.
        self._mask = 2 ** (8 * split.codes.itemsize) - 1
        self._rows = self._on_device(np.arange(split.length + 1))[:, None]
        self._block_steps = max(1, BLOCK_SYMBOLS // (batch_size * split.length))
        self._epoch: tuple[int, Order] | None = None  # the latest epoch and its order
        self._block: _Block | None = None  # the latest block

    def at(self, epoch: int, step: int) -> Tensor:
        """The symbols (length + 1, columns) of a step.

        All rows except the last are inputs, and all rows except the first are targets.
        """
        return self._block_of(epoch, step).symbols[step % self._block_steps]

    def articles_at(self, epoch: int, step: int) -> Tensor:
        """The index of the article of each target (length, columns).

        An `<eos>` is the last target of its article. The target after it is the first one of the next article.
        """
        return self._block_of(epoch, step).articles[step % self._block_steps]

    def before(self, epoch: int, step: int, count: int) -> Tensor:
        """The last `count` symbols (count, columns) of the codes before the first symbol of a step.

        The symbols after the latest `<eos>` among them belong to the same article as the step. Earlier symbols belong
        to another article.
        """
        starts = self._block_of(epoch, step).starts[step % self._block_steps]
        places = starts - torch.arange(count, 0, -1, device=self._device)[:, None]
        return self._codes[places.clamp(min=0)].long() & self._mask

    def _block_of(self, epoch: int, step: int) -> _Block:
        """The block that contains this step. It is gathered, unless it is the latest block, which is kept."""
        place = epoch, step // self._block_steps
        if self._block is None or self._block.place != place:
            if self._epoch is None or self._epoch[0] != epoch:
                self._epoch = epoch, self._draw_order(np.random.default_rng([self._seed, epoch]))
            first = place[1] * self._block_steps
            steps = range(first, min(first + self._block_steps, self.steps_per_epoch))
            positions, articles = self._gather(self._epoch[1], steps)
            self._block = _Block(place, positions[:, 0], self._codes[positions].long() & self._mask, articles)
        return self._block

    @abstractmethod
    def _draw_order(self, random: np.random.Generator) -> Order:
        """Draw the order in which an epoch reads the split."""

    @abstractmethod
    def _gather(self, order: Order, steps: range) -> tuple[Tensor, Tensor]:
        """Where to read the symbols of these steps: their indices in the codes (steps, length + 1, columns).

        Also returns the indices of the articles of the targets (steps, length, columns).
        """

    def _on_device(self, values: npt.NDArray[np.integer]) -> Tensor:
        return torch.from_numpy(values.astype(np.int64)).to(self._device)


class _Stream(NamedTuple):
    """All articles, joined into one stream in a random order. The rank of an article is its place in this order."""

    articles: Tensor  # (articles,): by rank, the index of the article in the split
    ends: Tensor  # (articles,): by rank, the index in the stream at which the article ends
    shift: Tensor  # (articles,): by rank, the difference between an index in the codes and the index in the stream


class Lanes(Batches[_Stream]):
    """Contiguous text in `batch_size` lanes. In each lane, a step continues where the step before ended.

    The hidden state is carried over from step to step. Gradients are not (truncated back-propagation through time).
    Each epoch puts the articles into a new random order, joins them into one stream and cuts the stream into lanes of
    equal length. `windows.stride` has no effect here.
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
                f" {batch_size * split.length} symbols, the training split has only {self._total}; lower one of the two"
            )
        self._first = self._rows + self._on_device(np.arange(batch_size) * lane)[columns]

    def _draw_order(self, random: np.random.Generator) -> _Stream:
        articles = random.permutation(self._split.articles)
        lengths = self._split.lengths[articles]
        ends = np.cumsum(lengths)
        shift = self._split.offsets[articles] - (ends - lengths)
        return _Stream(self._on_device(articles), self._on_device(ends), self._on_device(shift))

    def _gather(self, order: _Stream, steps: range) -> tuple[Tensor, Tensor]:
        starts = self._on_device(np.array(steps) * self.length)[:, None, None]
        # Indices in the stream. The last symbol of the stream has no next symbol, so its target is the first symbol.
        in_stream = (self._first + starts) % self._total
        ranks = torch.searchsorted(order.ends, in_stream, right=True)
        return in_stream + order.shift[ranks], order.articles[ranks[:, 1:]]


class Shuffled(Batches[Tensor]):
    """Windows in random order. Each window is read from the initial state.

    If windows.scope is `stream`, each epoch shifts all windows by the same random offset below `windows.stride`.
    """

    carries_state = False

    def __init__(
        self, split: EncodedSplit, batch_size: int, seed: int, device: torch.device, columns: slice = slice(None)
    ) -> None:
        super().__init__(split, batch_size, seed, device, columns)
        self.steps_per_epoch = len(split) // batch_size
        if not self.steps_per_epoch:
            raise InputError(
                f"train.batch_size = {batch_size}: the training split has only {len(split)} windows; lower it"
            )
        self._ends = self._on_device(split.offsets[1:])

    def _draw_order(self, random: np.random.Generator) -> Tensor:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        return self._on_device(np.minimum(self._split.starts[order].astype(np.int64) + offset, last))

    def _gather(self, order: Tensor, steps: range) -> tuple[Tensor, Tensor]:
        starts = order[steps.start * self.batch_size : steps.stop * self.batch_size]
        positions = self._rows + starts.view(len(steps), 1, self.batch_size)[:, :, self._columns]
        return positions, torch.searchsorted(self._ends, positions, right=True)[:, 1:]


AnyBatches = Batches[Any]
BATCHING: dict[str, type[AnyBatches]] = {"lanes": Lanes, "shuffled": Shuffled}


class ClassIds:
    """The class id with which each article is read: the article's class or, for a random share of them, `no_class`.

    The articles of this share are drawn again in each epoch. The draw depends only on (seed, epoch, article). An
    unlabelled article is always read with `no_class`. This is how `data.labelled_fraction` reaches the loss:

    1. `EncodedSplit.labelled` replaces the class of each unlabelled article with UNLABELLED.
    2. ClassIds replaces UNLABELLED with `no_class`.
    3. `Training` looks up the class id of the article of each target in the batch.
    4. `CharModel.forward` receives these ids, so an unlabelled article trains the weights of `no_class`.
    """

    def __init__(self, split: EncodedSplit, no_class: int, dropout: float, seed: int, device: torch.device) -> None:
        """`dropout` is the share of the labelled articles that are read with `no_class`."""
        # No class id is higher than no_class, but UNLABELLED is. So np.minimum turns UNLABELLED into no_class.
        self._classes = np.minimum(split.classes, no_class).astype(np.int64)
        self._no_class = no_class
        self._dropout = dropout
        self._seed = seed
        self._device = device
        self._drawn: tuple[int, Tensor] | None = None

    def at(self, epoch: int) -> Tensor:
        """The class ids (articles) for an epoch."""
        if self._drawn is None or self._drawn[0] != epoch:
            # The 1 makes these random numbers differ from those that draw the order of the epoch.
            draws = np.random.default_rng([self._seed, epoch, 1]).random(len(self._classes))
            classes = np.where(draws < self._dropout, self._no_class, self._classes)
            self._drawn = epoch, torch.from_numpy(classes).to(self._device)
        return self._drawn[1]


def _tensor(codes: Codes) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing writes to it
        return torch.from_numpy(codes)
