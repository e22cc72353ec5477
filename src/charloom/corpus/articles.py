"""What a corpus is: articles with a class, in train.csv and test.csv, and source.json that says where they are from."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charloom.errors import InputError
from charloom.files import read_json
from charloom.params import Normalization

SPLITS = ("train", "test")
FORMAT, VERSION = "charloom-source", 1

MAX_CLASS = 65535  # classes are stored as uint16
MAX_CHARACTERS = 1 << 26  # of one article, which memory holds whole
NOT_UTF8 = "convert the file to UTF-8, or set data.errors: replace"
COLUMNS = {2: "class, text", 3: "class, title, description"}

_SURROGATE = re.compile("[\ud800-\udfff]")

csv.field_size_limit(MAX_CHARACTERS)  # the module's default is 128 KiB


@dataclass(frozen=True, slots=True)
class Article:
    """One text of a corpus and its class, numbered from 1 as in AG_NEWS' files."""

    label: int
    text: str


def read_articles(path: Path, errors: str = "strict") -> Iterator[Article]:
    """The articles of a CSV file in AG_NEWS' layout: class, title, description, or class and text; no header.

    An article's text is title, one space, description, as torchtext joins them. Raises InputError with file and
    line where a row has another shape, or not the first one's, or where a byte is not UTF-8; with `errors` replace such
    a byte becomes U+FFFD.
    """
    columns = None
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            for line, row in csv_rows(file, str(path)):
                columns = columns or (2 if len(row) == 2 else 3)
                yield _article(row, columns, path, line)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}:{_first_bad_byte(path)} is not UTF-8; {NOT_UTF8}") from None


def csv_rows(lines: Iterable[str], name: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the number of the line in which it begins."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{name}:{line}: not a CSV row: {error}") from None
        if row:
            yield line, row


def _article(row: list[str], columns: int, path: Path, line: int) -> Article:
    if len(row) != columns:
        raise InputError(f"{path}:{line}: {len(row)} columns, expected {columns}: {COLUMNS[columns]}")
    if not (row[0].isascii() and row[0].isdigit() and len(row[0]) <= 5 and 1 <= int(row[0]) <= MAX_CLASS):
        raise InputError(
            f"{path}:{line}: class {row[0][:40]!r}, expected a number from 1 to {MAX_CLASS}{_header_hint(line)}"
        )
    text = " ".join(row[1:])
    check_text(text, f"{path}:{line}")
    return Article(int(row[0]), text)


def check_text(text: str, place: str) -> None:
    """Raise InputError, saying where, for a NUL, a lone surrogate, or more than MAX_CHARACTERS characters."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{place}: {len(text)} characters, more than {MAX_CHARACTERS}, which is no article")
    if "\0" in text:
        raise InputError(f"{place}: holds a NUL character, which no text has")
    if not text.isascii() and _SURROGATE.search(text):
        raise InputError(f"{place}: holds a lone surrogate, half of a character")


def normalized(text: str, form: Normalization) -> str:
    """A text in a normalization form of Unicode, or as it is."""
    return text if form == "none" else unicodedata.normalize(form, text)


def _header_hint(line: int) -> str:
    return "; a header line is read where data.text_columns has names" if line == 1 else ""


def _first_bad_byte(path: Path) -> str:
    """The line, offset and value of the first byte that is not UTF-8."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{number}: byte {offset + error.start} (0x{line[error.start]:02x})"
            offset += len(line)
    raise AssertionError(f"{path} changed while it was read")


def read_source(folder: Path) -> dict[str, Any]:
    """What source.json beside the raw files says: `source`, `classes`, and for each split its digests."""
    return read_json(folder / "source.json", kind=FORMAT, version=VERSION)
