"""Reads bytes as UTF-8 text, in lines or in pieces. A line ends with \\n, \\r\\n or \\r, as in `charloom score`.

No other character ends a line, because U+2028, U+0085 or a form feed may be part of an article.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from charloom.corpus.encodings import HEAD_BYTES, check_head, wrong_byte
from charloom.errors import InputError

PIECE_BYTES = 1 << 16
MAX_LINE_BYTES = 1 << 26  # because memory must hold a whole line
REPLACE = "data.errors: replace"


def read_lines(
    file: IO[bytes], name: str, errors: str = "strict", option: str = REPLACE, if_too_long: str = ""
) -> Iterator[tuple[int, str]]:
    """The number (from 1) and the text of each line, with its line end. A byte order mark is left out.

    `errors` is data.errors. Raises InputError with the file's name and the line's number if a byte is not UTF-8, or if
    a line is too long. `option` is the setting that replaces such bytes, if there is one, and `if_too_long` is the end
    of the second message.
    """
    offset = 0
    beyond_ascii = False
    # In Latin-1, a character is a byte. So the wrapper finds the line ends in bytes, and the offset of a byte is known.
    wrapped = io.TextIOWrapper(file, encoding="latin-1", newline="")
    lines = iter(lambda: wrapped.readline(MAX_LINE_BYTES + 1).encode("latin-1"), b"")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                f"{name}:{number}: the line has more than {MAX_LINE_BYTES} bytes, too many for an article{if_too_long}"
            )
        try:
            text = line.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            place = f"{name}:{number}"
            raise wrong_byte(place, error, offset, utf8_before=beyond_ascii, option=option) from None
        yield number, text.removeprefix("\ufeff") if number == 1 else text
        offset += len(line)
        beyond_ascii = beyond_ascii or not line.isascii()


def read_pieces(file: IO[bytes], name: str, errors: str = "strict", option: str = "") -> Iterator[str]:
    r"""Read UTF-8 text in pieces of about PIECE_BYTES. Each line end (\n, \r\n, \r) becomes a newline.

    A byte order mark is left out. Raises InputError if the file is not text, or if a byte is not UTF-8. `name` is the
    name of the file in the message, and `option` is the setting that replaces such bytes, if there is one.
    """
    pieces = _decoded(file, name, errors, option)
    if first := next(pieces, "").removeprefix("\ufeff"):
        yield first
    yield from pieces


def _decoded(file: IO[bytes], name: str, errors: str, option: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    offset, beyond_ascii = 0, False
    while True:
        data = file.read(PIECE_BYTES)
        if not offset:
            check_head(data[:HEAD_BYTES], name)
        begin = offset - len(decoder.getstate()[0])  # the decoder keeps the bytes of an incomplete character
        try:
            piece = lines.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise wrong_byte(name, error, begin, utf8_before=beyond_ascii, option=option) from None
        if piece:
            yield piece
        if not data:
            return
        offset, beyond_ascii = offset + len(data), beyond_ascii or not piece.isascii()


def cut_text(pieces: Iterable[str], longest: int) -> Iterator[tuple[int, str]]:
    """Cut a text into articles of at most `longest` characters (2 or more), each with the number of its first line.

    An article ends at the last blank line in the second half of these characters. If there is none, it ends at the last
    line end there, or else at the last white space there, or else it has `longest` characters. White space at a cut and
    at both ends of the text is dropped, and nothing else. The sizes of the pieces do not matter.
    """
    line, text = 1, ""
    for piece in chain(pieces, [None]):  # None: the text has ended
        text += piece or ""
        while True:
            blank = len(text) - len(text.lstrip())
            line, text = line + text.count("\n", 0, blank), text[blank:]
            if not text or (len(text) <= longest and piece is not None):
                break
            end = _end(text, longest)
            yield line, text[:end].rstrip()
            line, text = line + text.count("\n", 0, end), text[end:]


def _end(text: str, longest: int) -> int:
    """The number of characters before the first cut of a text."""
    if len(text) <= longest:
        return len(text)
    half = longest // 2
    for line_end in ("\n\n", "\n"):
        if (found := text.rfind(line_end, half, longest + 1)) > 0:
            return found
    return next((place for place in range(longest, half, -1) if text[place].isspace()), longest)
