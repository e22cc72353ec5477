"""Divide the cost of a split, the nats of its symbols, by class, by position in the article, and by kind of symbol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.evaluation.arrays import Floats
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

# The first position of each part. From 6 to 1024, each is about 1.4 times the previous one, and from 1024 on twice.
POSITIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)
KINDS = ("first letter of a word", "other letters", "spaces", "digits", "punctuation and signs", "end of the article")
FIRST_LETTER, OTHER_LETTER, SPACE, DIGIT, PUNCTUATION, END = range(len(KINDS))  # indices in KINDS

Sums = Floats  # (2, parts): the sizes of the parts, and their nats
SymbolNats = npt.NDArray[np.floating]  # the nats of each symbol of a split except its first `<eos>`


class BreakdownPart(NamedTuple):
    """One part of the symbols of a split, and their mean cost."""

    name: str
    size: int  # symbols; characters in a breakdown by class
    nats: float  # per symbol; per character in a breakdown by class

    @property
    def bits(self) -> float:
        """The mean cost in bits."""
        return self.nats / math.log(2)


class Breakdown(NamedTuple):
    """A split divided into parts in three ways."""

    by_class: list[BreakdownPart]
    by_position: list[BreakdownPart]
    by_kind: list[BreakdownPart]

    @classmethod
    def from_json(cls, value: Mapping[str, Sequence[tuple[str, int, float]]]) -> Breakdown:
        """Make the breakdown again from its `_asdict()` that was written as JSON."""
        return cls(**{name: [BreakdownPart(*part) for part in parts] for name, parts in value.items()})


def break_down(
    pieces: Iterable[tuple[EncodedSplit, SymbolNats]], class_names: Sequence[str], vocabulary: Vocabulary
) -> Breakdown:
    """Divide the cost of a split among its parts. The split comes in pieces, each with the nats of its symbols.

    `class_names` are in the order of the class ids. Only one piece is in memory at a time.
    """
    classes, positions, kinds = (np.zeros((2, len(names))) for names in (class_names, POSITIONS, KINDS))
    for split, nats in pieces:
        classes += by_class(split, nats, len(class_names))
        positions += by_position(split, nats)
        kinds += by_kind(split, nats, vocabulary)
    firsts = [str(first) for first in POSITIONS]
    return Breakdown(_parts(class_names, classes), _parts(firsts, positions), _parts(KINDS, kinds))


def by_class(split: EncodedSplit, nats: SymbolNats, classes: int) -> Sums:
    """The characters of each class, and their nats. As in `Cost.bits_per_character`, the nats include `<eos>`."""
    totals = np.bincount(split.classes, article_nats(split, nats), minlength=classes)
    return np.stack([np.bincount(split.classes, split.lengths - 1, minlength=classes), totals])


def by_position(split: EncodedSplit, nats: SymbolNats) -> Sums:
    """The symbols by their position in the article, counted from 1, and their nats. POSITIONS are the first ones."""
    starts = split.offsets[:-1].astype(np.int64)
    position = np.arange(1, len(split.codes)) - np.repeat(starts, split.lengths)
    return _sums(np.searchsorted(POSITIONS, position + 1, side="right") - 1, nats, len(POSITIONS))


def by_kind(split: EncodedSplit, nats: SymbolNats, vocabulary: Vocabulary) -> Sums:
    """The symbols of each of KINDS, and their nats. An unknown character counts as punctuation."""
    kinds = np.array([_kind(char) for char in vocabulary.characters] + [END, PUNCTUATION])[split.codes]
    first_letters = (kinds[1:] == OTHER_LETTER) & (kinds[:-1] != OTHER_LETTER)
    return _sums(np.where(first_letters, FIRST_LETTER, kinds[1:]), nats, len(KINDS))


def article_nats(split: EncodedSplit, nats: SymbolNats) -> Floats:
    """The nats of each article, including its closing `<eos>`."""
    return np.add.reduceat(nats, split.offsets[:-1].astype(np.int64) - 1, dtype=np.float64)


def _kind(char: str) -> int:
    """The index in KINDS of a character. A letter is an OTHER_LETTER; `by_kind` finds the first letters of words."""
    return OTHER_LETTER if char.isalpha() else SPACE if char.isspace() else DIGIT if char.isdigit() else PUNCTUATION


def _sums(groups: npt.NDArray[np.int64], nats: SymbolNats, count: int) -> Sums:
    """The number of symbols in each group, and their nats. `groups` has the group of each symbol."""
    return np.stack([np.bincount(groups, minlength=count), np.bincount(groups, nats, minlength=count)])


def _parts(names: Sequence[str], sums: Sums) -> list[BreakdownPart]:
    """The parts that are not empty, in the order of `names`."""
    return [
        BreakdownPart(name, int(size), float(total / size))
        for name, size, total in zip(names, *sums, strict=True)
        if size
    ]
