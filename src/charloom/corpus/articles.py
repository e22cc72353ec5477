"""A corpus on disk: train.csv and test.csv with the articles, and source.json, which says where they come from.

Stage download writes these three files to data/raw. In a CSV file, each row is an article: a label, which is the number
of the class from 1, and the text in one or two columns. Outside this folder, a class has a class id, from 0.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charloom.corpus.encodings import HEAD_BYTES, check_head
from charloom.corpus.lines import read_lines
from charloom.errors import InputError
from charloom.files import read_json
from charloom.params import CorpusForm, Normalization
from charloom.secrets import with_no_secrets

SPLITS = ("train", "test")
FORMAT, VERSION = "charloom-source", 1

MAX_LABEL = 65535  # class ids (label - 1) are stored as uint16, in which 65535 means an unknown class
MAX_CHARACTERS = 1 << 26  # in an article, because memory must hold a whole article
# The form of AG_NEWS, and of the files that stage download writes
AG_NEWS_FORM = CorpusForm(text_columns=[2, 3], class_column=1, header="auto", article_end="blank_line", errors="strict")
AG_NEWS_COLUMNS = AG_NEWS_FORM.class_column, AG_NEWS_FORM.text_columns
COLUMNS = {2: "class, text", 3: "class, title, description"}

_SURROGATE = re.compile("[\ud800-\udfff]")

csv.field_size_limit(MAX_CHARACTERS)  # the module's default is 128 KiB


@dataclass(frozen=True, slots=True)
class Article:
    """An article of a corpus: its text and its class.

    `label` is the number of the class in the CSV files, from 1 as in AG_NEWS. The class id is `label - 1`.
    """

    label: int
    text: str


class LabelError(InputError):
    """The class of a row is not a number from 1 to MAX_LABEL."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """A part of a CSV file that begins at the beginning of a row and ends at the end of a row.

    ranges.py divides a file into such parts, so that several processes can read one file.
    """

    path: Path
    begin: int  # offset in bytes
    end: int
    articles: int
    columns: int


def read_articles(path: Path, errors: str = "strict") -> Iterator[Article]:
    """Read the articles of a CSV file in the form of AG_NEWS: no header, each row `class, title, description`.

    A file in which all rows have the form `class, text` is read too. Title and description are joined by a space, as in
    torchtext. If `errors` is "replace", each byte that is not UTF-8 becomes U+FFFD.

    Raises InputError with the file and the line if a row has another form, or if a byte is not UTF-8. If only the class
    is wrong, this is a LabelError.
    """
    columns = None
    with open_csv(path, errors) as file:
        for line, row in csv_rows(file, str(path)):
            columns = columns or columns_of(row)
            yield _article(row, columns, path, line)


def read_range(rows: RowRange) -> list[Article]:
    """Read the articles of a range. Raises the same InputError as `read_articles` if a row is wrong."""
    with rows.path.open("rb") as file:
        file.seek(rows.begin)
        data = io.BytesIO(file.read(rows.end - rows.begin))
    try:
        lines = csv_rows(io.TextIOWrapper(data, encoding="utf-8", newline=""), str(rows.path))
        articles = [_article(row, rows.columns, rows.path, line) for line, row in lines]
    except (InputError, UnicodeDecodeError):
        raise first_error(rows.path) from None
    if len(articles) != rows.articles:
        raise _changed(rows.path)
    return articles


@contextmanager
def open_csv(path: Path, errors: str = "strict") -> Iterator[IO[str]]:
    """Open a CSV file as text. Raises InputError if it is missing or no text, or if the block reads a wrong byte."""
    try:
        with path.open("rb") as binary:
            check_head(binary.peek(HEAD_BYTES)[:HEAD_BYTES], str(path))
            yield io.TextIOWrapper(binary, encoding="utf-8-sig", errors=errors, newline="")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise _first_bad_byte(path) from None


def columns_of(first_row: list[str]) -> int:
    """The number of columns that every row of a file must have, if this is the file's first row."""
    return 2 if len(first_row) == 2 else 3


