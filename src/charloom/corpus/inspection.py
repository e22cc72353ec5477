"""Says what the files of a corpus seem to be, and which parameters read them. Reads only the beginning of the files."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from charloom.corpus.article_ends import (
    BEGINNINGS,
    ENOUGH,
    count_paragraphs,
    find_beginning,
    find_separator,
    guess_article_end,
)
from charloom.corpus.articles import AG_NEWS_COLUMNS, SPLITS, csv_rows, read_articles
from charloom.corpus.formats import json_objects
from charloom.corpus.guesses import HEAD_ROWS, Cell, Guess, are_numbers, as_yaml, guess_columns, head, looks_like_header
from charloom.corpus.headers import other_delimiter, wrong_width
from charloom.corpus.labels import class_name
from charloom.corpus.lines import REPLACE, read_lines, read_pieces
from charloom.corpus.locations import files_of_splits
from charloom.corpus.opening import File
from charloom.corpus.parquet_tables import parquet_columns, parquet_rows
from charloom.corpus.settings import TableColumns
from charloom.corpus.sources import CATALOGUE
from charloom.errors import InputError
from charloom.files import user_path

ROWS = 1000  # look at so many rows of a table, or lines of a text
EXAMPLE = 60  # show so many characters of an example
PIECES = 64  # read at most so many pieces of a text, of 64 KiB each
FILES = 20  # compare the first rows of so many files of each split with the parameters
NAMES = 10  # show so many class names
FEWEST_CHARACTERS = 1000  # of a text with few lines: fewer teach a model nothing


@dataclass(frozen=True)
class Inspection:
    """What a corpus seems to be."""

    facts: Sequence[str]  # sentences
    columns: Sequence[tuple[str, str, str]]  # of a table: the name or number, an example, and the use of the column
    params: Mapping[str, Any]  # of the section data


@dataclass(frozen=True)
class _Table:
    header: Sequence[str] | None
    rows: Sequence[Sequence[Cell]]

    @property
    def names(self) -> list[str]:
        return list(self.header or map(str, range(1, 1 + len(self.rows[0]))))


def inspect_source(source: str, root: Path) -> Inspection:
    """Inspect what data.source can name. A relative path starts at `root`.

    Raises InputError if a file cannot be read. The message says what the file is and what to do.
    """
    if not source:
        raise InputError("the source is empty; name a file, folder, glob or URL")
    if source in ("ag_news", "sample") or source.startswith(CATALOGUE):
        return Inspection(["charloom knows this corpus by its name."], [], {"source": source})
    splits = files_of_splits(source, root)
    first = next(iter(splits.values()))[0]
    with first.opened() as file:
        marked = file.peek(3).startswith(codecs.BOM_UTF8)
        is_text = first.kind.format == ".txt"
        found = _text(file, first, sum(map(len, splits.values()))) if is_text else _table(file, first)
    encoding = "" if first.kind.format == ".parquet" else ", UTF-8" + " with a byte order mark" * marked
    facts = [f"{first.name}: {first.kind.format}{encoding}.", *found.facts]
    _check(splits, found.params)
    return Inspection(facts, found.columns, {"source": _source(source, root, found.params)} | dict(found.params))


def _text(file: IO[bytes], about: File, files: int) -> Inspection:
    pieces = read_pieces(file, about.name, option=REPLACE)  # not lines, because a book can be one line
    text = "".join(head(pieces, PIECES))
    lines, more = text.split("\n")[:ROWS], text.count("\n") >= ROWS
    full = [line for line in lines if line.strip()]
    characters = sum(map(len, full))
    if files == 1 and len(full) < ENOUGH and characters < FEWEST_CHARACTERS:
        raise InputError(f"{about.name}: contains {_few(characters)}; name a file with more text")
    mean = characters / len(full)
    facts = [
        f"The first {len(lines):,} line(s) contain {count_paragraphs(lines):,} article(s) if articles end at blank"
        f" lines, and {len(full):,} if each line is an article. A line has {mean:,.0f} characters on average.",
        f"The first line is {full[0].strip()[:EXAMPLE]!r}.",
    ]
    if beginning := find_beginning(lines):
        facts.append(_begun(beginning))
    elif separator := find_separator(full):
        facts.append(_separated(*separator))
    return Inspection(facts, [], {"article_end": guess_article_end(lines, more, files)})


def _few(characters: int) -> str:
    return f"{characters} characters, too few to learn from" if characters else "no text"


def _begun(pattern: str) -> str:
    return (
        f"The text seems to be {BEGINNINGS[pattern]}. This command makes each of them an article:"
        f" `awk '/^{pattern}/{{print \"\"}} NF' OLD > NEW.txt`"
    )


def _separated(line: str, times: int) -> str:
    program = f'{{sub(/[ \\r]+$/, "")}} $0 == "{line}" {{print ""; next}} NF'
    return (
        f"The line {line!r} occurs {times:,} times. If this line separates articles, turn it into a blank line:"
        f" `awk '{program}' OLD > NEW.txt`"
    )


def _table(file: io.BufferedReader, about: File) -> Inspection:
    table = {".jsonl": _json_table, ".parquet": _parquet_table}.get(about.kind.format, _csv_table)(file, about)
    if not any(table.rows):
        none = "no column that all rows have" if table.rows else "no row"
        raise InputError(f"{about.name}: contains {none}; name a file with rows")
    guess = guess_columns(table.header, table.rows)
    if not any(isinstance(row[index], str) for row in table.rows for index in guess.texts):
        raise InputError(
            f"{about.name}: no column contains text, the columns are {', '.join(table.names):.200}; write the texts of"
            " the articles into a column"
        )
    if all(are_numbers([row[index] for row in table.rows]) for index in guess.texts):
        raise InputError(f"{about.name}: only numbers and dates, no column of text; name a table with texts")
    header = ""
    if about.kind.format in (".csv", ".tsv"):
        header = f", {'with' if table.header else 'without'} a header line"
    facts = [f"{len(table.names)} columns{header}. These are the first {len(table.rows):,} rows:"]
    params = guess.in_params(table.header)
    if header:
        params.setdefault("header", "auto")
    return Inspection(facts, _columns(table, guess), params)


def _csv_table(file: IO[bytes], about: File) -> _Table:
    delimiter = "\t" if about.kind.format == ".tsv" else ","
    lines = (line for _, line in read_lines(file, about.name))
    rows = [row for _, row in head(csv_rows(lines, about.name, delimiter), ROWS)]
    if remedy := other_delimiter(rows, delimiter):
        raise InputError(f"{about.name}: the table has one column; {remedy}")
    header = rows[0] if rows and looks_like_header(rows[:HEAD_ROWS]) else None
    below = rows[1 if header else 0 :]
    same = [row for row in below if len(row) == len(rows[0])]
    if below and not same:
        raise InputError(f"{about.name}: {wrong_width(below[0], len(rows[0]))}")
    return _Table(header, same)


def _json_table(file: IO[bytes], about: File) -> _Table:
    objects = [fields for _, fields in head(json_objects(file, about.name, "strict"), ROWS)]
    names = [name for name in objects[0] if all(name in fields for fields in objects)] if objects else []
    return _Table(names, [[fields[name] for name in names] for fields in objects])


def _parquet_table(file: IO[bytes], about: File) -> _Table:
    names = [name for name, is_plain in parquet_columns(file, about.name).items() if is_plain]
    return _Table(names, [row for _, row in head(parquet_rows(file, about.name, names, "strict"), ROWS)])


def _columns(table: _Table, guess: Guess) -> list[tuple[str, str, str]]:
    """For each column its name, an example, and how it is used or how many rows have no value."""
    return [
        (name, next((str(cell)[:EXAMPLE] for cell in cells if not _is_empty(cell)), ""), _use(index, cells, guess))
        for index, (name, cells) in enumerate(zip(table.names, zip(*table.rows, strict=True), strict=True))
    ]


def _use(index: int, cells: Sequence[Cell], guess: Guess) -> str:
    if index == guess.class_:
        found = sorted({name for cell in cells if (name := class_name(cell))})
        return f"class ({len(found):,}: {', '.join(found[:NAMES])}{', …' * (len(found) > NAMES)})"
    if index in guess.texts:
        return "text"
    empty = sum(map(_is_empty, cells))
    return f"not used, no value in {empty:,} row(s)" if empty else "not used"


def _is_empty(cell: Cell) -> bool:
    return class_name(cell) == ""


def _check(splits: Mapping[str, Sequence[File]], params: Mapping[str, Any]) -> None:
    """Read the first articles of the first files as stage download will. Raises the same InputError as the stage.

    The parameters come from the first file, so another file can contradict the parameters.
    """
    unused = {"text_columns": [1], "class_column": None, "article_end": "line"}
    columns = TableColumns(**unused | dict(params), errors="strict")
    first, *others = chain.from_iterable(files[:FILES] for files in splits.values())
    head(first.articles(columns))
    for file in others if first.kind.format != ".parquet" else []:  # a remote Parquet file is copied as a whole
        try:
            head(file.articles(columns))
        except InputError as error:
            raise InputError(
                f"{error}; {first.name} is different; name only the files that are alike, such as data.source:"
                f" {as_yaml(first.name)}"
            ) from None


def _source(source: str, root: Path, params: Mapping[str, Any]) -> str:
    """The value of data.source.

    If the files look like those of AG_NEWS but have other classes, the value is a glob. The files of a glob can have
    any classes.
    """
    paths = [user_path(source, root) / f"{split}.csv" for split in SPLITS]
    if (params.get("class_column"), params.get("text_columns")) == AG_NEWS_COLUMNS and all(map(Path.is_file, paths)):
        try:
            for path in paths:
                head(read_articles(path))
        except InputError:
            return source.rstrip("/") + "/*.csv"
    return source
