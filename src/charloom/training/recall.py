"""The predictions of the memory for the batches of a training. Each place is left out of the counts for its prediction.

Reason: the memory has counted the training text. If the counts included the place itself, the memory would predict the
training text better than a new text, and the network would trust the memory too much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.counting import make_memory
from charloom.model.interpolation import MAX_AT_ONCE
from charloom.model.matching import HISTORY
from charloom.model.network import CharModel
from charloom.text.split import EncodedSplit
from charloom.training.batches import AnyBatches


class Recall:
    """The memory's predictions, batch by batch. They are computed for several steps at once."""

    def __init__(self, model: CharModel, split: EncodedSplit, batches: AnyBatches, seed: int) -> None:
        """Count articles of the split, at most `model.memory_characters` of them together, as the model's memory."""
        counted = choose_articles(split.lengths, model.params.memory_characters, seed)
        codes = split.codes[np.concatenate([[True], np.repeat(counted, split.lengths)])]
        order = model.params.memory
        memory = make_memory(torch.from_numpy(codes.astype(np.int64)), model.symbols, int(codes[0]), order)
        self._memory = model.memory = memory.to(model.device)
        numbers = np.where(counted, counted.cumsum() - 1, -1)  # of the articles, in the counted text
        self._numbers = torch.from_numpy(numbers).to(model.device)
        self._batches = batches
        self._steps: range = range(0)
        self._epoch = -1
        self._found: list[Tensor] = []

    def at(self, epoch: int, step: int) -> Tensor:
        """The probabilities (length, columns, symbols) of the symbol after each input of a step."""
        if epoch != self._epoch or step not in self._steps:
            places = self._batches.articles_at(epoch, step).numel()
            several = max(1, MAX_AT_ONCE // (places * self._memory.symbols))
            self._epoch = epoch
            # A resumed training must group the steps in the same way, because the grouping can change the rounding.
            first = step - step % several
            self._steps = range(first, min(first + several, self._batches.steps_per_epoch))
            self._found = self._predict(epoch, self._steps)
        return self._found[step - self._steps.start]

    def _predict(self, epoch: int, steps: range) -> list[Tensor]:
        ids = [torch.cat([self._batches.before(epoch, s, HISTORY), self._batches.at(epoch, s)]) for s in steps]
        numbers = [self._numbers[self._batches.articles_at(epoch, s)] for s in steps]
        found = self._memory.leave_one_out(torch.cat(ids, 1), torch.cat(numbers, 1))
        return list(found.split([each.shape[1] for each in ids], 1))


def choose_articles(lengths: npt.NDArray[np.int64], limit: int, seed: int) -> npt.NDArray[np.bool_]:
    """Choose random articles with at most `limit` symbols together, at least one article. Returns a mask (articles)."""
    order = np.random.default_rng(seed).permutation(len(lengths))
    chosen = np.zeros(len(lengths), dtype=bool)
    chosen[order[: max(1, int((np.cumsum(lengths[order]) <= limit).sum()))]] = True
    return chosen
