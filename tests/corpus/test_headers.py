"""A header is not read as an article, and an article not as a header. The error says what to set, and that helps."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from charloom.corpus.articles import SPLITS, read_articles
from charloom.corpus.guesses import HEAD_ROWS, looks_like_header
from charloom.corpus.settings import Column, TableColumns
from charloom.errors import InputError
from tests.corpus.test_formats import error_message, read, table_columns
from tests.corpus.test_sources import get

KAGGLE = "Class Index,Title,Description"
ROWS = [f"{number % 4 + 1},Chip price {number},Stock of chip makers fell by {number} %." for number in range(60)]
LONG = [
    f"{name},The {name} was rough and the ship {number} came late" for number in range(6) for name in ("sea", "air")
]


def table(*lines: str) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def rows(*lines: str) -> list[list[str]]:
    return [line.split(",") for line in lines]


def settings_of(message: str) -> dict[str, Any]:
    """The parameters that a message says to set, in the form of the arguments of `table_columns`."""
    found = dict(
        re.findall(r"data\.(\w+): (\[.*?\]|\"[^\"]*\"|[\w ]+?)(?=,| and | if |;|$)", message.partition("; set ")[2])
    )
    return {name: yaml.safe_load(value) for name, value in found.items()}


@pytest.mark.parametrize(
    "lines",
    [
        (KAGGLE, *ROWS),
        (KAGGLE, ROWS[0]),
        ("text", "The sea is rough.", "No wind."),
        ("name", "Anna", "Bob"),
        ("LABEL,Text", "sea,The sea is rough.", "air,No wind."),
        ("id,v1", "1,The sea", "2,No wind"),
        (",headline", "0,The sea", "1,No wind"),
        ("wann,was", "2026-11-28 10:00,The sea", "2026-11-29 11:30,No wind"),
        ("Klasse,Inhalt", "1.0,The sea", ",Nothing", "2.0,No wind"),
        ("v1,v2", *LONG),
        ("0,1", "sea,The sea", "air,No wind"),
        (",0,1", "0,sea,The sea", "1,air,No wind"),
    ],
)
def test_a_header_looks_like_one(lines: tuple[str, ...]) -> None:
    assert looks_like_header(rows(*lines))


@pytest.mark.parametrize(
    "lines",
    [
        ROWS,
        LONG,
        ("sea,short", *LONG),
        ("World,Text of the year", "Sports,A game", "World,No news"),
        ("The sea",),
        ("Title,A book", "Text,A page", "Title,Another book"),
        ("Anna", "Bob"),
        ("1,2,3", "2,3,4"),
        ("sea,title", "sea,The ship"),
        ("x,ok", "y,The wind", "y,The storm"),
        ("", "a"),
        ("text," + "a very long article about the sea and the wind", "b,c"),
    ],
)
def test_an_article_does_not_look_like_a_header(lines: Sequence[str]) -> None:
    assert not looks_like_header(rows(*lines))


@pytest.mark.parametrize("kind", [".csv", ".tsv"])
@pytest.mark.parametrize(
    ("lines", "columns", "expected"),
    [
        ((KAGGLE, *ROWS), ([2, 3], 1), {"text_columns": ["Title", "Description"], "class_column": "Class Index"}),
        ((KAGGLE, *ROWS), ([3], 1), {"text_columns": ["Description"], "class_column": "Class Index"}),
        ((KAGGLE, *ROWS), ([3], None), {"text_columns": ["Description"], "class_column": None}),
        (
            ("id,text,label", "7,The sea,0", "8,No wind,1"),
            ([2, 3], 1),
            {"text_columns": ["text"], "class_column": "label"},
        ),
        (
            ("label,text", "sea,The ship", "air,No wind"),
            ([2, 3], 1),
            {"text_columns": ["text"], "class_column": "label"},
        ),
        (
            ("title,text,topic", "Ships,The ship came,sea", "Wind,No wind came,sea"),
            ([2, 3], 1),  # the defaults of params.yaml, which the user did not choose
            {"text_columns": ["title", "text"], "class_column": "topic"},
        ),
        (("0,1", "The ship,sea", "No wind,sea"), ([1], 2), {"text_columns": ["0"], "class_column": "1"}),
        (("v1,v2,,", *(f"{line},," for line in LONG)), ([2], 1), {"text_columns": ["v2"], "class_column": "v1"}),
        (
            ("label,,", "1,The ship,sea", "2,No wind,"),
            ([2], 1),
            {"text_columns": [2], "class_column": 1, "header": True},
        ),
    ],
)
def test_a_header_with_numbered_columns_is_an_error_whose_values_read_the_file(
    kind: str, lines: tuple[str, ...], columns: tuple[list[Column], Column | None], expected: dict[str, Any]
) -> None:
    content = table(*lines).replace(b",", b"\t") if kind == ".tsv" else table(*lines)
    message = error_message(content, kind, table_columns(*columns))
    assert message.startswith(f"mine{kind}:1: this line seems to be a header (")
    assert message.endswith(", or data.header: false if the line is an article")
    said = settings_of(message.removesuffix(", or data.header: false if the line is an article"))
    assert said == expected
    assert len(read(content, kind, with_settings(said))) == len(lines) - 1
    as_article = TableColumns([min(2, len(lines[0].split(",")))], 1, "line", "strict", header=False)
    assert len(read(content, kind, as_article)) == len(lines)


def with_settings(said: dict[str, Any]) -> TableColumns:
    return TableColumns(said["text_columns"], said["class_column"], "line", "strict", said.get("header", "auto"))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (ROWS, {"text_columns": [2, 3], "class_column": 1}),
        (LONG, {"text_columns": [2], "class_column": 1}),
        (["The sea is rough.", "No wind."], {"text_columns": [1], "class_column": None}),
    ],
)
def test_named_columns_without_a_header_are_an_error_whose_values_read_the_file(
    lines: list[str], expected: dict[str, Any]
) -> None:
    message = error_message(table(*lines), ".csv", table_columns(class_column="label"))
    assert message.startswith(
        f"mine.csv:1: no column 'text', the columns are {lines[0].replace(',', ', ')}; if this line"
    )
    assert message.endswith("; otherwise correct data.text_columns or data.class_column (null: no classes)")
    said = settings_of(
        message.replace(", set", "; set").removesuffix(
            "; otherwise correct data.text_columns or data.class_column (null: no classes)"
        )
    )
    assert said == expected
    assert len(read(table(*lines), ".csv", with_settings(said))) == len(lines)


def test_a_misspelled_name_is_answered_with_names(tmp_path: Path) -> None:
    message = error_message(b"body,topic\nThe sea,sea\n", ".csv", table_columns(["txt"], "topic"))
    assert message == (
        "mine.csv:1: no column 'txt', the columns are body, topic; correct data.text_columns or data.class_column"
        " (null: no classes), for example data.text_columns: [body] and data.class_column: topic"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "sea;The ship came",
            "the table has one column; ';' seems to be between the columns; convert it: `python -c 'import csv",
        ),
        ("sea\tThe ship came", r"the table has one column; '\t' seems to be between the columns; rename the file"),
        (
            "The ship came",
            "1 columns, but data.text_columns and data.class_column ask for column 3; set data.text_columns: [1] and"
            " data.class_column: null",
        ),
    ],
)
def test_a_table_with_too_few_columns_is_an_error_with_a_remedy(line: str, says: str) -> None:
    message = error_message(table(line, line), ".csv", table_columns([2, 3], 1))
    assert message.startswith(f"mine.csv:1: {says}")


def test_only_the_first_rows_decide() -> None:
    """A column that has numbers in the first rows may have other cells below."""
    lines = ["wann,was", *(f"{number},The ship" for number in range(HEAD_ROWS)), "never,The end"]
    assert "seems to be a header" in error_message(table(*lines), ".csv", table_columns([2], None))


def write_kaggle(folder: Path, ending: str = ".csv") -> None:
    folder.mkdir(parents=True)
    for split, begin in zip(SPLITS, (0, 40), strict=True):
        content = table(KAGGLE, *ROWS[begin : begin + 40])
        (folder / f"{split}{ending}").write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize("changed", [{}, {"text_columns": [3]}, {"class_column": None}])
def test_the_header_of_a_folder_with_two_splits_is_an_error(
    tmp_path: Path, ending: str, changed: dict[str, Any]
) -> None:
    write_kaggle(tmp_path / "mine", ending)
    with pytest.raises(InputError) as caught:
        get("mine", tmp_path, **changed)
    message = str(caught.value)
    assert re.search(rf"mine/(train|test)\{ending}:1: this line seems to be a header \(Class Index, Title, ", message)
    get("mine", tmp_path, **settings_of(message.rpartition(", or data.header")[0]))
    texts = [article.text for split in SPLITS for article in read_articles(tmp_path / f"data/raw/{split}.csv")]
    assert len(texts) == len(ROWS)
    assert not any("Description" in text for text in texts)


def test_a_header_is_skipped_if_the_parameters_say_so(tmp_path: Path) -> None:
    write_kaggle(tmp_path / "mine")
    counts = get("mine", tmp_path, header=True)
    assert counts["train_articles"] + counts["test_articles"] == len(ROWS)


def test_a_repeated_header_is_an_error() -> None:
    """Such a file is two files, joined by `cat`."""
    content = table(KAGGLE, *ROWS[:9], KAGGLE, *ROWS[9:])
    message = error_message(content, ".csv", table_columns(["Title"], "Class Index"))
    assert message == "mine.csv:11: this line repeats the header; remove it"
    assert error_message(content, ".csv", table_columns([2], 1)).startswith(
        "mine.csv:1: this line seems to be a header"
    )


def convert(message: str, folder: Path) -> None:
    """Run the command that a message gives."""
    command = message.rpartition("convert it: `")[2].removesuffix("`").replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True, cwd=folder)


def test_the_command_for_other_delimiters_converts_the_table(tmp_path: Path) -> None:
    (tmp_path / "OLD").write_bytes(table("label;text", *(line.replace(",", ";") for line in LONG)))
    message = error_message((tmp_path / "OLD").read_bytes(), ".csv", table_columns([2], 1))
    convert(message, tmp_path)
    named = table_columns(class_column="label")
    assert len(read((tmp_path / "NEW.csv").read_bytes(), ".csv", named)) == len(LONG)


@pytest.mark.parametrize("end", ["ship came", 'ship came"'])
def test_the_command_for_tabs_and_unpaired_quotation_marks_converts_the_table(tmp_path: Path, end: str) -> None:
    """Without the error, the text of the second row would also contain the rows up to the next quotation mark."""
    lines = ["label\ttext", "sea\tThe sea", 'air\t"The wind', "sea\tA wave", f"air\tThe {end}", 'sea\t"Land!" he said']
    (tmp_path / "OLD").write_bytes(table(*lines))
    message = error_message((tmp_path / "OLD").read_bytes(), ".tsv", table_columns(class_column="label"))
    assert message.startswith("mine.tsv:3: ")
    command = message.rpartition("convert the file: `")[2].removesuffix("`").replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    named = table_columns(class_column="label")
    converted = [text for _, text in read((tmp_path / "NEW.csv").read_bytes(), ".csv", named)]
    assert converted == ["The sea", '"The wind', "A wave", f"The {end}", '"Land!" he said']


def test_indented_lines_in_a_table_with_tabs_are_a_text() -> None:
    content = b'label\ttext\nsea\t"def ship():\n\treturn 1"\n'
    assert read(content, ".tsv", table_columns(class_column="label")) == [("sea", "def ship():\n\treturn 1")]
