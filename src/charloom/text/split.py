"""An encoded split: articles as ids on disk, and the windows over them.

A split is a folder with four .npy files and windows.json. encode.py writes them, EncodedSplit reads them.

    codes     the ids of all symbols in one row; `<eos>` stands before the first article and after each article
    offsets   for each article, the index in codes of its first character; then one more number, the length of codes
    classes   for each article, its class id, from 0
    starts    for each window, the index in codes of its first symbol

windows.json is written last, so a folder without windows.json is incomplete. Window i is
`codes[starts[i] : starts[i] + length + 1]`. All its symbols except the last are inputs, and all except the first are
targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from charloom.corpus.articles import MAX_LABEL
from charloom.errors import InputError
from charloom.files import read_json
from charloom.text.npy import map_array
from charloom.text.vocab import Codes

FORMAT, VERSION = "charloom-windows", 1
ARRAYS = ("codes", "offsets", "classes", "starts")
FACTS = ("length", "stride", "scope", "unknown", "class_names")  # the entries of windows.json that are kept
UNLABELLED = MAX_LABEL  # in `classes`, for an article whose class is unknown; a class id is less than MAX_LABEL

Positions = npt.NDArray[np.unsignedinteger]


class ClassCount(BaseModel, strict=True, extra="forbid", frozen=True):
    """The name of a class, and the number of its articles in a split."""

    name: str
    articles: int = Field(ge=0)


@dataclass(frozen=True)
class EncodedSplit:
    """A split on disk, as `write_split` wrote it. The arrays are mapped into memory, not read."""

    codes: Codes
    offsets: Positions
    classes: npt.NDArray[np.uint16]
    starts: Positions
    length: int  # symbols in a window, without its last target
    stride: int
    scope: str
    unknown: int  # the number of characters that became `<unk>`
    class_names: Sequence[str]  # by class id

    @classmethod
    def load(cls, folder: Path, symbols: int | None = None) -> EncodedSplit:
        """Open a split. If `symbols` is given, check that every id is in a vocabulary of that size.

        Raises InputError if the split is missing, has another version, or is inconsistent.
        """
        about = read_json(folder / "windows.json", kind=FORMAT, version=VERSION)
        arrays: dict[str, Any] = {name: map_array(folder / f"{name}.npy") for name in ARRAYS}
        facts: dict[str, Any] = {name: about.get(name) for name in FACTS}
        split = cls(**arrays, **facts)
        if not split._consistent(about):
            raise InputError(f"{folder}: its files contradict each other; recreate them with `dvc repro`")
        if symbols is not None and (largest := int(split.codes.max())) >= symbols:
            raise InputError(
                f"{folder}: contains the id {largest}, but the vocabulary has only {symbols} symbols;"
                " recreate both with `dvc repro`"
            )
        return split

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def articles(self) -> int:
        """The number of articles."""
        return len(self.classes)

    @property
    def characters(self) -> int:
        """The number of characters, `<eos>` not counted."""
        return len(self.codes) - 1 - self.articles

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of symbols of each article: its characters and the `<eos>` after the last character."""
        ends = self.offsets.astype(np.int64)
        return ends[1:] - ends[:-1]

    @property
    def class_counts(self) -> list[ClassCount]:
        """The classes, by class id. Raises InputError if two classes have the same name."""
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError(
                f"two classes have the same name: {', '.join(sorted(self.class_names))}; correct classes.txt"
            )
        counts = np.bincount(self.classes[self.classes != UNLABELLED], minlength=len(self.class_names))
        return [
            ClassCount(name=name, articles=int(count)) for name, count in zip(self.class_names, counts, strict=True)
        ]

    def labelled(self, fraction: float, seed: int) -> EncodedSplit:
        """A copy of the split in which only a random `fraction` of the articles (at least one) keep their class id.

        The class id of the other articles becomes UNLABELLED. With the same seed, the articles of a smaller fraction
        are a subset of the articles of a larger fraction.
        """
        known = choose_share(self.articles, fraction, seed)
        return replace(self, classes=np.where(known, self.classes, UNLABELLED).astype(np.uint16))

    def article(self, index: int) -> Codes:
        """The ids of article `index`, with the `<eos>` before it and the `<eos>` after it."""
        return self.codes[int(self.offsets[index]) - 1 : int(self.offsets[index + 1])]

    def _consistent(self, about: dict[str, Any]) -> bool:
        """Whether the arrays and windows.json (`about`) fit together."""
        counted = {"articles": self.articles, "characters": self.characters, "windows": len(self)}
        whole = {"length": self.length, "stride": self.stride, "unknown": self.unknown} | counted
        if not all(type(about.get(name)) is int and about[name] == value for name, value in whole.items()):
            return False
        if self.length < 1 or self.stride < 1 or self.scope not in ("article", "stream"):
            return False
        if self.codes.itemsize > 4 or self.classes.dtype != np.uint16 or not self._named():
            return False
        ends = len(self.offsets) == self.articles + 1 and int(self.offsets[0]) == 1
        rising = bool((self.offsets[1:] > self.offsets[:-1]).all())
        inside = len(self.starts) == 0 or int(self.starts.max()) <= len(self.codes) - self.length - 1
        return ends and rising and inside and int(self.offsets[-1]) == len(self.codes)

    def _named(self) -> bool:
        """Whether the class names are text, and every class id has a name. A split without any class names is valid."""
        names = self.class_names
        return (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and (not names or not self.articles or int(self.classes.max()) < len(names))
        )


def choose_share(count: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose a random `fraction` of `count` items, at least one. Returns for each item whether it is chosen.

    The same seed gives the same choice. With the same seed, the items of a smaller fraction are a subset of the items
    of a larger fraction.
    """
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]] = True
    return chosen
