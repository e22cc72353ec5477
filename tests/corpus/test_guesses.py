"""Which columns of a table seem to be the text and the class."""

from __future__ import annotations

from pathlib import Path

import pytest

from charloom.corpus.guesses import are_numbers, as_yaml, guess_columns
from charloom.params_file import load_params
from tests.param_files import with_value

TEXTS = [f"The ship number {number} came late" for number in range(20)]


def rows(*columns: list[object]) -> list[list[object]]:
    return [list(row) for row in zip(*columns, strict=True)]


HALF: list[object] = [number % 2 for number in range(20)]
SAME: list[object] = ["The same words"] * 20
DATES: list[object] = [f"2026-11-{number % 2 + 10}" for number in range(20)]
IDS: list[object] = list(range(20))


@pytest.mark.parametrize(
    ("header", "columns", "texts", "class_"),
    [
        (None, [HALF, TEXTS, TEXTS], [1, 2], 0),
        (None, [TEXTS], [0], None),
        (None, [IDS, DATES, SAME, TEXTS, HALF], [3], 4),
        (["id", "title", "body", "label"], [IDS, TEXTS, TEXTS, HALF], [1, 2], 3),
        (["Class Index", "Description"], [IDS, TEXTS], [1], 0),
        (["x", "text_id", "review_text"], [HALF, TEXTS, TEXTS], [2], 0),
        (["label", "text"], [[None, *HALF[1:]], TEXTS], [1], None),
        (["label", "text"], [["", *HALF], ["", *TEXTS]], [1], 0),
        (["label", "text"], [["x" * 50, *HALF[1:]], TEXTS], [1], None),
        (["word", "kind"], [[text.split()[3] for text in TEXTS], HALF], [0], 1),
    ],
)
def test_the_columns_are_guessed(
    header: list[str] | None, columns: list[list[object]], texts: list[int], class_: int | None
) -> None:
    guess = guess_columns(header, rows(*columns))
    assert (list(guess.texts), guess.class_) == (texts, class_)


@pytest.mark.parametrize("cell", [3, "3.5", "19-Sep-03", "2026-11-28T10:15:00Z", "Nov 28, 2026"])
def test_numbers_and_dates_are_no_text(cell: object) -> None:
    assert are_numbers([cell, "", None])
    assert not are_numbers([cell, "May the sea", "12+30=42"])


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "Class Index",
        "null",
        "True",
        "1",
        "1e5",
        "a: b",
        "x #y",
        "~",
        "[a]",
        "- a",
        " a",
        "é",
        '"',
        "\x9b31m",
        "a/b",
    ],
)
def test_a_name_is_written_so_that_params_yaml_gives_it_back(tmp_path: Path, name: str) -> None:
    text = with_value("data.text_columns", as_yaml([name]))
    (tmp_path / "params.yaml").write_text(text.replace("class_column: 1", "class_column: null"), encoding="utf-8")
    assert load_params(tmp_path / "params.yaml").data.text_columns == [name]
