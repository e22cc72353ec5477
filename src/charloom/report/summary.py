"""A corpus in numbers: articles, lengths, classes, characters, duplicates."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.corpus.articles import SPLITS, read_articles, read_source
from charloom.corpus.intake import text_digest
from charloom.errors import InputError
from charloom.evaluation.arrays import Integers
from charloom.text.vocab import count_characters

MIN_COUNTS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Split:
    """The articles of a split, in the order of its file."""

    lengths: Integers  # of each article, in characters
    digests: npt.NDArray[np.uint64]  # of each article's text
    classes: Counter[int]  # the number of articles of each class; classes are counted from 1 here, as in the file
    counts: Integers  # how often each Unicode code point occurs

    @property
    def articles(self) -> int:
        """The number of articles."""
        return len(self.lengths)

    @property
    def characters(self) -> int:
        """The number of characters."""
        return int(self.lengths.sum())

    @property
    def repeated(self) -> int:
        """The number of articles whose text occurs earlier in the split."""
        return self.articles - len(np.unique(self.digests))

    def length_at(self, share: float) -> int:
        """The smallest length that at least this share of the articles does not exceed."""
        return int(np.quantile(self.lengths, share, method="inverted_cdf"))


class Coverage(NamedTuple):
    """How much of a corpus a vocabulary covers that has the characters seen `min_count` times or more in train."""

    min_count: int
    characters: int  # in the vocabulary
    train: float  # the share of the characters of train that are in the vocabulary
    test: float


@dataclass(frozen=True)
class Summary:
    """A corpus in numbers."""

    source: str  # as source.json states it
    classes: list[str]
    train: Split
    test: Split
    characters: list[tuple[str, int]]  # of train with their counts, from the commonest to the rarest

    @property
    def duplicates(self) -> int:
        """The number of articles of train whose text also occurs in test."""
        return int(np.isin(self.train.digests, self.test.digests).sum())

    def coverage(self) -> list[Coverage]:
        """The coverage for each of MIN_COUNTS."""
        found = []
        for min_count in MIN_COUNTS:
            known = self.train.counts >= min_count
            train, test = (float(split.counts[known].sum() / split.characters) for split in (self.train, self.test))
            found.append(Coverage(min_count, int(known.sum()), train, test))
        return found


def summarize(raw: Path) -> Summary:
    """Read the corpus in a folder, one article at a time. The memory needed is about 16 bytes for each article.

    Raises InputError if the folder has no corpus, or if a file is damaged.
    """
    if not (raw / "source.json").exists():
        raise InputError(f"{raw}: no corpus here; `dvc repro download` fetches the one that params.yaml names")
    about = read_source(raw)
    (train, order), (test, _) = (_read(raw / f"{split}.csv") for split in SPLITS)
    commonest = sorted(order, key=lambda point: -int(train.counts[point]))
    characters = [(chr(point), int(train.counts[point])) for point in commonest]
    return Summary(about["source"], about["classes"], train, test, characters)


def _read(path: Path) -> tuple[Split, list[int]]:
    """Read a split. Also returns its code points in the order in which they first occur."""
    lengths, digests = array("q"), array("Q")
    classes: Counter[int] = Counter()

    def texts() -> Iterator[str]:
        for article in read_articles(path):
            lengths.append(len(article.text))
            digests.append(text_digest(article.text))
            classes[article.label] += 1
            yield article.text

    counts, order = count_characters(texts())
    if not sum(lengths):
        raise InputError(f"{path}: contains no text")
    return Split(np.array(lengths), np.array(digests), classes, counts), order
