"""Reads the files of a user's corpus (.txt, .csv, .tsv, .jsonl, .parquet), one article at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import IO

from charloom.corpus.articles import MAX_CHARACTERS, check_text, csv_rows, is_empty
from charloom.corpus.contents import JSON_ARRAY
from charloom.corpus.guesses import head
from charloom.corpus.headers import find_columns, no_column, wrong_width
from charloom.corpus.intake import ClassedText
from charloom.corpus.labels import class_name
from charloom.corpus.lines import PIECE_BYTES, REPLACE, cut_text, read_lines, read_pieces
from charloom.corpus.parquet_tables import parquet_columns, parquet_rows
from charloom.corpus.settings import TableColumns
from charloom.errors import InputError

TableRow = tuple[str, Sequence[object]]  # the place of a row in messages, and the cells of TableColumns.all
Reader = Callable[[IO[bytes], str, TableColumns], Iterator[ClassedText]]  # of a file, its name in messages, columns


def read_txt(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a text file. data.article_end says where an article ends."""
    if isinstance(columns.article_end, int):
        numbered = cut_text(read_pieces(file, name, columns.errors, columns.naming.replace), columns.article_end)
    else:
        numbered = _separated(file, name, columns)
    for number, text in numbered:
        yield None, _checked(text, f"{name}:{number}")


