"""A user's own files as articles: .txt, .csv, .tsv, .jsonl and .parquet, read one article at a time."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, Any

from charloom.corpus.articles import MAX_CHARACTERS, NOT_UTF8, check_text, csv_rows
from charloom.corpus.intake import Labelled
from charloom.errors import InputError

Column = int | str  # a number from 1 in a file whose first line is data already, else a name
Read = Callable[[IO[bytes], str, "TableColumns"], Iterator[Labelled]]


@dataclass(frozen=True)
class TableColumns:
    """How files are read: data.text_columns, data.class_column, data.article_end and data.errors."""

    text_columns: Sequence[Column]
    class_column: Column | None
    article_end: str
    errors: str

    @property
    def columns(self) -> list[Column]:
        """The columns of the text and, where articles have classes, that of the class behind them."""
        return [*self.text_columns, *([] if self.class_column is None else [self.class_column])]


def read_txt(file: IO[bytes], name: str, layout: TableColumns) -> Iterator[Labelled]:
    """Articles that end at a blank line, or at the end of each line."""
    held: list[str] = []
    begin = size = 0
    for number, line in chain(_lines(file, name, layout.errors), [(0, "")]):
        text = line.rstrip("\r\n")
        if text.strip():
            begin, size = (begin, size) if held else (number, 0)
            held.append(text)
            size += len(text)
            if size > MAX_CHARACTERS:
                raise InputError(f"{name}:{begin}: no blank line for {size} characters; set data.article_end: line")
        if held and (layout.article_end == "line" or not text.strip()):
            yield None, _checked("\n".join(held), f"{name}:{begin}")
            held.clear()


def read_csv(file: IO[bytes], name: str, layout: TableColumns, delimiter: str = ",") -> Iterator[Labelled]:
    """A row an article; the first line has the names of the columns, unless params.yaml gives numbers."""
    rows = csv_rows((line for _, line in _lines(file, name, layout.errors)), name, delimiter)
    first = next(rows, None)
    if first is None:
        return
    line, header = first
    if isinstance(layout.text_columns[0], str):
        places = [_place(header, str(column), name) for column in layout.columns]
    else:
        places = [int(column) - 1 for column in layout.columns]
        if max(places) >= len(header):
            raise InputError(
                f"{name}:{line}: {len(header)} columns, but params.yaml asks for column {max(places) + 1}; where the"
                " first line names the columns, set data.text_columns to names, as in [text]"
            )
        rows = chain([first], rows)
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{name}:{line}: {len(row)} columns, the first row has {len(header)}")
        yield _article([row[place] for place in places], layout, f"{name}:{line}")


def read_jsonl(file: IO[bytes], name: str, layout: TableColumns) -> Iterator[Labelled]:
    """A JSON object a line, whose fields the columns name."""
    for number, line in _lines(file, name, layout.errors):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}:{number}: not JSON: {getattr(error, 'msg', error)}") from None
        if not isinstance(row, dict):
            raise InputError(f'{name}:{number}: not an object, as in {{"text": "…"}}')
        for column in layout.columns:
            if column not in row:
                raise InputError(f"{name}:{number}: {_no_column(column, row)}")
        yield _article([row[str(column)] for column in layout.columns], layout, f"{name}:{number}")


def read_parquet(file: IO[bytes], name: str, layout: TableColumns) -> Iterator[Labelled]:
    """A row an article, in the columns named. The file must be seekable."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_metadata(file)
        names = metadata.schema.to_arrow_schema().names
        for column in layout.columns:
            if column not in names:
                raise InputError(f"{name}: {_no_column(column, names)}")
        columns = [str(column) for column in layout.columns]
        # a dictionary keeps a value that stands in many rows once, as the file does
        opened = parquet.ParquetFile(file, metadata=metadata, read_dictionary=columns)
        number = 0
        for batch in opened.iter_batches(batch_size=1024, columns=columns):
            for values in zip(*(batch.column(column) for column in columns), strict=True):
                number += 1
                place = f"{name}: row {number}"
                yield _article([_python(value, place, layout.errors) for value in values], layout, place)
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        raise InputError(f"{name}: not readable as Parquet: {error}") from None


READERS: Mapping[str, Read] = {
    ".txt": read_txt,
    ".csv": read_csv,
    ".tsv": partial(read_csv, delimiter="\t"),
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def _lines(file: IO[bytes], name: str, errors: str) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1 and their ends, without a byte order mark."""
    offset = number = 0
    while line := file.readline(MAX_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_CHARACTERS:
            raise InputError(f"{name}:{number}: a line of more than {MAX_CHARACTERS} bytes, which is no article")
        data = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        yield number, _decode(data, f"{name}:{number}", errors, offset + len(line) - len(data))
        offset += len(line)


def _decode(data: bytes, place: str, errors: str, offset: int) -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        byte = f"byte {offset + error.start} (0x{data[error.start]:02x})"
        raise InputError(f"{place}: {byte} is not UTF-8; {NOT_UTF8}") from None


def _article(values: Sequence[object], layout: TableColumns, place: str) -> Labelled:
    """The article that the values of the columns give; null is an empty text, the texts are joined by a space."""
    texts = values[: len(layout.text_columns)]
    for column, value in zip(layout.text_columns, texts, strict=True):
        if not (value is None or isinstance(value, str)):
            raise InputError(f"{place}: column {column!r} holds {type(value).__name__}, not text")
    text = " ".join(text for text in texts if isinstance(text, str))
    if layout.errors == "replace":
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # JSON can spell half a pair
    return _class_name(values[-1], layout, place), _checked(text, place)


def _class_name(value: object, layout: TableColumns, place: str) -> str | None:
    if layout.class_column is None:
        return None
    if isinstance(value, (str, int)) and (named := str(value).strip()):
        return _checked(named, place)
    raise InputError(f"{place}: column {layout.class_column!r} holds {value!r:.40}, which names no class")


def _checked(text: str, place: str) -> str:
    check_text(text, place)
    return text


def _python(value: Any, place: str, errors: str) -> object:
    """The Python value of one of Arrow's, whose text may have bytes that are not UTF-8."""
    import pyarrow as pa

    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    if isinstance(value, (pa.StringScalar, pa.LargeStringScalar, pa.StringViewScalar)) and value.is_valid:
        return _decode(value.as_buffer().to_pybytes(), place, errors, 0)
    return value.as_py()


def _place(header: Sequence[str], column: str, name: str) -> int:
    if column not in header:
        raise InputError(f"{name}:1: {_no_column(column, header)}")
    return header.index(column)


def _no_column(column: Column, there_are: Iterable[str]) -> str:
    return f"no column {column!r}, there are {', '.join(there_are):.200}; name it in data.text_columns or class_column"
