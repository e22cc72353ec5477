"""Reads the files of a user's corpus (.txt, .csv, .tsv, .jsonl, .parquet), one article at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, Any

from charloom.corpus.articles import MAX_CHARACTERS, check_text, csv_rows
from charloom.corpus.intake import ClassedText
from charloom.corpus.lines import PIECE_BYTES, REPLACE, cut_text, read_lines, read_pieces
from charloom.errors import InputError
from charloom.files import not_utf8

Column = int | str  # a number, from 1, if the table has no header line; otherwise a name
CUT_REMEDY = "set data.article_end: 1000 to cut the text into articles of at most so many characters"
Reader = Callable[[IO[bytes], str, "TableColumns"], Iterator[ClassedText]]  # of a file, its name in messages, columns


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table are read, and how: data.text_columns, class_column, article_end and errors."""

    text_columns: Sequence[Column]
    class_column: Column | None
    article_end: str | int
    errors: str

    @property
    def all(self) -> list[Column]:
        """The text columns, and after them the class column if there is one."""
        return [*self.text_columns, *([] if self.class_column is None else [self.class_column])]


def read_txt(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a text file. data.article_end says where an article ends."""
    if isinstance(columns.article_end, int):
        numbered = cut_text(read_pieces(file, name, columns.errors, REPLACE), columns.article_end)
    else:
        numbered = _separated(file, name, columns)
    for number, text in numbered:
        yield None, _checked(text, f"{name}:{number}")


def _separated(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[tuple[int, str]]:
    """The articles of a text file that end at a blank line or a line end, each with the number of its first line."""
    lines: list[str] = []  # the lines of the present article so far
    first = size = 0  # the number of the first of these lines, and the number of characters in them
    before = ""
    for number, line in chain(read_lines(file, name, columns.errors, f"; {CUT_REMEDY}"), [(0, "")]):
        doubled = line == "\r\n" and before.endswith("\r")  # \r\r\n is one line end, which Windows writes for \r\n
        before, text = line, line.rstrip("\r\n")
        if doubled:
            continue
        if text.strip():
            first, size = (first, size) if lines else (number, 0)
            lines.append(text)
            size += len(text)
            if size > MAX_CHARACTERS:
                raise InputError(
                    f"{name}:{first}: no blank line in {size} characters; set data.article_end: line, or {CUT_REMEDY}"
                )
        if lines and (columns.article_end == "line" or not text.strip()):
            yield first, "\n".join(lines)
            lines.clear()


def read_csv(file: IO[bytes], name: str, columns: TableColumns, delimiter: str = ",") -> Iterator[ClassedText]:
    """Read a CSV table, each row an article. The first line is a header, unless the columns are given by numbers."""
    rows = csv_rows((line for _, line in read_lines(file, name, columns.errors)), name, delimiter)
    first = next(rows, None)
    if first is None:
        return
    line, header = first
    if isinstance(columns.text_columns[0], str):
        indices = [_index(header, str(column), name) for column in columns.all]
    else:
        indices = [int(column) - 1 for column in columns.all]
        if max(indices) >= len(header):
            raise InputError(
                f"{name}:{line}: {len(header)} columns, but params.yaml asks for column {max(indices) + 1}; if the"
                " first line names the columns, set data.text_columns to names, such as [text]"
            )
        rows = chain([first], rows)
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{name}:{line}: {len(row)} columns, but the first row has {len(header)}")
        yield _article([row[index] for index in indices], columns, f"{name}:{line}")


def read_jsonl(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a file with a JSON object on each line. The columns name fields of the objects."""
    for number, line in read_lines(file, name, columns.errors):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}:{number}: not JSON: {getattr(error, 'msg', error)}") from None
        if not isinstance(row, dict):
            raise InputError(f'{name}:{number}: not an object such as {{"text": "…"}}')
        for column in columns.all:
            if column not in row:
                raise InputError(f"{name}:{number}: {_no_column(column, row)}")
        yield _article([row[str(column)] for column in columns.all], columns, f"{name}:{number}")


