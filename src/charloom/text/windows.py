"""Encoded text on disk, and the windows over it.

A folder holds `codes` (ids of the characters, `<eos>` before the first article and after each), `offsets` (where each
article begins in codes, and one more where the next would), `classes` (from 0) and `starts` (where each window
begins), each a .npy file, and windows.json, written last: a folder without it is not whole. Window i is
`codes[starts[i] : starts[i] + length + 1]`: inputs all but its last symbol, targets all but its first.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from charloom.corpus.articles import MAX_CLASS, Article, read_articles
from charloom.errors import InputError
from charloom.files import atomic_path, read_json, write_json
from charloom.params import WindowsParams
from charloom.text.vocab import Codes, Vocabulary, chunked

FORMAT, VERSION = "charloom-windows", 1
ARRAYS = ("codes", "offsets", "classes", "starts")
FACTS = ("length", "stride", "scope", "unknown", "class_names")
UNLABELLED = MAX_CLASS  # in the place of a class: they are counted from 0
CHUNK_STARTS = 1 << 20
NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00v\x00\{'descr': '[|<]u[1248]', 'fortran_order': False, 'shape': \(\d{1,19},\), \} *\n"
)

Positions = npt.NDArray[np.unsignedinteger]


class Topic(BaseModel, strict=True, extra="forbid", frozen=True):
    """A class: its name, and how many articles of a split are of it."""

    name: str
    articles: int = Field(ge=0)


@dataclass(frozen=True)
class Windows:
    """A split as written by `write_windows`, its arrays mapped into memory, not read."""

    codes: Codes
    offsets: Positions
    classes: npt.NDArray[np.uint16]
    starts: Positions
    length: int
    stride: int
    scope: str
    unknown: int
    class_names: Sequence[str]

    @classmethod
    def load(cls, folder: Path, symbols: int | None = None) -> Windows:
        """Open a split; raises InputError where it is missing, of another version, inconsistent, or where an id is
        none of a vocabulary of so many symbols.
        """
        about = read_json(folder / "windows.json", kind=FORMAT, version=VERSION)
        arrays: dict[str, Any] = {name: _load_array(folder / f"{name}.npy") for name in ARRAYS}
        facts: dict[str, Any] = {name: about.get(name) for name in FACTS}
        windows = cls(**arrays, **facts)
        if not windows._consistent(about):
            raise InputError(f"{folder}: its arrays do not fit together; make them again with `dvc repro`")
        if symbols is not None and (largest := int(windows.codes.max())) >= symbols:
            raise InputError(f"{folder}: has the id {largest}, the vocabulary {symbols} symbols; make both again")
        return windows

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
        """The symbols of each article: its characters and the `<eos>` after them."""
        ends = self.offsets.astype(np.int64)
        return ends[1:] - ends[:-1]

    @property
    def topics(self) -> list[Topic]:
        """Its classes; raises InputError where two have the same name."""
        if len(set(self.class_names)) < len(self.class_names):
            raise InputError(f"two classes have the same name: {', '.join(sorted(self.class_names))}; mend classes.txt")
        counts = np.bincount(self.classes[self.classes != UNLABELLED], minlength=len(self.class_names))
        return [Topic(name=name, articles=int(count)) for name, count in zip(self.class_names, counts, strict=True)]

    def labelled(self, fraction: float, seed: int) -> Windows:
        """The split with the classes of a seeded share of its articles, at least one; a smaller share is part of it."""
        known = _choose(self.articles, fraction, seed)
        return replace(self, classes=np.where(known, self.classes, UNLABELLED).astype(np.uint16))

    def gather(self, indices: npt.ArrayLike) -> Codes:
        """Windows as an array (len(indices), length + 1)."""
        symbols = self.length + 1
        window = np.dtype((np.void, symbols * self.codes.itemsize))  # copied whole: ten times as fast as by symbol
        every = np.ndarray(max(0, len(self.codes) - self.length), window, self.codes, strides=self.codes.strides)
        taken = every[self.starts[np.asarray(indices, dtype=np.int64)]]
        return taken.view(self.codes.dtype).reshape(-1, symbols)

    def article(self, index: int) -> Codes:
        """Article `index` with the `<eos>` before it and the one after it: its inputs and its targets."""
        return self.codes[int(self.offsets[index]) - 1 : int(self.offsets[index + 1])]

    def _consistent(self, about: dict[str, Any]) -> bool:
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
        """Whether the names are names, and each class has one where any has."""
        names = self.class_names
        return (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and (not names or not self.articles or int(self.classes.max()) < len(names))
        )


def make_windows(
    raw: Path,
    folder: Path,
    vocabulary: Vocabulary,
    params: WindowsParams,
    *,
    valid_fraction: float,
    seed: int,
    class_names: Sequence[str] = (),
) -> dict[str, int]:
    """Encode train.csv and test.csv of `raw` into `folder`/{train,valid,test}; memory use does not grow with them.

    A seeded `valid_fraction` of the training articles, at least one, is held out as valid. Gives the counts of each
    split. Raises InputError where there is nothing to hold out or no window to train on.
    """
    train, test = raw / "train.csv", raw / "test.csv"
    held_out = _choose(sum(1 for _ in read_articles(train)), valid_fraction, seed)
    if held_out.all():
        raise InputError(f"{train}: {held_out.size} article(s); at least two are needed, one of them for validation")
    bound = max(train.stat().st_size, test.stat().st_size) + 1  # a symbol takes a byte or more of a CSV file
    shutil.rmtree(folder, ignore_errors=True)  # DVC takes all of it for the result, a killed run's leftovers too
    metrics: dict[str, int] = {}
    for name, articles in {
        "train": (article for article, out in zip(read_articles(train), held_out, strict=True) if not out),
        "valid": (article for article, out in zip(read_articles(train), held_out, strict=True) if out),
        "test": read_articles(test),
    }.items():
        positions = np.min_scalar_type(max(bound, 2**16))
        counts = write_windows(folder / name, articles, vocabulary, params, positions, class_names)
        metrics |= {f"{name}_{unit}": count for unit, count in counts.items()}
    if not metrics["train_windows"]:
        raise InputError(
            f"no window of windows.length = {params.length} fits in the training articles (scope {params.scope});"
            " lower windows.length"
        )
    return metrics


def write_windows(
    folder: Path,
    articles: Iterable[Article],
    vocabulary: Vocabulary,
    params: WindowsParams,
    positions: np.dtype[Any],
    class_names: Sequence[str] = (),
) -> dict[str, int]:
    """Write one split, a chunk of articles at a time; `positions` is a type that holds every offset."""
    labels: list[int] = []
    count = {"articles": 0, "characters": 0, "unknown": 0, "windows": 0}
    (folder / "windows.json").unlink(missing_ok=True)  # from here to its end the folder is not whole
    dtypes = (vocabulary.dtype, positions, np.dtype(np.uint16), positions)
    end = 1
    with ExitStack() as files:
        codes, offsets, classes, starts = (
            files.enter_context(npy_writer(folder / f"{name}.npy", dtype))
            for name, dtype in zip(ARRAYS, dtypes, strict=True)
        )
        codes.append([vocabulary.eos])
        for texts in chunked(_texts(articles, labels)):
            lengths = np.array([len(text) for text in texts])
            encoded = vocabulary.encode("".join(texts))
            codes.append(np.insert(encoded, np.cumsum(lengths), vocabulary.eos))
            begins = end + np.cumsum(lengths + 1) - (lengths + 1)
            offsets.append(begins)
            classes.append(np.array(labels) - 1)
            labels.clear()
            end += int((lengths + 1).sum())
            count["articles"] += len(texts)
            count["characters"] += len(encoded)
            count["unknown"] += int((encoded == vocabulary.unk).sum())
            if params.scope == "article":
                starts.append(article_starts(begins, lengths, params.length, params.stride))
        offsets.append([end])
        if params.scope == "stream":
            for chunk in stream_starts(end, params.length, params.stride):
                starts.append(chunk)
        count["windows"] = starts.size
    about = {"length": params.length, "stride": params.stride, "scope": params.scope, **count}
    named = {"class_names": list(class_names)}
    write_json(folder / "windows.json", {"format": FORMAT, "version": VERSION, **about, **named})
    return count


def article_starts(
    begins: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], length: int, stride: int
) -> npt.NDArray[np.int64]:
    """The windows inside articles: at stride 1, `len - length` in each as in the tutorial, none in shorter ones."""
    counts = np.maximum(0, -((length - lengths) // stride))  # the ceiling of (len - length) / stride
    first = np.cumsum(counts) - counts
    step = np.arange(counts.sum()) - np.repeat(first, counts)
    return np.repeat(begins, counts) + step * stride


def stream_starts(symbols: int, length: int, stride: int) -> Iterator[npt.NDArray[np.int64]]:
    """The windows over a stream, in chunks; one more at its end where the stride would leave symbols out."""
    last = symbols - length - 1
    if last < 0:
        return
    for low in range(0, last + 1, CHUNK_STARTS * stride):
        yield np.arange(low, min(low + CHUNK_STARTS * stride, last + 1), stride)
    if last % stride:
        yield np.array([last])


def _choose(count: int, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]] = True
    return chosen


def _texts(articles: Iterable[Article], labels: list[int]) -> Iterator[str]:
    for article in articles:
        labels.append(article.label)
        yield article.text


class _NpyFile:
    """A one-dimensional .npy file that grows: NumPy's own header, written again when the length is known."""

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.size = 0
        self._file = file
        self.write_header()

    def append(self, values: npt.ArrayLike | Sequence[int]) -> None:
        array = np.asarray(values).astype(self.dtype)
        self._file.write(array.tobytes())
        self.size += array.size

    def write_header(self) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)


@contextmanager
def npy_writer(path: Path, dtype: npt.DTypeLike) -> Iterator[_NpyFile]:
    """Append arrays to a .npy file that appears whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        array = _NpyFile(file, dtype)
        yield array
        array.write_header()


def _load_array(path: Path) -> npt.NDArray[Any]:
    try:
        with path.open("rb") as file:
            if not NPY_HEADER.fullmatch(file.read(128)):  # as NumPy writes it; it would evaluate what stands there
                raise InputError(f"{path}: not one row of unsigned integers in NumPy's format")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not readable as an array: {error}") from None
