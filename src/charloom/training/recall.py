"""The predictions of the memory for the batches of a training. Each place is left out of the counts for its prediction.

Reason: the memory has counted the training text. If the counts included the place itself, the memory would predict the
training text better than a new text, and the network would trust the memory too much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.counting import count_classes, make_memory
from charloom.model.counts import Counts
from charloom.model.interpolation import MAX_AT_ONCE
from charloom.model.memory import Remembered
from charloom.model.network import CharModel
from charloom.text.drawing import draw_articles
from charloom.text.split import EncodedSplit
from charloom.training.batches import AnyBatches, ClassIds

# Probabilities that are computed at once on a GPU: 128 MiB. For 8 million of them, an H200 computed 4 ms, but the CPU
# needed 21 ms to start the thousand kernels.
GPU_AT_ONCE = 1 << 25


class Recall:
    """The memory's predictions, batch by batch. They are computed for several steps at once."""

    def __init__(
        self, model: CharModel, split: EncodedSplit, batches: AnyBatches, class_ids: ClassIds | None, seed: int
    ) -> None:
        """Count articles of the split, at most `model.memory_characters` of them together, as the model's memory.

        The batches must have a history of HISTORY symbols.
        `class_ids` has the class id that a conditioned model receives with each article.
        """
        counted = np.zeros(split.articles, dtype=bool)
        counted[draw_articles(split.lengths, model.params.memory_characters, seed)] = True
        codes = _codes_of(split, counted)
        by_class = _count_classes(model, split, counted) if model.classes_in_memory else None
        memory = make_memory(codes, model.symbols, int(codes[0]), model.params.memory, by_class)
        self._memory = model.memory = memory.to(model.device)
        self._class_ids = class_ids
        numbers = counted.cumsum(dtype=np.int32)  # of the articles, in the counted text, from 1
        numbers[~counted] = 0
        self._numbers = torch.from_numpy(numbers - 1).to(model.device)
        self._batches = batches
        self._at_once = GPU_AT_ONCE if model.device.type == "cuda" else MAX_AT_ONCE
        self._steps: range = range(0)
        self._epoch = -1
        self._found: list[Remembered] = []

    def at(self, epoch: int, step: int) -> Remembered:
        """The predictions (length, columns, symbols) for the symbol after each input of a step."""
        if epoch != self._epoch or step not in self._steps:
            self._epoch = epoch
            self._steps = self._steps_with(step)
            self._found = self._predict(epoch, self._steps)
        return self._found[step - self._steps.start]

    def _steps_with(self, step: int) -> range:
        """The steps whose predictions are computed together with those of `step`. They are in one block of the batches.

        They do not depend on the step at which a training was resumed, because the grouping can change the rounding.
        """
        block = self._batches.block_steps(step)
        several = max(1, self._at_once // (self._batches.columns * self._batches.length * self._memory.symbols))
        first = step - (step - block.start) % several
        return range(first, min(first + several, block.stop))

    def _predict(self, epoch: int, steps: range) -> list[Remembered]:
        ids = torch.cat([self._batches.with_history(epoch, step) for step in steps], 1)
        articles = torch.cat([self._batches.articles_at(epoch, step) for step in steps], 1)
        classes = None if self._class_ids is None else self._class_ids.at(epoch)[articles]
        found = self._memory.leave_one_out(ids, self._numbers[articles], classes)
        columns = self._batches.columns
        return [found.columns(slice(n * columns, (n + 1) * columns)) for n in range(len(steps))]


def _codes_of(split: EncodedSplit, articles: npt.NDArray[np.bool_]) -> Tensor:
    """The ids of these articles (a mask) in one row, which begins with the `<eos>` before the first article.

    Memory grows with these articles, and not with the split.
    """
    bounds = zip(split.offsets[:-1][articles].tolist(), split.offsets[1:][articles].tolist(), strict=True)
    codes = np.concatenate([split.codes[:1], *(split.codes[begin:end] for begin, end in bounds)])
    split.check_id(int(codes.max()))
    return torch.from_numpy(codes.astype(np.int64))


def _count_classes(model: CharModel, split: EncodedSplit, counted: npt.NDArray[np.bool_]) -> Counts:
    """Count those of the counted articles (a mask) that have a class."""
    labelled = counted & (split.classes < model.no_class)
    of_class = np.repeat(split.classes[labelled].astype(np.int64), split.lengths[labelled])
    codes = _codes_of(split, labelled)
    return count_classes(
        codes[1:],
        torch.from_numpy(of_class),
        model.classes_in_memory,
        model.symbols,
        int(codes[0]),
        min(model.params.class_memory, model.params.memory),
    )
