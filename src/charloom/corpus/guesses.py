"""Guesses from the first rows of a table whether it has a header, and which columns are the text and the class.

No guess decides how a table is read. If a guess contradicts params.yaml, charloom stops with an error. The error, and
`charloom data --source`, propose the guessed values for params.yaml.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from charloom.corpus.labels import class_name

HEAD_ROWS = 100  # an error guesses from so many rows
HEAD_CHARACTERS = 1 << 22  # after so many characters, no further row is read
NAME_LENGTH = 40  # characters of the longest name of a column or class that a guess accepts

# Words in the names of columns of public data sets, in lower case.
CLASS_WORDS = {"category", "class", "genre", "intent", "label", "labels", "polarity", "sentiment", "target", "topic"}
OTHER_WORDS = {"author", "date", "id", "idx", "index", "language", "name", "rating", "source", "timestamp", "url"}
TEXT_WORDS = {
    *("abstract", "answer", "article", "body", "comment", "content", "description", "document", "headline", "lyrics"),
    *("message", "poem", "question", "review", "sentence", "story", "summary", "text", "title", "tweet"),
}

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DIGITS = re.compile(rf"(?=.*\d)(?:[-+.,:/ \d]|{_MONTH}|T(?=\d)|Z)+")  # a number, a date or a time
_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d*)?\s*")
_WORDS = re.compile(r"[^\W\d]+\W+[^\W\d]")  # two words
_PLAIN = re.compile(r"[^\W\d]\w*(?:[ .-]\w+)*|[\w./-]*/[\w./-]*")  # needs no quotes in YAML

Cell = object  # text in a CSV table, any value in a JSONL or Parquet table
Row = TypeVar("Row")


@dataclass(frozen=True)
class Guess:
    """Which columns are the text and the class, by their indices from 0."""

    texts: Sequence[int]
    class_: int | None

    def in_params(self, header: Sequence[str] | None) -> dict[str, Any]:
        """The parameters of the section data that name these columns.

        The columns get numbers from 1 if the table has no header, or if two of the names are equal or one is empty.
        """
        chosen = [*self.texts, *([] if self.class_ is None else [self.class_])]
        names = [header[index] for index in chosen] if header else []
        named = bool(header) and all(name.strip() and (header or []).count(name) == 1 for name in names)
        columns = names if named else [index + 1 for index in chosen]
        params: dict[str, Any] = {"text_columns": columns[: len(self.texts)]}
        params["class_column"] = None if self.class_ is None else columns[-1]
        return params if named or not header else params | {"header": True}


def head(rows: Iterator[Row], size: int = HEAD_ROWS) -> list[Row]:
    """The next rows, at most `size` of them, and fewer if they are very long. `rows` continues after them."""
    taken: list[Row] = []
    characters = 0
    while len(taken) < size and characters < HEAD_CHARACTERS and (row := next(rows, None)) is not None:
        taken.append(row)
        characters += len(str(row))
    return taken


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first of these rows seems to be a header. The other rows are the beginning of the table.

    The cells of a header are short, differ from each other, are not numbers, and do not occur again below. This is also
    true of some articles, so the rows must have one more of these signs:

    - a cell consists of usual words for columns, such as `text`, `label` or `Class Index`;
    - a column contains a number, a date or a time in all other rows;
    - ten or more rows follow, in one column each of their values occurs more than once, and in the other columns the
      first row has the shortest cell.

    The cells 0, 1, 2, … are a header, too, because pandas names columns in this way.
    """
    first, others = rows[0], [row for row in rows[1:] if row != rows[0]]
    numbered = first[1:] if not first[0].strip() else first
    if len(first) > 1 and list(numbered) == [str(number) for number in range(len(numbered))]:
        return True
    names = [cell.strip() for cell in first if cell.strip()]
    columns = [_Column(cell, [row[index] for row in others if index < len(row)]) for index, cell in enumerate(first)]
    if not names or len(set(names)) < len(names) or not all(column.may_have_name for column in columns):
        return False
    usual = any(_words(name) <= CLASS_WORDS | OTHER_WORDS | TEXT_WORDS for name in names)
    return usual or any(column.numbers for column in columns) or (len(others) >= 10 and _class_is_new(columns))


