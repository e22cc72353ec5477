"""The validation split, scored during a training and at its end."""

from __future__ import annotations

import math

import numpy as np
import torch

from charloom.errors import RunError
from charloom.model.network import CharModel
from charloom.model.scoring import Cost, surprisals
from charloom.text.drawing import draw_articles
from charloom.text.split import EncodedSplit
from charloom.training.parallel import Group


class Validation:
    """Scores a fixed sample of the validation split, or all of it. The processes of a group share the articles."""

    def __init__(self, model: CharModel, split: EncodedSplit, limit: int, seed: int, group: Group) -> None:
        """The sample has at most `limit` symbols, and at least one article. `seed` decides which articles."""
        self._model = model
        self._split = split
        self._group = group
        self._sample = np.sort(draw_articles(split.lengths, limit, seed))
        self.is_whole = len(self._sample) == split.articles  # whether the sample is the whole split

    def sample(self) -> Cost:
        """The cost of the sample."""
        return self._cost(self._sample)

    def whole(self) -> Cost:
        """The cost of the whole split."""
        return self._cost(np.arange(self._split.articles))

    def _cost(self, articles: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Cost:
        """The cost of these articles. All processes of the group must call this together.

        Raises RunError if it is not finite. So nothing is saved of a model that the last step has spoiled.
        """
        mine = articles[self._group.rank :: self._group.size]
        scored = surprisals(self._model, (self._split.article(int(index)) for index in mine))
        nats = np.array([each.nats.sum() for each in scored])
        [total] = self._group.sum(torch.tensor([nats.sum()], dtype=torch.float64)).tolist()
        if not math.isfinite(total):
            raise RunError(
                f"the loss of the validation split is {total}; lower train.learning_rate or train.grad_clip. The last"
                " good checkpoint is kept"
            )
        characters = int(self._split.lengths[articles].sum()) - len(articles)
        return Cost(total, characters + len(articles), characters)
