"""Finds the columns of a CSV table, and compares params.yaml with the first rows: is the first line a header?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    rows: Sequence[Sequence[str]], texts: Sequence[Column], class_: Column | None, header: Header, place: str
) -> list[int]:
    """The indices of the text columns and, after them, of the class column if there is one.

    `rows` are the first rows of the table. `place` is the file and the line of the first one.

    Raises InputError if a column is missing, or as `check_no_header` does. The message contains values to copy.
    """
    first = rows[0]
    wanted = [*texts, *([] if class_ is None else [class_])]
    if missing := [name for name in wanted if isinstance(name, str) and name not in first]:
        raise InputError(f"{place}: {no_column(missing[0], first, rows)}{other_delimiter(rows)}")
    numbers = [first.index(column) + 1 if isinstance(column, str) else column for column in wanted]
    if isinstance(texts[0], int) and header == "auto":
        check_no_header(rows, numbers[: len(texts)], None if class_ is None else numbers[-1], place)
    if max(numbers) > len(first):
        remedy = other_delimiter(rows) or f"; set {_guess(rows).in_words(None)}"
        raise InputError(
            f"{place}: {len(first)} columns, but data.text_columns and data.class_column ask for column"
            f" {max(numbers)}{remedy}"
        )
    return [number - 1 for number in numbers]


def check_no_header(rows: Sequence[Sequence[str]], texts: Sequence[int], class_: int | None, place: str) -> None:
    """Raise InputError if the first row looks like a header, although the columns are given by numbers from 1."""
    if not looks_like_header(rows):
        return
    first = rows[0]
    guess = _guess(rows[1:], first)
    stated = Guess([number - 1 for number in texts], None if class_ is None else class_ - 1)
    if max(*texts, class_ or 0) <= len(first) and (stated.class_ is None or guess.class_ in (None, stated.class_)):
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


def _guess(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> Guess:
    width = len(rows[0]) if header is None else len(header)
    return guess_columns(header, [row for row in rows if len(row) == width])


def other_delimiter(rows: Sequence[Sequence[str]]) -> str:
    """What to do if another character seems to be between the columns. "" if the first row has several columns."""
    if not rows or len(rows[0]) != 1:
        return ""
    for mark in _DELIMITER_REMEDY:
        counts = {row[0].count(mark) for row in rows}
        if len(counts) == 1 and counts != {0}:
            return f"; {mark!r} seems to be between the columns; {_DELIMITER_REMEDY[mark]}"
    return ""
