"""Stage windows: encodes train.csv and test.csv. Several processes encode ranges of rows, and this process writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charloom.corpus.articles import SPLITS, Article, RowRange, read_range
from charloom.errors import InputError
from charloom.params import WindowsParams
from charloom.text.held_out import hold_out
from charloom.text.ranges import BLOCK_BYTES, find_ranges
from charloom.text.vocab import Vocabulary, chunked
from charloom.text.workers import in_order, processes_for
from charloom.text.writer import EncodedArticles, Encoding, encode_articles, split_writer

Divide = Callable[[list[Article]], Sequence[list[Article]]]  # divides articles among splits


def encode_splits(
    raw: Path,
    folder: Path,
    vocabulary: Vocabulary,
    params: WindowsParams,
    *,
    valid_fraction: float,
    seed: int,
    class_names: Sequence[str] = (),
    processes: int | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> dict[str, int]:
    """Encode train.csv and test.csv of `raw` into `folder`/{train,valid,test}.

    About `valid_fraction` of the training articles, at least one, become the split `valid`. A digest of `seed` and the
    article's text decides, so copies of an article are in the same split. Memory does not grow with the corpus.

    The number of processes does not change the files. None means all usable cores, if a file is large.

    Returns the counts of each split. Raises InputError if there are fewer than two different training articles, or if
    no window fits in the training articles.
    """
    train, test = (_rows_of(raw / f"{split}.csv", processes, block_bytes) for split in SPLITS)
    held_out = hold_out(train.path, valid_fraction, seed)
    largest = max(rows.path.stat().st_size for rows in (train, test)) + 1  # a symbol takes at least one byte of a file
    encoding = Encoding(vocabulary, params, np.min_scalar_type(max(largest, 2**16)))
    # DVC caches the whole folder, so no file of a killed stage may stay in it.
    shutil.rmtree(folder, ignore_errors=True)
    counts = {
        **_encode_rows(train, ("train", "valid"), held_out.divide, folder, encoding, class_names),
        **_encode_rows(test, ("test",), lambda articles: [articles], folder, encoding, class_names),
    }
    if not counts["train_windows"]:
        raise InputError(
            f"no window of windows.length = {params.length} fits in the training articles (scope {params.scope});"
            " lower windows.length"
        )
    return counts


def write_split(
    folder: Path,
    articles: Iterable[Article],
    vocabulary: Vocabulary,
    params: WindowsParams,
    positions: np.dtype[Any],
    class_names: Sequence[str] = (),
) -> dict[str, int]:
    """Write one split in this process, a chunk of articles at a time.

    `positions` is the type of indices in codes: an unsigned type that can hold the number of symbols. Returns the
    numbers of articles, characters, unknown characters and windows.
    """
    encoding = Encoding(vocabulary, params, positions)
    with split_writer(folder, encoding, class_names) as writer:
        for chunk in chunked(articles, lambda article: len(article.text)):
            writer.append(encode_articles(chunk, encoding))
    return writer.counts


class _Rows(NamedTuple):
    """The rows of a CSV file, and how many processes encode them."""

    path: Path
    ranges: list[RowRange]
    processes: int


def _rows_of(path: Path, processes: int | None, block_bytes: int) -> _Rows:
    processes = processes or processes_for(path)
    return _Rows(path, find_ranges(path, processes, block_bytes), processes)


def _encode_rows(
    rows: _Rows, names: Sequence[str], divide: Divide, folder: Path, encoding: Encoding, class_names: Sequence[str]
) -> dict[str, int]:
    """Encode a CSV file into the splits `names`, among which `divide` divides the articles.

    The file is read once. Returns the counts of each split.
    """
    work = partial(_encode_range, divide=divide, encoding=encoding)
    with ExitStack() as files:
        writers = {name: files.enter_context(split_writer(folder / name, encoding, class_names)) for name in names}
        for encoded in in_order(work, rows.ranges, rows.processes):
            for writer, articles in zip(writers.values(), encoded, strict=True):
                writer.append(articles)
    return {f"{name}_{unit}": count for name, writer in writers.items() for unit, count in writer.counts.items()}


def _encode_range(rows: RowRange, *, divide: Divide, encoding: Encoding) -> list[EncodedArticles]:
    """Encode the articles of a range, separately for each split."""
    return [encode_articles(articles, encoding) for articles in divide(read_range(rows))]
