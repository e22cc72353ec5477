"""Draws random articles of a split, up to a limit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AT_ONCE = 1 << 16  # articles whose lengths are added together


def draw_articles(lengths: npt.NDArray[np.int64], limit: int, seed: int) -> npt.NDArray[np.int64]:
    """The indices of random articles with at most `limit` symbols together, but of at least one article.

    `lengths` has the symbols of each article. The articles are in the order in which they were drawn. A higher limit
    draws the same articles and then more.
    """
    order = np.random.default_rng(seed).permutation(len(lengths))
    fitting, left = 0, limit
    for begin in range(0, len(order), AT_ONCE):
        ends = np.cumsum(lengths[order[begin : begin + AT_ONCE]])
        fitting += int(np.searchsorted(ends, left, side="right"))
        if fitting < begin + len(ends):
            break
        left -= int(ends[-1])
    return order[: max(1, fitting)].copy()  # a copy, so that the rest of the order can be freed
