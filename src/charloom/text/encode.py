"""Stage windows: writes the articles to disk as ids. split.py describes these files and reads them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charloom.corpus.articles import Article, read_articles
from charloom.errors import InputError
from charloom.files import write_json
from charloom.params import WindowsParams
from charloom.text.npy import npy_writer
from charloom.text.split import ARRAYS, FORMAT, VERSION, choose_share
from charloom.text.vocab import Vocabulary, chunked

CHUNK_STARTS = 1 << 20  # windows whose starts are computed at once


def encode_splits(
    raw: Path,
    folder: Path,
    vocabulary: Vocabulary,
    params: WindowsParams,
    *,
    valid_fraction: float,
    seed: int,
    class_names: Sequence[str] = (),
) -> dict[str, int]:
    """Encode train.csv and test.csv of `raw` into `folder`/{train,valid,test}.

    A random `valid_fraction` of the training articles, at least one, becomes the split `valid`. Memory does not grow
    with the corpus, except for ten bytes for each training article.

    Returns the counts of each split. Raises InputError if there are fewer than two training articles, or if no window
    fits in the training articles.
    """
    train, test = raw / "train.csv", raw / "test.csv"
    held_out = choose_share(sum(1 for _ in read_articles(train)), valid_fraction, seed)
    if held_out.all():
        raise InputError(f"{train}: {held_out.size} article(s); at least two are needed, one of them for validation")
    largest = max(train.stat().st_size, test.stat().st_size) + 1  # each symbol takes at least one byte of a CSV file
    positions = np.min_scalar_type(max(largest, 2**16))
    shutil.rmtree(
        folder, ignore_errors=True
    )  # DVC caches the whole folder, so no file of a killed stage may stay in it
    counts: dict[str, int] = {}
    for name, articles in {
        "train": (article for article, out in zip(read_articles(train), held_out, strict=True) if not out),
        "valid": (article for article, out in zip(read_articles(train), held_out, strict=True) if out),
        "test": read_articles(test),
    }.items():
        written = write_split(folder / name, articles, vocabulary, params, positions, class_names)
        counts |= {f"{name}_{unit}": count for unit, count in written.items()}
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
    """Write one split, a chunk of articles at a time.

    `positions` is the type of indices in codes: an unsigned type that can hold the number of symbols. Returns the
    numbers of articles, characters, unknown characters and windows.
    """
    count = {"articles": 0, "characters": 0, "unknown": 0, "windows": 0}
    (folder / "windows.json").unlink(missing_ok=True)  # without this file the folder counts as incomplete
    dtypes = (vocabulary.dtype, positions, np.dtype(np.uint16), positions)
    end = 1  # the number of symbols so far; the first `<eos>` is one
    with ExitStack() as files:
        codes, offsets, classes, starts = (
            files.enter_context(npy_writer(folder / f"{name}.npy", dtype))
            for name, dtype in zip(ARRAYS, dtypes, strict=True)
        )
        codes.append([vocabulary.eos])
        for chunk in chunked(articles, lambda article: len(article.text)):
            lengths = np.array([len(article.text) for article in chunk])
            encoded = vocabulary.encode("".join(article.text for article in chunk))
            codes.append(np.insert(encoded, np.cumsum(lengths), vocabulary.eos))
            begins = end + np.cumsum(lengths + 1) - (lengths + 1)
            offsets.append(begins)
            classes.append([article.label - 1 for article in chunk])
            end += int((lengths + 1).sum())
            count["articles"] += len(chunk)
            count["characters"] += len(encoded)
            count["unknown"] += int((encoded == vocabulary.unk).sum())
            if params.scope == "article":
                starts.append(article_starts(begins, lengths, params.length, params.stride))
        offsets.append([end])
        if params.scope == "stream":
            for part in stream_starts(end, params.length, params.stride):
                starts.append(part)
        count["windows"] = starts.size
    described = {"length": params.length, "stride": params.stride, "scope": params.scope, **count}
    names = {"class_names": list(class_names)}
    write_json(folder / "windows.json", {"format": FORMAT, "version": VERSION, **described, **names})
    return count


def article_starts(
    begins: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], length: int, stride: int
) -> npt.NDArray[np.int64]:
    """The starts of the windows that lie inside articles, as indices in codes.

    `begins` has the index in codes of each article's first character, and `lengths` its number of characters. At stride
    1, an article of n characters has n - length windows, and none if n is smaller. This is the number of windows in the
    tutorial that README.md names.
    """
    counts = np.maximum(0, -((length - lengths) // stride))  # the ceiling of (article length - length) / stride
    first = np.cumsum(counts) - counts
    step = np.arange(counts.sum()) - np.repeat(first, counts)
    return np.repeat(begins, counts) + step * stride


def stream_starts(symbols: int, length: int, stride: int) -> Iterator[npt.NDArray[np.int64]]:
    """The starts of the windows of a stream, in chunks. `symbols` is the number of symbols in the stream.

    If the stride would leave out the last symbols, there is one more window, which ends where the stream ends.
    """
    last = symbols - length - 1
    if last < 0:
        return
    for low in range(0, last + 1, CHUNK_STARTS * stride):
        yield np.arange(low, min(low + CHUNK_STARTS * stride, last + 1), stride)
    if last % stride:
        yield np.array([last])
