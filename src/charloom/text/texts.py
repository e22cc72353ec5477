"""Prepares the text that a user gives to a command: cut into lines, as ids.

A text comes in pieces, so that memory does not grow with the text. A piece may begin and end anywhere in the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from charloom.errors import warn
from charloom.text.vocab import Codes, Vocabulary, code_points


def encode(vocabulary: Vocabulary, text: str) -> Codes:
    """The ids of a text. A newline becomes `<eos>`, unless the vocabulary has the newline as a character."""
    ids = vocabulary.encode(text)
    if "\n" not in vocabulary.characters:
        ids[code_points(text) == ord("\n")] = vocabulary.eos
    return ids


def framed(vocabulary: Vocabulary, text: str) -> Codes:
    """The ids of a text to score, with `<eos>` before and after the text. A newline is like any other character."""
    return np.pad(vocabulary.encode(text), 1, constant_values=vocabulary.eos)


def unknown(vocabulary: Vocabulary, text: str) -> Counter[str]:
    """How often each character that `encode` turns into `<unk>` occurs in the text."""
    return Counter(map(chr, code_points(text)[encode(vocabulary, text) == vocabulary.unk]))


def name_unknown(characters: Counter[str]) -> str:
    """A message about unknown characters, the most frequent first: `'é' (2), '日' (1) and 3 more`."""
    named = [f"{character!r} ({times})" for character, times in characters.most_common(10)]
    more = len(characters) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def warn_of_unknown(characters: Counter[str], where: str) -> None:
    """If there are characters that are not in the vocabulary, print a warning that names them to stderr.

    `where` says in what they occur: the name of a file, of an option or of a parameter.
    """
    if characters:
        named = name_unknown(characters)
        warn(f"{where}: some characters are not in the vocabulary and are read as <unk>: {named}")


def cut_lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in pieces. Blank lines are left out."""
    for lines in _whole_lines(pieces):
        yield from (line for line in lines.split("\n") if line.strip())


def normalized_pieces(vocabulary: Vocabulary, pieces: Iterable[str]) -> Iterator[str]:
    """Normalize a text that comes in pieces.

    The normalized pieces end after a newline, because normalization never combines a newline with another character.
    """
    if vocabulary.normalize == "none":
        yield from pieces
        return
    yield from map(vocabulary.normalized, _whole_lines(pieces))


def _whole_lines(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in other pieces. Each piece ends after a newline, except the last one."""
    begun: list[str] = []  # the parts of the text after the last newline
    for piece in pieces:
        ended, newline, last = piece.rpartition("\n")
        if newline:
            yield "".join([*begun, ended, newline])
            begun.clear()
        begun.append(last)
    if whole := "".join(begun):
        yield whole


def without_last_newline(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a text without the newline at its end, if there is one."""
    newline = ""  # the newline at the end of the pieces so far, which is written only if more text follows
    for piece in pieces:
        text = newline + piece
        newline = "\n" if text.endswith("\n") else ""
        yield text.removesuffix("\n")
