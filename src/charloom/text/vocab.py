"""The vocabulary: maps characters to ids and back.

Ids follow the order in which the characters first occur in the training split, as in torchtext.vocab.vocab(counter).
"""

from __future__ import annotations

import math
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
COUNTED_AT_ONCE = 1 << 14  # characters. The arrays then stay in the processor's cache, which halves the time

Codes = npt.NDArray[np.unsignedinteger]
Item = TypeVar("Item")


def nats_of_unknown(symbols: int) -> float:
    """The surprisal of which character an `<unk>` replaces, in a vocabulary with so many symbols.

    All characters outside the vocabulary are taken as equally likely. If an `<unk>` did not pay for this, a model with
    fewer characters in its vocabulary would seem to predict the same text better.
    """
    return math.log(CODE_POINTS - symbols + 2)


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The Unicode code points of a text, a uint32 for each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows. Their ids are 0, 1, …; the ids of `<eos>` and `<unk>` come after them.

    `counts` states how often each character occurs in the training split. `normalize` is data.normalize, the form to
    which the training split was normalized. Pass other text through `normalized` before you encode it.
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
        """The id of `<eos>`, which stands before the first article and after each article."""
        return len(self.characters)

    @property
    def unk(self) -> int:
        """The id of `<unk>`, which replaces each character that is not in the vocabulary."""
        return len(self.characters) + 1

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned type for all ids, for example uint8 for up to 256 symbols."""
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
        """Build the vocabulary of `texts`. The texts must be normalized already, in the form `normalize`.

        Characters that occur fewer than `min_count` times are left out. If more than `max_size` characters remain, the
        most frequent ones are kept. Of equally frequent characters, those that occur first are kept.

        Raises InputError if fewer than two characters are left, because then there is nothing to predict.
        """
        counts, order = count_characters(texts)
        return cls.from_counts(counts, order, min_count=min_count, max_size=max_size, normalize=normalize)

    @classmethod
    def from_counts(
        cls,
        counts: npt.NDArray[np.int64],
        order: Sequence[int],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        normalize: Normalization = "none",
    ) -> Vocabulary:
        """Do the same as `build`, with what `count_characters` returned for the texts."""
        kept = [point for point in order if counts[point] >= min_count]
        if max_size is not None and len(kept) > max_size:
            frequent = set(sorted(kept, key=lambda point: -counts[point])[:max_size])
            kept = [point for point in kept if point in frequent]
        if len(kept) < 2:
            raise InputError(
                f"the training split has {len(kept)} different characters that occur at least vocab.min_count ="
                f" {min_count} times, but a model needs at least two; lower vocab.min_count or add text"
            )
        return cls(tuple(map(chr, kept)), tuple(int(counts[point]) for point in kept), normalize)

    def normalized(self, text: str) -> str:
        """The text, normalized in the same way as the training split."""
        return normalized(text, self.normalize)

    def encode(self, text: str) -> Codes:
        """The ids of a text's characters. A character that is not in the vocabulary becomes `<unk>`."""
        return np.take(self._ids, code_points(text))  # half as slow as indexing

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids. `<eos>` becomes a newline, and `<unk>` becomes U+FFFD, the replacement character."""
        symbols = (*self.characters, "\n", "\N{REPLACEMENT CHARACTER}")
        return "".join(symbols[index] for index in ids)

    def to_json(self) -> dict[str, object]:
        """The vocabulary as vocab.json and model.json store it."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "normalize": self.normalize,
            "characters": [list(pair) for pair in zip(self.characters, self.counts, strict=True)],
            "specials": [EOS, UNK],
        }

    @classmethod
    def from_json(cls, value: object, where: str) -> Vocabulary:
        """The inverse of `to_json`. Raises InputError if the value is not a vocabulary.

        `where` is the name of the file in the message.
        """
        if not isinstance(value, dict) or value.get("specials") != [EOS, UNK]:
            raise InputError(f"{where}: not a vocabulary with the specials {EOS}, {UNK}")
        pairs = value.get("characters")
        if not (isinstance(pairs, list) and pairs and all(map(_is_counted_character, pairs))):
            raise InputError(f"{where}: characters must be a list of [character, count]")
        characters = tuple(character for character, _ in pairs)
        if len(set(characters)) < len(characters):
            raise InputError(f"{where}: a character appears twice")
        normalize = value.get("normalize", "none")  # an older file lacks this entry, and its text was not normalized
        if normalize not in get_args(Normalization):
            raise InputError(f"{where}: normalize must be one of {', '.join(get_args(Normalization))}")
        return cls(characters, tuple(count for _, count in pairs), normalize)

    def save(self, path: Path) -> None:
        """Write vocab.json."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read vocab.json. Raises InputError if the file is missing or damaged."""
        return cls.from_json(read_json(path, kind=FORMAT, version=VERSION), str(path))

    def to_torchtext(self) -> Any:
        """A torchtext.vocab.Vocab with the same ids. It also maps an unknown character to `<unk>`.

        Raises InputError if torchtext is not installed.
        """
        counter = dict(zip(self.characters, self.counts, strict=True))
        vocab = load_torchtext().vocab.vocab(counter, min_freq=0, specials=[EOS, UNK], special_first=False)
        vocab.set_default_index(self.unk)
        return vocab

    @classmethod
    def from_torchtext(cls, vocab: Any, counter: Mapping[str, int]) -> Vocabulary:
        """A vocabulary with the same ids as a torchtext.vocab.Vocab.

        `counter` is the counter from which `vocab` was made. It is needed because `vocab` does not keep the counts. The
        tokens must be single characters. The only other tokens allowed are `<eos>` and `<unk>` after the characters.
        Raises InputError if there are others, because the ids could not stay the same.
        """
        tokens = vocab.get_itos()
        characters = tokens[:-2] if tokens[-2:] == [EOS, UNK] else tokens
        if longer := [token for token in characters if len(token) != 1]:
            raise InputError(
                f"torchtext's vocabulary has the token {longer[0]!r}; its tokens must be single characters, with only"
                f" {EOS}, {UNK} after them"
            )
        return cls(tuple(characters), tuple(counter.get(character, 0) for character in characters))


def count_characters(texts: Iterable[str]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Count each Unicode code point in the texts. Also returns the code points in order of first occurrence."""
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    order: list[int] = []
    for chunk in chunked(texts, len, COUNTED_AT_ONCE):
        points = code_points("".join(chunk))
        if points.size:
            _note_new(points, counts, order)
            counts[: int(points.max()) + 1] += np.bincount(points)
    return counts, order


def chunked(items: Iterable[Item], size: Callable[[Item], int], symbols: int = 1 << 20) -> Iterator[list[Item]]:
    """Group items into lists. Each list except the last contains at least `symbols` symbols.

    `size` returns the number of symbols in an item. The default is enough for fast array operations, and small compared
    with the memory.
    """
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
    """Append to `order` the code points whose count is still zero, in order of first occurrence."""
    new = points[np.take(counts, points) == 0]
    if new.size:
        values, first = np.unique(new, return_index=True)
        order.extend(int(value) for value in values[np.argsort(first)])


def _is_counted_character(pair: object) -> bool:
    return (
        isinstance(pair, Sequence)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and len(pair[0]) == 1
        and type(pair[1]) is int  # not isinstance, because True is an instance of int
        and pair[1] >= 0
    )
