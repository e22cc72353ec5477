"""Finds the columns of a CSV table, and compares params.yaml with the first rows: is the first line a header?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from charloom.corpus.articles import AG_NEWS_COLUMNS
from charloom.corpus.guesses import Guess, guess_columns, looks_like_header
from charloom.errors import InputError

Column = int | str  # a number, from 1, or a name
Header = bool | Literal["auto"]  # data.header


_TO_COMMAS = 'import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter="{}"))'
# What to do with a table in which one of these characters is between the columns, although another one is expected.
_DELIMITER_REMEDY = {
    ";": f"convert it: `python -c '{_TO_COMMAS.format(';')}' < OLD > NEW.csv`",
    "\t": "rename the file so that its name ends in .tsv",
    "|": f"convert it: `python -c '{_TO_COMMAS.format('|')}' < OLD > NEW.csv`",
    ",": "rename the file so that its name ends in .csv",
}


def find_columns(
    rows: Sequence[Sequence[str]],
    texts: Sequence[Column],
    class_: Column | None,
    header: Header,
    place: str,
    delimiter: str,
) -> list[int]:
    """The indices of the text columns and, after them, of the class column if there is one.

    `rows` are the first rows of the table. `place` is the file and the line of the first one.

    Raises InputError if a column is missing, or as `check_no_header` does. The message contains values to copy.
    """
    first = rows[0]
    wanted = [*texts, *([] if class_ is None else [class_])]
    missing = [column for column in wanted if (column > len(first) if isinstance(column, int) else column not in first)]
    if missing and (remedy := other_delimiter(rows, delimiter)):
        raise InputError(f"{place}: the table has one column; {remedy}")
    if missing and isinstance(missing[0], str):
        raise InputError(f"{place}: {no_column(missing[0], first, rows)}")
    numbers = [first.index(column) + 1 if isinstance(column, str) else column for column in wanted]
    if isinstance(texts[0], int) and header == "auto":
        check_no_header(rows, numbers[: len(texts)], None if class_ is None else numbers[-1], place)
    if missing:
        raise InputError(
            f"{place}: {len(first)} columns, but data.text_columns and data.class_column ask for column"
            f" {max(numbers)}; set {_guess(rows).in_words(None)}"
        )
    return [number - 1 for number in numbers]


def check_no_header(rows: Sequence[Sequence[str]], texts: Sequence[int], class_: int | None, place: str) -> None:
    """Raise InputError if the first row looks like a header, although the columns are given by numbers from 1."""
    if not looks_like_header(rows):
        return
    first = rows[0]
    guess = _guess(rows[1:], first)
    stated = Guess([number - 1 for number in texts], None if class_ is None else class_ - 1)
    by_default = (class_, texts) == AG_NEWS_COLUMNS  # then the user need not have chosen them
    if max(*texts, class_ or 0) <= len(first) and not by_default:
        guess = stated
    raise InputError(
        f"{place}: this line seems to be a header ({', '.join(first):.100}), but params.yaml gives the columns by"
        f" number; set {guess.in_words(first)}, or data.header: false if the line is an article"
    )


def no_column(column: Column, names: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> str:
    """What is wrong if a table has no column of this name, and what to do.

    `rows` are the first rows of a CSV table, in which `names` may be an article.
    """
    wrong = f"no column {column!r}, the columns are {', '.join(names):.200}; "
    correct = "correct data.text_columns or data.class_column"
    if rows and not looks_like_header(rows):
        return f"{wrong}if this line is an article, set {_guess(rows).in_words(None)}; otherwise {correct}"
    return f"{wrong}{correct}, for example {_guess(rows[1:], names).in_words(names)}"


def wrong_width(row: Sequence[str], width: int) -> str:
    """What is wrong if a row has not as many columns as the first one, and what to do."""
    return (
        f"{len(row)} columns, but the first row has {width}; correct the row, for example with quotation marks around a"
        " text that contains the separator of the columns"
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
