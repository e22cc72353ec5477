"""A user's own text: read in pieces, cut into texts, encoded."""

from __future__ import annotations

import codecs
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from charloom.errors import InputError
from charloom.text.vocab import Codes, Vocabulary, code_points

PIECE_BYTES = 1 << 16


def encode(vocabulary: Vocabulary, text: str) -> Codes:
    """The ids of a text; a newline is `<eos>`, unless it is one of the vocabulary's characters."""
    ids = vocabulary.encode(text)
    if "\n" not in vocabulary.characters:
        ids[code_points(text) == ord("\n")] = vocabulary.eos
    return ids


def framed(vocabulary: Vocabulary, text: str) -> Codes:
    """The ids of a text as it is scored: between two `<eos>`, a newline inside as any character."""
    return np.pad(vocabulary.encode(text), 1, constant_values=vocabulary.eos)


def unknown(vocabulary: Vocabulary, text: str) -> Counter[str]:
    """The characters that `encode` makes `<unk>`, and how often each stands in the text."""
    return Counter(map(chr, code_points(text)[encode(vocabulary, text) == vocabulary.unk]))


def name_unknown(characters: Counter[str]) -> str:
    """Unknown characters in words, the commonest first: `'é' (2), '日' (1) and 3 more`."""
    named = [f"{character!r} ({times})" for character, times in characters.most_common(10)]
    more = len(characters) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def read_pieces(stream: IO[bytes], name: str) -> Iterator[str]:
    """UTF-8 text in pieces of at most PIECE_BYTES, every line end as a newline; `name` is the file's, for messages.

    Raises InputError where a byte is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    offset = 0
    while True:
        data = stream.read(PIECE_BYTES)
        begin = offset - len(decoder.getstate()[0])  # it holds back the first bytes of a character
        try:
            piece = lines.decode(data, final=not data)
        except UnicodeDecodeError as error:
            place = f"byte {begin + error.start} (0x{error.object[error.start]:02x})"
            raise InputError(f"{name}: {place} is not UTF-8; convert the text to UTF-8") from None
        if piece:
            yield piece
        if not data:
            return
        offset += len(data)


def cut_lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in pieces, blank ones left out."""
    rest: list[str] = []
    for piece in pieces:
        *ended, last = piece.split("\n")
        for line in ended:
            rest.append(line)
            whole = "".join(rest)
            rest.clear()
            if whole.strip():
                yield whole
        rest.append(last)
    if (whole := "".join(rest)).strip():
        yield whole


def normalized_pieces(vocabulary: Vocabulary, pieces: Iterable[str]) -> Iterator[str]:
    """The normalized text of a text that comes in pieces, cut behind a newline, which composes with no character."""
    if vocabulary.normalize == "none":
        yield from pieces
        return
    rest: list[str] = []
    for piece in pieces:
        ended, newline, last = piece.rpartition("\n")
        if newline:
            yield vocabulary.normalized("".join([*rest, ended, newline]))
            rest.clear()
        rest.append(last)
    if whole := "".join(rest):
        yield vocabulary.normalized(whole)


def without_last_newline(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text less the newline that ends its last line."""
    held = ""
    for piece in pieces:
        text = held + piece
        held = "\n" if text.endswith("\n") else ""
        yield text.removesuffix("\n")
