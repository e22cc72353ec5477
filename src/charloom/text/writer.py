"""Turns articles into arrays, and appends the arrays to the files of a split. split.py describes these files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.corpus.articles import Article
from charloom.files import write_json
from charloom.params import WindowsParams
from charloom.text.npy import NpyFile, npy_writer
from charloom.text.split import ARRAYS, FORMAT, VERSION, Positions, stream_windows
from charloom.text.vocab import Codes, Vocabulary


@dataclass(frozen=True)
class Encoding:
    """What decides how articles become arrays."""

    vocabulary: Vocabulary
    params: WindowsParams
    positions: np.dtype[Any]  # the type of indices in codes: an unsigned type that can hold the number of symbols


class EncodedArticles(NamedTuple):
    """Some consecutive articles of a split as arrays. Indices count from the first symbol of these articles."""

    codes: Codes  # the characters of each article, and `<eos>` after each article
    begins: Positions  # for each article, the index of its first character
    classes: npt.NDArray[np.uint16]
    starts: Positions  # for each window, the index of its first symbol; empty if windows.scope is `stream`
    unknown: int  # the number of characters that became `<unk>`


def encode_articles(articles: Sequence[Article], encoding: Encoding) -> EncodedArticles:
    """Encode articles. Memory must hold all of them."""
    vocabulary, params, positions = encoding.vocabulary, encoding.params, encoding.positions
    lengths = np.array([len(article.text) for article in articles], dtype=np.int64)
    characters = vocabulary.encode("".join(article.text for article in articles))
    ends = np.cumsum(lengths + 1)
    begins = ends - (lengths + 1)
    by_article = params.scope == "article"
    starts = article_starts(begins, lengths, params.length, params.stride) if by_article else begins[:0]
    return EncodedArticles(
        np.insert(characters, np.cumsum(lengths), vocabulary.eos),
        begins.astype(positions),
        np.array([article.label - 1 for article in articles], dtype=np.uint16),
        starts.astype(positions),
        int((characters == vocabulary.unk).sum()),
    )


class SplitWriter:
    """The open files of a split. Articles are appended in their order."""

    def __init__(self, files: Mapping[str, NpyFile], encoding: Encoding) -> None:
        self._files = files
        self._params = encoding.params
        self._unknown = 0
        files["codes"].append([encoding.vocabulary.eos])

    def append(self, articles: EncodedArticles) -> None:
        """Write articles to the end of the files."""
        end = self._files["codes"].size
        self._files["codes"].append(articles.codes)
        self._files["offsets"].append(articles.begins + end)
        self._files["classes"].append(articles.classes)
        if "starts" in self._files:
            self._files["starts"].append(articles.starts + end)
        self._unknown += articles.unknown

    def finish(self) -> None:
        """Write what comes after the last article."""
        self._files["offsets"].append([self._files["codes"].size])

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of articles, characters, unknown characters and windows."""
        symbols, articles = self._files["codes"].size, self._files["classes"].size
        return {
            "articles": articles,
            "characters": symbols - 1 - articles,
            "unknown": self._unknown,
            "windows": self._windows(symbols),
        }

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each array, as npy.py defines it."""
        return {name: file.sha256 for name, file in self._files.items()}

    def _windows(self, symbols: int) -> int:
        if "starts" in self._files:
            return self._files["starts"].size
        return stream_windows(symbols, self._params.length, self._params.stride)


@contextmanager
def split_writer(folder: Path, encoding: Encoding, class_names: Sequence[str] = ()) -> Iterator[SplitWriter]:
    """Give a writer for a split. The split is complete if the block ends without an error."""
    (folder / "windows.json").unlink(missing_ok=True)  # without this file the folder counts as incomplete
    params = encoding.params
    dtypes = {"codes": encoding.vocabulary.dtype, "classes": np.dtype(np.uint16)}
    with ExitStack() as files:
        opened = {
            name: files.enter_context(npy_writer(folder / f"{name}.npy", dtypes.get(name, encoding.positions)))
            for name in ARRAYS[params.scope]
        }
        writer = SplitWriter(opened, encoding)
        yield writer
        writer.finish()
    described = {"length": params.length, "stride": params.stride, "scope": params.scope, **writer.counts}
    more = {"class_names": list(class_names), "sha256": writer.digests}
    write_json(folder / "windows.json", {"format": FORMAT, "version": VERSION, **described, **more})


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
