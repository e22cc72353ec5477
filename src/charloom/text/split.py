"""An encoded split: articles as ids on disk, and the windows over them.

A split is a folder with .npy files and windows.json. encode.py writes them, EncodedSplit reads them.

    codes     the ids of all symbols in one row; `<eos>` stands before the first article and after each article
    offsets   for each article, the index in codes of its first character; then one more number, the length of codes
    classes   for each article, its class id, from 0
    starts    for each window, the index in codes of its first symbol. Only with scope `article`. In a stream,
              window i starts at i · stride, so the starts are computed and not stored

windows.json is written last, so a folder without windows.json is incomplete. It contains a digest of each array (npy.py
defines it), so two splits are equal if their windows.json are equal. Window i is `codes[start : start + length + 1]`,
where start is the start of window i. All its symbols except the last are inputs, and all except the first are targets.
"""

from __future__ import annotations

import math
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
from charloom.text.vocab import Codes, nats_of_unknown

FORMAT, VERSION = "charloom-windows", 2
ARRAYS = {"stream": ("codes", "offsets", "classes"), "article": ("codes", "offsets", "classes", "starts")}  # by scope
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
    length: int  # symbols in a window, without its last target
    stride: int
    scope: str
    unknown: int  # the number of characters that became `<unk>`
    class_names: Sequence[str]  # by class id
    starts: Positions | None = None  # None with scope `stream`; use `starts_of`
    folder: Path | None = None
    symbols: int | None = None  # the size of the vocabulary, which `check_id` needs; None: ids are not checked

    @classmethod
    def load(cls, folder: Path, symbols: int | None = None) -> EncodedSplit:
        """Open a split. If `symbols` is given, ids are checked to be in a vocabulary of that size when they are read.

        Opening a split does not read `codes`, because that would take minutes with a large corpus. `article`, the
        batches and the memory of a training check the ids that they read. Code that reads `codes` in another way calls
        `check_id` or `check_ids`.

        Raises InputError if the split is missing, has another version, or is inconsistent.
        """
        about = read_json(folder / "windows.json", kind=FORMAT, version=VERSION)
        scope = "article" if about.get("scope") == "article" else "stream"  # `_consistent` rejects any other scope
        arrays: dict[str, Any] = {name: map_array(folder / f"{name}.npy") for name in ARRAYS[scope]}
        facts: dict[str, Any] = {name: about.get(name) for name in FACTS}
        split = cls(**arrays, **facts, folder=folder, symbols=symbols)
        if not split._consistent(about):
            raise InputError(f"{folder}: its files contradict each other; recreate them with `dvc repro`")
        return split

    def unknown_bpc(self, symbols: int) -> float:
        """What it costs to say which characters the `<unk>` replace, in bits per character of the split.

        `symbols` is the size of the vocabulary.
        """
        return self.unknown * nats_of_unknown(symbols) / math.log(2) / self.characters

    def check_id(self, largest: int) -> None:
        """Raise InputError if `largest`, the largest of some ids that were read, is not in the vocabulary."""
        if self.symbols is not None and largest >= self.symbols:
            raise InputError(
                f"{self.folder}: contains the id {largest}, but the vocabulary has only {self.symbols} symbols;"
                " recreate both with `dvc repro`"
            )

    def check_ids(self) -> None:
        """Do the same with all ids of the split. This reads the whole split."""
        self.check_id(int(self.codes.max()))

    def __len__(self) -> int:
        if self.starts is None:
            return stream_windows(len(self.codes), self.length, self.stride)
        return len(self.starts)

    def starts_of(self, windows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """For each of these windows, the index in codes of its first symbol. The windows are numbered from 0.

        The last window of a stream ends where the stream ends, so it can start earlier than the stride says.
        """
        numbers = np.asarray(windows, dtype=np.int64)
        if self.starts is None:
            return np.minimum(numbers * self.stride, len(self.codes) - self.length - 1)
        return self.starts[numbers].astype(np.int64)

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
        """The ids of article `index`, with the `<eos>` before it and the `<eos>` after it.

        Raises InputError if an id is not in the vocabulary.
        """
        ids = self.codes[int(self.offsets[index]) - 1 : int(self.offsets[index + 1])]
        self.check_id(int(ids.max()))
        return ids

    def _consistent(self, about: dict[str, Any]) -> bool:
        """Whether the arrays and windows.json (`about`) fit together."""
        if not all(type(number) is int for number in (self.length, self.stride, self.unknown)):
            return False
        if self.length < 1 or not 1 <= self.stride < 2**31 or self.scope not in ("article", "stream"):
            return False
        counted = {"articles": self.articles, "characters": self.characters, "windows": len(self)}
        if not all(type(about.get(name)) is int and about[name] == count for name, count in counted.items()):
            return False
        if self.codes.itemsize > 4 or self.classes.dtype != np.uint16 or not self._named():
            return False
        ends = len(self.offsets) == self.articles + 1 and int(self.offsets[0]) == 1
        rising = bool((self.offsets[1:] > self.offsets[:-1]).all())
        return ends and rising and self._windows_fit() and int(self.offsets[-1]) == len(self.codes)

    def _windows_fit(self) -> bool:
        """Whether every window ends inside codes. In a stream, this is true for any length and stride."""
        if self.starts is None or not self.starts.size:
            return True
        return int(self.starts.max()) <= len(self.codes) - self.length - 1

    def _named(self) -> bool:
        """Whether the class names are text, and every class id has a name. A split without any class names is valid."""
        names = self.class_names
        return (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and (not names or not self.articles or int(self.classes.max()) < len(names))
        )


def stream_windows(symbols: int, length: int, stride: int) -> int:
    """The number of windows in a stream of so many symbols. Together the windows contain all symbols."""
    last = symbols - length - 1  # where the last window starts
    return 0 if last < 0 else -(-last // stride) + 1


def choose_share(count: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose a random `fraction` of `count` items, at least one. Returns for each item whether it is chosen.

    The same seed gives the same choice. With the same seed, the items of a smaller fraction are a subset of the items
    of a larger fraction.
    """
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]] = True
    return chosen
