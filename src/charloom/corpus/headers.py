"""Finds the columns of a CSV table, and compares params.yaml with the first rows: is the first line a header?"""

from __future__ import annotations

from collections.abc import Sequence

from charloom.corpus.articles import AG_NEWS_FORM, command_to_csv
from charloom.corpus.guesses import Guess, guess_columns, looks_like_header
from charloom.corpus.settings import Column, Naming, TableColumns
from charloom.errors import InputError

# What to do with a table in which one of these characters is between the columns, although another one is expected.
_DELIMITER_REMEDY = {
    ";": f"convert it: {command_to_csv(';')}",
    "\t": "rename the file so that its name ends in .tsv",
    "|": f"convert it: {command_to_csv('|')}",
    ",": "rename the file so that its name ends in .csv",
}


def find_columns(rows: Sequence[Sequence[str]], columns: TableColumns, place: str, delimiter: str) -> list[int]:
    """The indices of the text columns and, after them, of the class column if there is one.

    `rows` are the first rows of the table. `place` is the file and the line of the first one.

    Raises InputError if a column is missing, or as `check_no_header` does. The message contains values to copy.
    """
    first = rows[0]
    numbers = range(1, 1 + len(first))
    missing = [column for column in columns.all if column not in (first if isinstance(column, str) else numbers)]
    if missing and (remedy := other_delimiter(rows, delimiter)):
        raise InputError(f"{place}: the table has one column; {remedy}")
    if missing and isinstance(missing[0], str):
        raise InputError(f"{place}: {no_column(missing[0], first, columns.naming, rows)}")
    if isinstance(columns.text_columns[0], int) and columns.header == "auto":
        check_no_header(rows, columns, place)
    if missing:
        name, guess = columns.naming.name, columns.naming.guess(_guess(rows), None)
        raise InputError(
            f"{place}: {len(first)} columns, but {name('text_columns')} and {name('class_column')} ask for column"
            f" {max(missing, key=int)}; set {guess}"
        )
    return [first.index(column) if isinstance(column, str) else column - 1 for column in columns.all]


def check_no_header(rows: Sequence[Sequence[str]], columns: TableColumns, place: str) -> None:
    """Raise InputError if the first row looks like a header, although the columns are given by numbers from 1."""
    if not looks_like_header(rows):
        return
    first, naming = rows[0], columns.naming
    indices = [column - 1 for column in columns.all if isinstance(column, int)]
    by_default = columns.text_columns == AG_NEWS_FORM.text_columns  # the user need not have chosen these columns
    if by_default or max(indices) >= len(first):
        guess = _guess(rows[1:], first)
    else:
        guess = Guess(indices[: len(columns.text_columns)], None if columns.class_column is None else indices[-1])
    raise InputError(
        f"{place}: this line seems to be a header ({', '.join(first):.100}), but {naming.stated_by} the columns by"
        f" number; set {naming.guess(guess, first)}, or {naming.value('header', False)} if the line is an article"
    )


def no_column(column: Column, names: Sequence[str], naming: Naming, rows: Sequence[Sequence[str]] = ()) -> str:
    """What is wrong if a table has no column of this name, and what to do.

    `rows` are the first rows of a CSV table, in which `names` may be an article.
    """
    if not names:
        return f"no column {column!r}, and no other column; add the columns or remove this"
    wrong = f"no column {column!r}, the columns are {', '.join(names):.200}; "
    correct = f"correct {naming.name('text_columns')} or {naming.name('class_column')} (null: no classes)"
    if rows and not looks_like_header(rows):
        return f"{wrong}if this line is an article, set {naming.guess(_guess(rows), None)}; otherwise {correct}"
    return f"{wrong}{correct}, for example {naming.guess(_guess(rows[1:], names), names)}"


def wrong_width(row: Sequence[str], width: int) -> str:
    """What is wrong if a row has not as many columns as the first one, and what to do."""
    return (
        f"{len(row)} columns, but the first row has {width}; remove lines that are no rows, such as comments, and put"
        " quotes around a cell that contains a separator"
    )


def _guess(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> Guess:
    width = len(rows[0]) if header is None else len(header)
    return guess_columns(header, [row for row in rows if len(row) == width])


def other_delimiter(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """What to do if another character than `delimiter` seems to be between the columns. "" if none does."""
    if len(rows) < 2 or len(rows[0]) != 1:
        return ""
    for mark in _DELIMITER_REMEDY:
        counts = {row[0].count(mark) for row in rows}
        if mark != delimiter and len(counts) == 1 and counts != {0}:
            return f"{mark!r} seems to be between the columns; {_DELIMITER_REMEDY[mark]}"
    return ""
