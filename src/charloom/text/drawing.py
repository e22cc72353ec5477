"""Draws random articles of a split, up to a limit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def draw_articles(lengths: Integers, limit: int, seed: int) -> Integers:
    """The indices of random articles with at most `limit` symbols together, but of at least one article.

    `lengths` has the symbols of each article. The articles are in the order in which they were drawn. A higher limit
    draws the same articles and then more.
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    fitting = int(np.searchsorted(np.cumsum(lengths[order]), limit, side="right"))
    return order[: max(1, fitting)]
