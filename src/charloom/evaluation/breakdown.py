"""Where the bits of a split go: by class, by position in the article, by kind of symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

# From 6 on each is about 1.4 times the one before. A last one ends where the longest article does.
POSITIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)
KINDS = ("first letter of a word", "other letters", "spaces", "digits", "punctuation and signs", "end of the article")

Bits = npt.NDArray[np.floating]  # of each symbol of a split's codes but the first `<eos>`


class BreakdownPart(NamedTuple):
    """Some of a split's symbols: what they are, how many, and the bits that one costs on average."""

    name: str
    size: int
    bits: float


class Breakdown(NamedTuple):
    """The parts of a split, three ways."""

    by_class: list[BreakdownPart]
    by_position: list[BreakdownPart]
    by_kind: list[BreakdownPart]

    @classmethod
    def from_json(cls, value: Mapping[str, Sequence[tuple[str, int, float]]]) -> Breakdown:
        """The breakdown whose `_asdict` went through JSON."""
        return cls(**{name: [BreakdownPart(*part) for part in parts] for name, parts in value.items()})


def break_down(split: EncodedSplit, bits: Bits, names: Sequence[str], vocabulary: Vocabulary) -> Breakdown:
    """Where the bits of a split go; `names` are those of its classes."""
    return Breakdown(by_class(split, bits, names), by_position(split, bits), by_kind(split, bits, vocabulary))


def by_class(split: EncodedSplit, bits: Bits, names: Sequence[str]) -> list[BreakdownPart]:
    """Bits per character of each class, `<eos>` paid for but not counted as in the score of the whole."""
    paid = np.bincount(split.classes, article_bits(split, bits), minlength=len(names))
    characters = np.bincount(split.classes, split.lengths - 1, minlength=len(names))
    return _parts(names, characters, paid)


def by_position(split: EncodedSplit, bits: Bits) -> list[BreakdownPart]:
    """Bits per symbol from the first character of an article on; a part is named by its first position."""
    begins = split.offsets[:-1].astype(np.int64)
    position = np.arange(1, len(split.codes)) - np.repeat(begins, split.lengths)
    groups = np.searchsorted(POSITIONS, position + 1, side="right") - 1
    return _mean_parts([str(first) for first in POSITIONS], groups, bits)


def by_kind(split: EncodedSplit, bits: Bits, vocabulary: Vocabulary) -> list[BreakdownPart]:
    """Bits per symbol of each of KINDS."""
    kinds = np.array([_kind(char) for char in vocabulary.characters] + [5, 4])[split.codes]
    inside_word = (kinds[1:] == 1) & (kinds[:-1] == 1)
    return _mean_parts(KINDS, np.where(inside_word | (kinds[1:] != 1), kinds[1:], 0), bits)


def article_bits(split: EncodedSplit, bits: Bits) -> npt.NDArray[np.float64]:
    """What each article costs, its closing `<eos>` included."""
    return np.add.reduceat(bits, split.offsets[:-1].astype(np.int64) - 1, dtype=np.float64)


def _kind(char: str) -> int:
    """The index in KINDS, every letter taken for one inside a word."""
    return 1 if char.isalpha() else 2 if char.isspace() else 3 if char.isdigit() else 4


def _mean_parts(names: Sequence[str], groups: npt.NDArray[np.int64], bits: Bits) -> list[BreakdownPart]:
    return _parts(names, np.bincount(groups, minlength=len(names)), np.bincount(groups, bits, minlength=len(names)))


def _parts(names: Sequence[str], counts: npt.NDArray[np.int64], paid: npt.NDArray[Any]) -> list[BreakdownPart]:
    """The parts that there are, in the order of their names."""
    return [
        BreakdownPart(name, int(count), float(total / count))
        for name, count, total in zip(names, counts, paid, strict=True)
        if count
    ]
