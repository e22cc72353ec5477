"""Counts the characters of a CSV file with several processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from charloom.corpus.articles import RowRange, read_range
from charloom.text.ranges import BLOCK_BYTES, find_ranges
from charloom.text.vocab import CODE_POINTS, count_characters
from charloom.text.workers import in_order, processes_for


def count_file(
    path: Path, *, processes: int | None = None, block_bytes: int = BLOCK_BYTES
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Count each Unicode code point in the articles of a CSV file. Returns what `count_characters` returns.

    The result does not depend on `processes`. None means all usable cores, if the file is large. Raises InputError if
    the file is missing, or if a row is wrong.
    """
    processes = processes or processes_for(path)
    ranges = find_ranges(path, processes, block_bytes)
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    order: list[int] = []
    for points, of_points in in_order(_count_range, ranges, processes):
        order.extend(points[counts[points] == 0].tolist())
        counts[points] += of_points
    return counts, order


def _count_range(rows: RowRange) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different code points in a range, in order of first occurrence, and the count of each."""
    counts, order = count_characters(article.text for article in read_range(rows))
    points = np.array(order, dtype=np.int64)
    return points, counts[points]