@dataclass(frozen=True)
class _Column:
    """A column of a table: the cell in the first row, and the cells below it."""

    first: str
    below: Sequence[str]

    @property
    def may_have_name(self) -> bool:
        """Whether the first cell can be the name of the column. It can be empty, as above the index of pandas."""
        name = self.first.strip()
        return not name or (len(name) <= NAME_LENGTH and not _DIGITS.fullmatch(name) and self.first not in self.below)

    @property
    def numbers(self) -> bool:
        """Whether only the first cell is not a number. The cells below it may also be empty."""
        below = [cell for cell in self.below if cell.strip()]
        return bool(self.first.strip() and below) and all(map(_DIGITS.fullmatch, below))

    @property
    def repeats(self) -> bool:
        return min(Counter(self.below).values(), default=0) > 1

    @property
    def is_shortest(self) -> bool:
        return len(self.first) < min(map(len, self.below), default=0)


def _class_is_new(columns: Sequence[_Column]) -> bool:
    return any(column.repeats for column in columns) and all(each.is_shortest or each.repeats for each in columns)


def _words(name: str) -> set[str]:
    return set(name.lower().replace("_", " ").split())


def guess_columns(header: Sequence[str] | None, rows: Sequence[Sequence[Cell]]) -> Guess:
    """Guess the columns of the text and of the class. `rows` are the first rows of the table, without the header.

    The class is the first column with a name such as `label`. Without such a name, the class is the column with the
    fewest different values (no dates), if each value occurs twice on average. A column in which some cell names no
    class is not the class. Without rows, only the name counts.

    The texts are all columns with a name such as `title`. Without such a name, the texts are all columns in which most
    cells are different and contain several words, or else the column with the longest cells. Empty rows do not count.
    """
    columns = list(zip(*filter(_has_value, rows), strict=True)) or [()] * len(header or [""])
    names = [_words(name) for name in header] if header else [set()] * len(columns)
    class_ = _guess_class(names, columns) if len(columns) > 1 else None
    texts = [index for index, cells in enumerate(columns) if index != class_ and _is_text(cells)]
    return Guess(_guess_texts(names, columns, texts), class_)


def _guess_class(names: Sequence[set[str]], columns: Sequence[Sequence[Cell]]) -> int | None:
    classes = {index: _classes(cells) for index, cells in enumerate(columns)}
    different = {index: len(values) for index, values in classes.items() if values or not columns[index]}
    if named := [index for index in different if names[index] & CLASS_WORDS]:
        return named[0]
    repeated = [
        index
        for index, count in different.items()
        if 2 <= count <= len(columns[index]) / 2 and not all(map(_is_date, columns[index]))
    ]
    return min(repeated, key=different.__getitem__, default=None)


def _classes(cells: Sequence[Cell]) -> set[str]:
    """The classes that the cells name. Empty if a cell does not name a class, or is too long for a name."""
    found = {class_name(cell) for cell in cells}
    return {name for name in found if name} if all(name and len(name) <= NAME_LENGTH for name in found) else set()


def _is_text(cells: Sequence[Cell]) -> bool:
    return all(cell is None or isinstance(cell, str) for cell in cells)


def _guess_texts(names: Sequence[set[str]], columns: Sequence[Sequence[Cell]], among: Sequence[int]) -> list[int]:
    if named := [index for index in among if names[index] & TEXT_WORDS and not names[index] & OTHER_WORDS]:
        return named
    if wordy := [index for index in among if _most_are_different_words(columns[index])]:
        return wordy
    return sorted(among, key=lambda index: -sum(len(str(cell)) for cell in columns[index]))[:1] or [0]


def _most_are_different_words(cells: Sequence[Cell]) -> bool:
    different = {str(cell) for cell in cells}
    return 2 * sum(_WORDS.search(cell) is not None for cell in different) > len(cells)


def are_numbers(cells: Sequence[Cell]) -> bool:
    """Whether most of these cells are numbers, dates or times. Cells without a value do not count."""
    full = [str(cell) for cell in cells if cell not in (None, "")]
    return 2 * sum(_DIGITS.fullmatch(cell) is not None for cell in full) > len(full)


def _is_date(cell: Cell) -> bool:
    return _DIGITS.fullmatch(str(cell)) is not None and not _NUMBER.fullmatch(str(cell))


def _has_value(row: Sequence[Cell]) -> bool:
    return any(cell not in (None, "") for cell in row)


def as_yaml(value: object) -> str:
    """A value as params.yaml has it. Text gets quotes if YAML would read something else without them."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "null")
        return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())
    return json.dumps(value)
