"""The batches of a training. Which symbols a step reads depends only on the split and (seed, epoch, step).

The codes of the split stay mapped from disk, so a corpus can be larger than the memory of the machine or of its GPU.
The batches of several steps are gathered together, as a block. For a GPU, a thread gathers the next block during the
steps of the present one, and the block is copied to the GPU without waiting.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes

# About so many symbols are gathered at once: 1 MB of ids, for a GPU 8 MB
BLOCK_SYMBOLS, GPU_BLOCK_SYMBOLS = 2**17, 2**20
_READABLE = {1: np.uint8, 2: np.int16, 4: np.int32}  # bytes per code → a type of this size that torch can read

Place = tuple[int, int]  # of a block: the epoch, and the first step
Order = TypeVar("Order")  # of an epoch: what `Batches._draw_order` returns


class _Block(NamedTuple):
    """The batches of several steps."""

    symbols: Tensor  # (steps, history + length + 1, columns)
    articles: Tensor  # (steps, length, columns)


class Batches(ABC, Generic[Order]):
    """A way to cut a split into batches. A batch has `batch_size` columns of `length` + 1 symbols.

    If several processes share the batches, each reads only its `columns`. Gathering the symbols of each step separately
    took 3 % of the training time at hidden size 64.
    """

    carries_state: bool  # whether each column continues the text of the same column in the step before

    def __init__(
        self,
        split: EncodedSplit,
        batch_size: int,
        seed: int,
        device: torch.device,
        columns: slice = slice(None),
        history: int = 0,
    ) -> None:
        """`history` is the number of symbols before each step that `with_history` returns.

        Raises InputError if the split is too small for one batch.
        """
        self.batch_size = batch_size
        self.length = split.length
        self._columns = columns
        self.columns = len(range(batch_size)[columns])  # how many columns this process reads
        self._history = history
        self._split = split
        self._seed = seed
        self._device = device
        self._codes = _tensor(split.codes.view(_READABLE[split.codes.itemsize]))
        # torch reads a high id as a negative number. `number & mask` turns it back into the id.
        self._mask = 2 ** (8 * split.codes.itemsize) - 1
        self._rows = torch.arange(split.length + 1)[:, None]
        symbols = GPU_BLOCK_SYMBOLS if device.type == "cuda" else BLOCK_SYMBOLS
        self._block_steps = max(1, symbols // (batch_size * split.length))
        self._epoch: tuple[int, Order] | None = None  # the latest epoch and its order
        self._block: tuple[Place, _Block] | None = None  # the latest block
        self._worker = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[Place, Future[_Block]] | None = None  # the block that the worker gathers
        self.steps_per_epoch = self._count_steps()

    def at(self, epoch: int, step: int) -> Tensor:
        """The symbols (length + 1, columns) of a step.

        All rows except the last are inputs, and all rows except the first are targets.
        """
        return self.with_history(epoch, step)[self._history :]

    def with_history(self, epoch: int, step: int) -> Tensor:
        """The `history` symbols before a step, then the symbols of the step: (history + length + 1, columns).

        The symbols after the latest `<eos>` before the step belong to the same article as the step. Earlier symbols
        belong to another article.
        """
        return self._block_of(epoch, step).symbols[step % self._block_steps]

    def articles_at(self, epoch: int, step: int) -> Tensor:
        """The index of the article of each target (length, columns).

        An `<eos>` is the last target of its article. The target after it is the first one of the next article.
        """
        return self._block_of(epoch, step).articles[step % self._block_steps]

    def block_steps(self, step: int) -> range:
        """The steps that are gathered together with this step."""
        first = step - step % self._block_steps
        return range(first, min(first + self._block_steps, self.steps_per_epoch))

    def _block_of(self, epoch: int, step: int) -> _Block:
        """The block that contains this step. The latest block is kept."""
        place = epoch, self.block_steps(step).start
        if self._block is None or self._block[0] != place:
            block = self._read_block(place) if self._worker is None else self._fetch_block(place, self._worker)
            self._block = place, block
        return self._block[1]

    def _fetch_block(self, place: Place, worker: Executor) -> _Block:
        """The block at `place`, on the GPU. Then the worker begins to gather the block after it."""
        if self._next is not None and self._next[0] == place:
            pending = self._next[1]
        else:
            pending = worker.submit(self._read_pinned_block, place)
        block = pending.result()
        epoch, first = place
        end = self.block_steps(first).stop
        after = (epoch, end) if end < self.steps_per_epoch else (epoch + 1, 0)
        self._next = after, worker.submit(self._read_pinned_block, after)
        return _Block(*(tensor.to(self._device, non_blocking=True) for tensor in block))

    def _read_pinned_block(self, place: Place) -> _Block:
        """The block at `place`, in memory from which a GPU can copy while the process goes on."""
        return _Block(*(tensor.pin_memory() for tensor in self._read_block(place)))

    def _read_block(self, place: Place) -> _Block:
        epoch, first = place
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = None  # so that the old order is freed
            self._epoch = epoch, self._draw_order(np.random.default_rng([self._seed, epoch]))
        positions, articles = self._gather(self._epoch[1], self.block_steps(first))
        before = positions[:, :1] - torch.arange(self._history, 0, -1)[:, None]
        symbols = self._codes[torch.cat([before.clamp_(min=0), positions], 1)].long() & self._mask
        self._split.check_id(int(symbols.max()))
        return _Block(symbols, articles)

    @abstractmethod
    def _count_steps(self) -> int:
        """The steps of an epoch. Raises InputError if the split is too small for one."""

    @abstractmethod
    def _draw_order(self, random: np.random.Generator) -> Order:
        """Draw the order in which an epoch reads the split."""

    @abstractmethod
    def _gather(self, order: Order, steps: range) -> tuple[Tensor, Tensor]:
        """Where to read the symbols of these steps: their indices in the codes (steps, length + 1, columns).

        Also returns the indices of the articles of the targets (steps, length, columns).
        """


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

    def _count_steps(self) -> int:
        length = self.length
        self._total = len(self._split.codes) - 1
        lane = self._total // self.batch_size
        self._first = self._rows + torch.arange(self.batch_size)[self._columns] * lane
        if lane < length:
            raise InputError(
                f"train.batch_size = {self.batch_size} lanes of windows.length = {length} need"
                f" {self.batch_size * length} symbols, the training split has only {self._total}; lower one of the two"
            )
        return lane // length

    def _draw_order(self, random: np.random.Generator) -> _Stream:
        articles = random.permutation(self._split.articles).astype(np.int32)
        # In place, because each of these arrays has eight bytes for each article.
        shift = self._split.offsets[:-1][articles].astype(np.int64)
        ends = self._split.offsets[1:][articles].astype(np.int64)
        ends -= shift  # the lengths
        shift += ends
        np.cumsum(ends, out=ends)
        shift -= ends
        return _Stream(torch.from_numpy(articles), torch.from_numpy(ends), torch.from_numpy(shift))

    def _gather(self, order: _Stream, steps: range) -> tuple[Tensor, Tensor]:
        starts = (torch.tensor(steps) * self.length)[:, None, None]
        # Indices in the stream. The last symbol of the stream has no next symbol, so its target is the first symbol.
        in_stream = (self._first + starts) % self._total
        ranks = torch.searchsorted(order.ends, in_stream, right=True)
        return in_stream + order.shift[ranks], order.articles[ranks[:, 1:]].long()


class Shuffled(Batches[Tensor]):
    """Windows in random order. Each window is read from the initial state.

    If windows.scope is `stream`, each epoch shifts all windows by the same random offset below `windows.stride`.
    """

    carries_state = False

    def _count_steps(self) -> int:
        self._ends = torch.from_numpy(self._split.offsets[1:].astype(np.int64))
        windows = len(self._split)
        if windows < self.batch_size:
            raise InputError(
                f"train.batch_size = {self.batch_size}: the training split has only {windows} windows; lower it"
            )
        return windows // self.batch_size

    def _draw_order(self, random: np.random.Generator) -> Tensor:
        order = random.permutation(len(self._split))
        offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
        last = len(self._split.codes) - self.length - 1
        return torch.from_numpy(np.minimum(self._split.starts_of(order) + offset, last))

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