def _separated(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[tuple[int, str]]:
    """The articles of a text file that end at a blank line or a line end, each with the number of its first line."""
    lines: list[str] = []  # the lines of the present article so far
    first = size = 0  # the number of the first of these lines, and the number of characters in them
    before = ""
    numbered = read_lines(file, name, columns.errors, columns.naming.replace, f"; {columns.naming.cut}")
    for number, line in chain(numbered, [(0, "")]):
        doubled = line == "\r\n" and before.endswith("\r")  # \r\r\n is one line end, which Windows writes for \r\n
        before, text = line, line.rstrip("\r\n")
        if doubled:
            continue
        if text.strip():
            first, size = (first, size) if lines else (number, 0)
            lines.append(text)
            size += len(text)
            if size > MAX_CHARACTERS:
                remedy = f"{columns.naming.lines}, or {columns.naming.cut}"
                raise InputError(f"{name}:{first}: no blank line in {size} characters; {remedy}")
        if lines and (columns.article_end == "line" or not text.strip()):
            yield first, "\n".join(lines)
            lines.clear()


def read_csv(file: IO[bytes], name: str, columns: TableColumns, delimiter: str = ",") -> Iterator[ClassedText]:
    """Read a CSV table, each row an article. The first line is a header if the columns are names.

    Raises InputError if the first rows show that this is wrong (`find_columns` in headers.py).
    """
    lines = read_lines(file, name, columns.errors, columns.naming.replace)
    rows = csv_rows((line for _, line in lines), name, delimiter)
    if not (first := head(rows)):
        return
    line, names = first[0]
    place = f"{name}:{line}"
    indices = find_columns([row for _, row in first], columns, place, delimiter)
    header = names if columns.begin_with_header else None
    below = chain(first[1:] if header else first, rows)
    yield from _articles(_chosen_cells(below, indices, len(names), header, name), columns)


def _chosen_cells(
    rows: Iterable[tuple[int, list[str]]], indices: Sequence[int], width: int, header: list[str] | None, name: str
) -> Iterator[TableRow]:
    for line, row in rows:
        if len(row) != width:
            raise InputError(f"{name}:{line}: {wrong_width(row, width)}")
        if row == header and width > 1:  # in a table with one column, it can be an article
            raise InputError(f"{name}:{line}: this line repeats the header; remove it")
        yield f"{name}:{line}", [row[index] for index in indices]


def read_jsonl(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a file with a JSON object on each line. The columns name fields of the objects."""
    return _articles(_chosen_fields(json_objects(file, name, columns.errors, columns.naming.replace), columns), columns)


def _chosen_fields(objects: Iterable[tuple[str, Mapping[str, object]]], columns: TableColumns) -> Iterator[TableRow]:
    for place, fields in objects:
        for column in columns.all:
            if column not in fields:
                raise InputError(f"{place}: {no_column(column, list(fields), columns.naming)}")
        yield place, [fields[str(column)] for column in columns.all]


def json_objects(
    file: IO[bytes], name: str, errors: str, option: str = REPLACE
) -> Iterator[tuple[str, dict[str, object]]]:
    """The JSON objects of a file, one on each line, with their places. Blank lines are skipped."""
    for number, line in read_lines(file, name, errors, option):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("["):
            raise InputError(f"{name}:1: this is {JSON_ARRAY.what}; {JSON_ARRAY.remedy}")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{name}:{number}: not JSON: {getattr(error, 'msg', error)}; each line must be an object"
            ) from None
        if not isinstance(value, dict):
            raise InputError(f'{name}:{number}: not an object such as {{"text": "…"}}')
        yield f"{name}:{number}", value


def read_parquet(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a Parquet table, each row an article. The file must be seekable."""
    found = parquet_columns(file, name)
    for column in columns.all:
        if column not in found:
            raise InputError(f"{name}: {no_column(column, list(found), columns.naming)}")
    names = [str(column) for column in columns.all]
    return _articles(parquet_rows(file, name, names, columns.errors, columns.naming.replace), columns)


def _cut_rows(read: Reader, file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a table. If data.article_end is a number, the text of a row is cut into several articles of its class."""
    for class_, text in read(file, name, columns):
        if isinstance(columns.article_end, int) and len(text) > columns.article_end:
            for _, article in cut_text(_pieces(text), columns.article_end):
                yield class_, article
        else:
            yield class_, text


def _pieces(text: str) -> Iterator[str]:
    return (text[begin : begin + PIECE_BYTES] for begin in range(0, len(text), PIECE_BYTES))


READERS: Mapping[str, Reader] = {
    ".txt": read_txt,
    ".csv": partial(_cut_rows, read_csv),
    ".tsv": partial(_cut_rows, partial(read_csv, delimiter="\t")),
    ".jsonl": partial(_cut_rows, read_jsonl),
    ".parquet": partial(_cut_rows, read_parquet),
}


def _articles(rows: Iterator[TableRow], columns: TableColumns) -> Iterator[ClassedText]:
    """The articles of a table's rows. `rows` have the cells of `columns.all`.

    Raises InputError if an article has no class although the table has a class column.
    """
    for place, cells in rows:
        text = _text(cells[: len(columns.text_columns)], columns, place)
        if columns.class_column is None:
            yield None, text
        elif named := _class_name(cells[-1], columns, place):
            yield named, text
        elif is_empty(text):  # a row without any cell, with which some programs end a table
            yield None, text
        else:
            raise _without_class(place, columns, [each[-1] for _, each in head(rows)])


def _text(cells: Sequence[object], columns: TableColumns, place: str) -> str:
    """The texts of several columns, joined by a space. A null is left out."""
    for column, value in zip(columns.text_columns, cells, strict=True):
        if not (value is None or isinstance(value, str)):
            raise InputError(
                f"{place}: column {column!r} contains {type(value).__name__}, not text; name columns of texts"
            )
    text = " ".join(text for text in cells if isinstance(text, str))
    if columns.errors == "replace":  # an escape in JSON, such as \ud800, can give a lone surrogate
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _checked(text, place)


def _class_name(cell: object, columns: TableColumns, place: str) -> str:
    named = class_name(cell)
    if named is None:
        raise InputError(
            f"{place}: column {columns.class_column!r} contains {cell!r:.40}, not a class name; name another column"
        )
    return _checked(named, place)


def _without_class(place: str, columns: TableColumns, following: Sequence[object]) -> InputError:
    """The error for an article without a class. `following` are the cells of the class column in the next rows."""
    others = sum(not class_name(cell) for cell in following)
    more = f", as in {others} of the next {len(following)} rows" * bool(others)
    return InputError(
        f"{place}: column {columns.class_column!r} contains no class{more}; fill in the class, remove such rows, or set"
        f" {columns.naming.value('class_column', None)} to use the texts without classes"
    )


def _checked(text: str, place: str) -> str:
    check_text(text, place)
    return text
