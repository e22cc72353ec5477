"""What a corpus holds, in numbers: articles, lengths, classes, characters, duplicates."""

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
from charloom.text.vocab import count_characters

MIN_COUNTS = (1, 2, 5, 10)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The articles of a split; their order is that of the file."""

    lengths: Integers  # of each article, in characters
    digests: npt.NDArray[np.uint64]  # of each article's text
    classes: Counter[int]  # articles of each class, from 1
    counts: Integers  # of each of Unicode's code points

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
        """The articles whose text stands in the split already."""
        return self.articles - len(np.unique(self.digests))

    def length_at(self, share: float) -> int:
        """The length that this share of the articles does not exceed."""
        return int(np.quantile(self.lengths, share, method="inverted_cdf"))


class Coverage(NamedTuple):
    """What a vocabulary of the characters seen `min_count` times in train knows."""

    min_count: int
    characters: int
    train: float  # share of the split's characters
    test: float


@dataclass(frozen=True)
class Summary:
    """A corpus: what source.json says of it, its splits, and train's characters from the commonest to the rarest."""

    source: str
    classes: list[str]
    train: Split
    test: Split
    characters: list[tuple[str, int]]

    @property
    def duplicates(self) -> int:
        """The articles of train whose text stands in test too."""
        return int(np.isin(self.train.digests, self.test.digests).sum())

    def coverage(self) -> list[Coverage]:
        """For each of MIN_COUNTS."""
        found = []
        for min_count in MIN_COUNTS:
            known = self.train.counts >= min_count
            train, test = (float(split.counts[known].sum() / split.characters) for split in (self.train, self.test))
            found.append(Coverage(min_count, int(known.sum()), train, test))
        return found


def summarize(raw: Path) -> Summary:
    """Read the corpus in a folder, an article at a time; memory holds some 16 bytes of each.

    Raises InputError where the folder holds none, or a file of it is damaged.
    """
    if not (raw / "source.json").exists():
        raise InputError(f"{raw}: holds no corpus; `dvc repro download` brings the one that params.yaml names")
    about = read_source(raw)
    (train, order), (test, _) = (_read(raw / f"{split}.csv") for split in SPLITS)
    commonest = sorted(order, key=lambda point: -int(train.counts[point]))
    characters = [(chr(point), int(train.counts[point])) for point in commonest]
    return Summary(about["source"], about["classes"], train, test, characters)


def _read(path: Path) -> tuple[Split, list[int]]:
    """A split, and its code points in first-seen order."""
    lengths, digests = array("q"), array("Q")
    classes: Counter[int] = Counter()

    def noted() -> Iterator[str]:
        for article in read_articles(path):
            lengths.append(len(article.text))
            digests.append(text_digest(article.text))
            classes[article.label] += 1
            yield article.text

    counts, order = count_characters(noted())
    if not sum(lengths):
        raise InputError(f"{path}: holds no text")
    return Split(np.array(lengths), np.array(digests), classes, counts), order
