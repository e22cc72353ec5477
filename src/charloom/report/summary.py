"""Summarize a corpus in numbers: articles, lengths, classes, characters, duplicates."""

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
from charloom.corpus.digests import text_digest
from charloom.errors import InputError
from charloom.evaluation.arrays import Integers
from charloom.text.vocab import count_characters

MIN_COUNTS = (1, 2, 5, 10)


@dataclass(frozen=True)
class SplitSummary:
    """The articles of a split in numbers, in the order of the split's file."""

    lengths: Integers  # the characters of each article
    digests: npt.NDArray[np.uint64]  # the digest of each article's text
    classes: Counter[int]  # class, counted from 1 as in the file → number of articles
    counts: Integers  # Unicode code point → how often it occurs

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
        """A quantile of the lengths: at least this share of the articles has this length or a smaller one."""
        return int(np.quantile(self.lengths, share, method="inverted_cdf"))


class Coverage(NamedTuple):
    """How much of a corpus a vocabulary covers.

    The vocabulary has the characters that occur `min_count` times or more in train.
    """

    min_count: int
    characters: int  # the size of the vocabulary
    train: float  # the share of the text of train whose characters are in the vocabulary
    test: float  # the same share of test


@dataclass(frozen=True)
class Summary:
    """A corpus in numbers."""

    source: str  # as source.json states the source
    classes: list[str]
    train: SplitSummary
    test: SplitSummary
    characters: list[tuple[str, int]]  # the characters of train with their counts, the most frequent first

    @property
    def duplicates(self) -> int:
        """The number of articles of train whose text also occurs in test."""
        return int(np.isin(self.train.digests, self.test.digests).sum())

    @property
    def test_duplicates(self) -> int:
        """The number of articles of test whose text also occurs in train."""
        return int(np.isin(self.test.digests, self.train.digests).sum())

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
    by_frequency = sorted(order, key=lambda point: -int(train.counts[point]))
    characters = [(chr(point), int(train.counts[point])) for point in by_frequency]
    return Summary(about["source"], about["classes"], train, test, characters)


def _read(path: Path) -> tuple[SplitSummary, list[int]]:
    """Read a split. Also returns the split's code points in the order in which they first occur."""
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
    return SplitSummary(np.array(lengths), np.array(digests), classes, counts), order
