"""Characters <-> ids: counted over the training split, numbered as torchtext.vocab.vocab(counter) numbers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from charloom.corpus.articles import normalized
from charloom.errors import InputError
from charloom.extras import load_torchtext
from charloom.files import read_json, write_json
from charloom.params import Normalization

EOS, UNK = "<eos>", "<unk>"
FORMAT, VERSION = "charloom-vocab", 1
CODE_POINTS = 0x110000

Codes = npt.NDArray[np.unsignedinteger]
Item = TypeVar("Item")


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The Unicode code points of a text, one uint32 a character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@dataclass(frozen=True)
class Vocabulary:
    """Characters in first-seen order have the ids 0, 1, …; `<eos>` and `<unk>` come last.

    `counts` has one number a character: how often it stands in the training split. `normalize` is how that was
    normalized (data.normalize); text from elsewhere passes through `normalized` before it is encoded.
    """

    characters: tuple[str, ...]
    counts: tuple[int, ...]
    normalize: Normalization = "none"
    _ids: Codes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = np.full(CODE_POINTS, self.unk, dtype=np.min_scalar_type(self.unk))
        ids[code_points("".join(self.characters))] = np.arange(len(self.characters))
        object.__setattr__(self, "_ids", ids)

    def __len__(self) -> int:
        return len(self.characters) + 2

    @property
    def eos(self) -> int:
        """The id that stands between articles."""
        return len(self.characters)

    @property
    def unk(self) -> int:
        """The id of every character that the vocabulary lacks."""
        return len(self.characters) + 1

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type that holds every id: uint8 up to 256 symbols."""
        return self._ids.dtype

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        normalize: Normalization = "none",
    ) -> Vocabulary:
        """Count the characters of `texts`, normalized already; those seen fewer than `min_count` times become `<unk>`.

        So do all but the `max_size` commonest; of equally common ones the first seen stay.
        Raises InputError where fewer than two characters are left: there is nothing to predict.
        """
        counts, order = count_characters(texts)
        kept = [point for point in order if counts[point] >= min_count]
        if max_size is not None and len(kept) > max_size:
            commonest = set(sorted(kept, key=lambda point: -counts[point])[:max_size])
            kept = [point for point in kept if point in commonest]
        if len(kept) < 2:
            raise InputError(
                f"the training split has {len(kept)} different characters that occur at least vocab.min_count ="
                f" {min_count} times; a model needs two or more"
            )
        return cls(tuple(map(chr, kept)), tuple(int(counts[point]) for point in kept), normalize)

    def normalized(self, text: str) -> str:
        """A text in the form that the training split has."""
        return normalized(text, self.normalize)

    def encode(self, text: str) -> Codes:
        """The ids of a text's characters, `<unk>` where the vocabulary lacks one."""
        return self._ids[code_points(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; `<eos>` becomes a newline and `<unk>` U+FFFD, the replacement character."""
        symbols = (*self.characters, "\n", "\N{REPLACEMENT CHARACTER}")
        return "".join(symbols[index] for index in ids)

    def to_json(self) -> dict[str, object]:
        """What vocab.json and model.json hold."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "normalize": self.normalize,
            "characters": [list(pair) for pair in zip(self.characters, self.counts, strict=True)],
            "specials": [EOS, UNK],
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> Vocabulary:
        """The vocabulary that `to_json` gave; raises InputError naming `where` if it is not one."""
        if not isinstance(value, dict) or value.get("specials") != [EOS, UNK]:
            raise InputError(f"{where}: not a vocabulary whose specials are {EOS}, {UNK}")
        pairs = value.get("characters")
        if not (isinstance(pairs, list) and pairs and all(map(_is_counted_character, pairs))):
            raise InputError(f"{where}: characters must be a list of [character, count]")
        characters = tuple(character for character, _ in pairs)
        if len(set(characters)) < len(characters):
            raise InputError(f"{where}: a character stands twice")
        normalize = value.get("normalize", "none")  # older files do not say, and their models read text as it came
        if normalize not in get_args(Normalization):
            raise InputError(f"{where}: normalize must be one of {', '.join(get_args(Normalization))}")
        return cls(characters, tuple(count for _, count in pairs), normalize)

    def save(self, path: Path) -> None:
        """Write vocab.json."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read vocab.json; raises InputError where it is missing or damaged."""
        return cls.from_json(read_json(path, kind=FORMAT, version=VERSION), str(path))

    def to_torchtext(self) -> Any:
        """A torchtext.vocab.Vocab with the same ids; a character that it lacks is its `<unk>`, as here.

        Raises InputError where torchtext is not installed.
        """
        counter = dict(zip(self.characters, self.counts, strict=True))
        vocab = load_torchtext().vocab.vocab(counter, min_freq=0, specials=[EOS, UNK], special_first=False)
        vocab.set_default_index(self.unk)
        return vocab

    @classmethod
    def from_torchtext(cls, vocab: Any, counter: Mapping[str, int]) -> Vocabulary:
        """The vocabulary with the ids of a torchtext.vocab.Vocab, which keeps no counts: `counter` made it.

        Raises InputError where its tokens are not characters, with or without `<eos>` and `<unk>` behind them: they
        could not keep their ids.
        """
        tokens = vocab.get_itos()
        characters = tokens[:-2] if tokens[-2:] == [EOS, UNK] else tokens
        if longer := [token for token in characters if len(token) != 1]:
            raise InputError(
                f"torchtext's vocabulary has the token {longer[0]!r}; only characters can keep their ids, and behind"
                f" them {EOS}, {UNK}"
            )
        return cls(tuple(characters), tuple(counter.get(character, 0) for character in characters))


def count_characters(texts: Iterable[str]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """How often each of Unicode's code points stands in the texts, and those that do in first-seen order."""
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    order: list[int] = []
    for chunk in chunked(texts, len):
        points = code_points("".join(chunk))
        if points.size:
            _note_new(points, counts, order)
            counts[: int(points.max()) + 1] += np.bincount(points)
    return counts, order


def chunked(items: Iterable[Item], size: Callable[[Item], int], symbols: int = 1 << 20) -> Iterator[list[Item]]:
    """Lists of items of about `symbols` symbols together: long enough for array operations, small in memory."""
    chunk: list[Item] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if total >= symbols:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _note_new(points: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64], order: list[int]) -> None:
    """Append to `order` the code points not counted before, in the order in which they stand."""
    new = points[counts[points] == 0]
    if new.size:
        values, first = np.unique(new, return_index=True)
        order.extend(int(value) for value in values[np.argsort(first)])


def _is_counted_character(pair: object) -> bool:
    return (
        isinstance(pair, Sequence)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and len(pair[0]) == 1
        and type(pair[1]) is int  # a bool is an int too
        and pair[1] >= 0
    )