def csv_rows(lines: Iterable[str], name: str, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its first line. Blank lines are skipped."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{name}:{line}: not a CSV row: {error}; {_quotes_remedy(delimiter)}") from None
        if delimiter == "\t" and any(map(_contains_rows, row)):
            raise InputError(f"{name}:{line}: a quotation mark seems to join several rows; {_quotes_remedy(delimiter)}")
        if row:
            yield line, row


def _contains_rows(cell: str) -> bool:
    """Whether a cell seems to contain further rows of a table with tabs, because it begins with a quotation mark."""
    return "\n" in cell and all("\t" in line.strip() for line in cell.split("\n")[1:])


def _quotes_remedy(delimiter: str) -> str:
    if delimiter == "\t":
        command = command_to_csv(r"\t", ", quoting=csv.QUOTE_NONE")
        return f"if the quotation marks are part of the texts, convert the file: {command}"
    return "inside a text between quotation marks, write each quotation mark twice"


def command_to_csv(delimiter: str, options: str = "") -> str:
    """A command that converts a table to CSV. `delimiter` and `options` are arguments of csv.reader, as code."""
    rows = f'csv.reader(sys.stdin, delimiter="{delimiter}"{options})'
    return f"`python -c 'import csv, sys; csv.writer(sys.stdout).writerows({rows})' < OLD > NEW.csv`"


def _article(row: list[str], columns: int, path: Path, line: int) -> Article:
    if len(row) != columns:
        raise InputError(f"{path}:{line}: {len(row)} columns, expected {columns}: {COLUMNS[columns]}")
    if not (row[0].isascii() and row[0].isdigit() and len(row[0]) <= 5 and 1 <= int(row[0]) <= MAX_LABEL):
        raise LabelError(f"{path}:{line}: class {row[0][:40]!r}, expected a number from 1 to {MAX_LABEL}")
    text = " ".join(row[1:])
    if fault := _fault_of(text):
        raise InputError(f"{path}:{line}: {fault}")
    return Article(int(row[0]), text)


def check_text(text: str, place: str) -> None:
    """Raise InputError if a text is too long or contains a NUL or a lone surrogate.

    `place` is the name of the text in the message, such as the file and the line.
    """
    if fault := _fault_of(text):
        raise InputError(f"{place}: {fault}")


def _fault_of(text: str) -> str | None:
    """Why a text cannot be an article; None if it can."""
    if len(text) > MAX_CHARACTERS:
        return f"{len(text)} characters, but an article may have at most {MAX_CHARACTERS}"
    if "\0" in text:
        return "contains a NUL character; remove it"
    if not text.isascii() and _SURROGATE.search(text):
        return "contains a lone surrogate, which is half of a character; remove it"
    return None


def is_empty(text: str) -> bool:
    """Whether a text consists of whitespace only. Such a text is not an article: nothing in it can be predicted."""
    return not text.strip()


def normalized(text: str, form: Normalization) -> str:
    """The text in a Unicode normalization form; unchanged if the form is "none"."""
    return text if form == "none" else unicodedata.normalize(form, text)


def _first_bad_byte(path: Path) -> InputError:
    """The error for the first byte of a file that is not UTF-8."""
    try:
        with path.open("rb") as file:
            for _ in read_lines(file, str(path)):
                pass
    except InputError as error:
        return error
    raise _changed(path)


def first_error(path: Path) -> InputError:
    """The error for the first wrong row of a file. Only reading from the file's beginning counts the lines."""
    try:
        for _ in read_articles(path):
            pass
    except InputError as error:
        return error
    raise _changed(path)


def _changed(path: Path) -> AssertionError:
    return AssertionError(f"{path} changed while it was read")


def read_source(folder: Path) -> dict[str, Any]:
    """Read source.json: `source` (data.source), `classes` (the class names, by class id), `train` and `test`.

    `train` and `test` are objects with the origin of the split, the number of its articles and bytes, and its digests.
    """
    stated = read_json(folder / "source.json", kind=FORMAT, version=VERSION)
    # A folder that an earlier version of charloom made can state a password.
    return {**stated, **with_no_secrets({name: stated[name] for name in ("source", *SPLITS) if name in stated})}
