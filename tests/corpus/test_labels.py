"""The class of a row is read alike from every format, and a missing class is an error in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from charloom.corpus.articles import SPLITS, read_articles
from charloom.errors import InputError
from tests.corpus.test_formats import as_parquet, error_message, read, table_columns
from tests.corpus.test_sources import about, get

NAMED = table_columns(class_column="class")
FORMATS = (".csv", ".tsv", ".jsonl", ".parquet")


def content(kind: str, cells: Sequence[object], text: str = "a") -> bytes:
    """A table in which each row has a class and this text. In a CSV table, a null is an empty cell, as in pandas."""
    if kind == ".parquet":
        return as_parquet({"class": pa.array(cells), "text": [text] * len(cells)})
    if kind == ".jsonl":
        return "".join(json.dumps({"class": cell, "text": text}) + "\n" for cell in cells).encode()
    table = io.StringIO()
    rows = [("class", "text"), *((cell, text) for cell in cells)]
    csv.writer(table, delimiter="\t" if kind == ".tsv" else ",").writerows(rows)
    return table.getvalue().encode()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["sea", " air ", "\u3000Caf\u00e9\t"], ["sea", "air", "Caf\u00e9"]),
        ([0, 1, -1], ["0", "1", "-1"]),
        ([2**63 - 1, 10**18], ["9223372036854775807", "1000000000000000000"]),
        ([0.0, 1.0, 2.5], ["0", "1", "2.5"]),
        (["0.0", "1.00", "v1.0"], ["0", "1", "v1.0"]),
        ([True, False], ["true", "false"]),
        (["True", "FALSE", "truth"], ["true", "false", "truth"]),
    ],
)
def test_every_format_gives_the_same_class_names(kind: str, cells: Sequence[object], names: list[str]) -> None:
    assert [name for name, _ in read(content(kind, cells), kind, NAMED)] == names


def test_numbers_of_parquet_have_the_name_that_they_have_as_text() -> None:
    for column in (pa.array([0.1, 3.7], pa.float32()), pa.array([Decimal("0.1"), Decimal("3.7")])):
        data = as_parquet({"class": column, "text": ["a", "b"]})
        assert [name for name, _ in read(data, ".parquet", NAMED)] == ["0.1", "3.7"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_class_is_an_error_that_counts_further_rows_without_one(kind: str, missing: object) -> None:
    message = error_message(content(kind, [1.0, missing, 2.0, missing, missing]), kind, NAMED)
    place = {".csv": ":3", ".tsv": ":3", ".jsonl": ":2", ".parquet": ": row 2"}[kind]
    assert message == (
        f"mine{kind}{place}: column 'class' contains no class, as in 2 of the next 3 rows; fill in the class, remove"
        " such rows, or set data.class_column: null to use the texts without classes"
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_a_row_without_class_and_text_is_an_empty_text(kind: str) -> None:
    assert read(content(kind, [None, " "], " "), kind, NAMED) == [(None, " "), (None, " ")]


def test_a_class_that_is_a_list_is_rejected() -> None:
    message = error_message(content(".jsonl", [["a", "b"]]), ".jsonl", NAMED)
    assert message == "mine.jsonl:1: column 'class' contains ['a', 'b'], not a class name; name another column"


@pytest.mark.parametrize(
    ("label", "named"), [("0", "0"), ("1.0", "1"), ("sea", "sea"), (" 2", "2"), ("65536", "65536")]
)
def test_other_labels_in_the_layout_of_ag_news_are_read_as_the_message_says(
    tmp_path: Path, label: str, named: str
) -> None:
    (tmp_path / "mine").mkdir()
    for split in SPLITS:
        (tmp_path / "mine" / f"{split}.csv").write_text(f'1,title,{split} 1\n"{label}",title,{split} 2\n')
    with pytest.raises(InputError) as caught:
        get("mine", tmp_path)
    assert str(caught.value).endswith(
        f"mine/test.csv:2: class {label!r}, expected a number from 1 to 65535; to read the classes as names, whatever"
        ' they are, set data.source: "mine/*.csv"'
    )
    get("mine/*.csv", tmp_path)
    assert about(tmp_path)["classes"] == sorted({"1", named})


def test_a_class_may_occur_once_or_in_one_split_only(tmp_path: Path) -> None:
    for split, classes in (("train", ["a", "a", "once"]), ("test", ["a", "test alone"])):
        (tmp_path / f"{split}.jsonl").write_bytes(content(".jsonl", classes, split))
    get("*.jsonl", tmp_path, text_columns=["text"], class_column="class")
    assert about(tmp_path)["classes"] == ["a", "once", "test alone"]
    labels = {split: [each.label for each in read_articles(tmp_path / f"data/raw/{split}.csv")] for split in SPLITS}
    assert labels == {"train": [1, 1, 2], "test": [1, 3]}
