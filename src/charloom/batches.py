"""The order in which a training reads its text: a function of (seed, epoch, step) alone."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.windows import Windows


class Batches(Protocol):
    """A way of cutting a split into batches of symbols."""

    batch_size: int
    length: int
    steps_per_epoch: int
    carries_state: bool  # whether a step goes on where the one before it ended

    def at(self, epoch: int, step: int) -> Tensor:
        """The symbols (length + 1, batch) of a step: inputs all but the last row, targets all but the first."""
        ...


def make_batches(kind: str, split: Windows, batch_size: int, seed: int) -> Batches:
    """`lanes` or `shuffled` batches over a split."""
    return (Lanes if kind == "lanes" else Shuffled)(split, batch_size, seed)


class Lanes:
    """Contiguous text in `batch_size` lanes, the state carried along each: truncated back-propagation through time.

    Each epoch puts the articles in a fresh order, joins them to one stream and cuts it into lanes of equal length.
    """

    carries_state = True

    def __init__(self, split: Windows, batch_size: int, seed: int) -> None:
        self._split = split
        self._seed = seed
        self._lengths = split.lengths
        self._lane = int(self._lengths.sum()) // batch_size
        self._lanes = np.arange(batch_size) * self._lane
        self.batch_size, self.length = batch_size, split.length
        self.steps_per_epoch = self._lane // split.length
        self._epoch = -1
        if not self.steps_per_epoch:
            raise InputError(
                f"train.batch_size = {batch_size} lanes of windows.length = {split.length} need"
                f" {batch_size * split.length} symbols, the training split has {len(split.codes)}; lower one of them"
            )

    def at(self, epoch: int, step: int) -> Tensor:
        if epoch != self._epoch:
            self._shuffle(epoch)
        positions = self._lanes + np.arange(step * self.length, (step + 1) * self.length + 1)[:, None]
        positions %= self._ends[-1]  # the stream is a circle: the last lane's last target may be its first symbol
        article = np.searchsorted(self._ends, positions.ravel(), side="right").reshape(positions.shape)
        return torch.from_numpy(self._split.codes[positions + self._shift[article]].astype(np.int64))

    def _shuffle(self, epoch: int) -> None:
        """Put the articles in the epoch's order: `_ends` in the new stream, `_shift` from there to the codes."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._split.articles)
        self._ends = np.cumsum(self._lengths[order])
        begins = self._split.offsets[order].astype(np.int64)
        self._shift = begins - (self._ends - self._lengths[order])
        self._epoch = epoch


class Shuffled:
    """Windows in random order, each read from the zero state; in a stream their offset is drawn anew each epoch."""

    carries_state = False

    def __init__(self, split: Windows, batch_size: int, seed: int) -> None:
        self._split = split
        self._seed = seed
        self.batch_size, self.length = min(batch_size, len(split)), split.length
        self.steps_per_epoch = len(split) // self.batch_size
        self._epoch = -1

    def at(self, epoch: int, step: int) -> Tensor:
        if epoch != self._epoch:
            random = np.random.default_rng([self._seed, epoch])
            self._order = random.permutation(len(self._split))
            self._offset = int(random.integers(self._split.stride)) if self._split.scope == "stream" else 0
            self._epoch = epoch
        chosen = self._order[step * self.batch_size : (step + 1) * self.batch_size]
        return torch.from_numpy(self._split.gather(np.sort(chosen), self._offset).T.astype(np.int64))