def read_parquet(file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a Parquet table, each row an article. The file must be seekable."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(file)
        found = metadata.schema.to_arrow_schema().names
        for column in columns.all:
            if column not in found:
                raise InputError(f"{name}: {_no_column(column, found)}")
        read = [str(column) for column in columns.all]
        # With read_dictionary, memory holds a value that many rows share once, as the file does.
        opened = parquet.ParquetFile(file, metadata=metadata, read_dictionary=read)
        number = 0
        for batch in opened.iter_batches(batch_size=1024, columns=read):
            for values in zip(*(batch.column(column) for column in read), strict=True):
                number += 1
                place = f"{name}: row {number}"
                yield _article([_python_value(value, place, columns.errors) for value in values], columns, place)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the operating system's error; the content of the file did not cause it
            raise
        raise InputError(f"{name}: not readable as Parquet: {error}") from None


def _cut_rows(read: Reader, file: IO[bytes], name: str, columns: TableColumns) -> Iterator[ClassedText]:
    """Read a table. If data.article_end is a number, the text of a row is cut into several articles of its class."""
    for class_name, text in read(file, name, columns):
        if isinstance(columns.article_end, int) and len(text) > columns.article_end:
            for _, article in cut_text(_pieces(text), columns.article_end):
                yield class_name, article
        else:
            yield class_name, text


def _pieces(text: str) -> Iterator[str]:
    return (text[begin : begin + PIECE_BYTES] for begin in range(0, len(text), PIECE_BYTES))


READERS: Mapping[str, Reader] = {
    ".txt": read_txt,
    ".csv": partial(_cut_rows, read_csv),
    ".tsv": partial(_cut_rows, partial(read_csv, delimiter="\t")),
    ".jsonl": partial(_cut_rows, read_jsonl),
    ".parquet": partial(_cut_rows, read_parquet),
}


def _article(values: Sequence[object], columns: TableColumns, place: str) -> ClassedText:
    """The article of a row. `values` are the values of `columns.all`.

    The texts of several columns are joined by a space. A null is left out.
    """
    texts = values[: len(columns.text_columns)]
    for column, value in zip(columns.text_columns, texts, strict=True):
        if not (value is None or isinstance(value, str)):
            raise InputError(f"{place}: column {column!r} contains {type(value).__name__}, not text")
    text = " ".join(text for text in texts if isinstance(text, str))
    if columns.errors == "replace":  # an escape in JSON, such as \ud800, can give a lone surrogate
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _class_name(values[-1], columns, place), _checked(text, place)


def _class_name(value: object, columns: TableColumns, place: str) -> str | None:
    if columns.class_column is None:
        return None
    if isinstance(value, (str, int)) and (named := str(value).strip()):
        return _checked(named, place)
    raise InputError(f"{place}: column {columns.class_column!r} contains {value!r:.40}, which is not a class name")


def _checked(text: str, place: str) -> str:
    check_text(text, place)
    return text


def _python_value(value: Any, place: str, errors: str) -> object:
    """An Arrow value as a Python value. Arrow does not check that its strings are UTF-8, so this function checks it."""
    import pyarrow as pa

    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    if isinstance(value, (pa.StringScalar, pa.LargeStringScalar, pa.StringViewScalar)) and value.is_valid:
        try:
            return value.as_buffer().to_pybytes().decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise not_utf8(place, error, remedy=f"convert the text to UTF-8, or set {REPLACE}") from None
    return value.as_py()


def _index(header: Sequence[str], column: str, name: str) -> int:
    if column not in header:
        raise InputError(f"{name}:1: {_no_column(column, header)}")
    return header.index(column)


def _no_column(column: Column, found: Iterable[str]) -> str:
    return (
        f"no column {column!r}, the columns are {', '.join(found):.200}; correct data.text_columns or data.class_column"
    )
