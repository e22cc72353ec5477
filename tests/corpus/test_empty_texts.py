"""Stage download skips empty texts and counts them, whatever the format of the corpus."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.parquet import write_table

from charloom.corpus.articles import SPLITS, read_articles
from tests.corpus.test_sources import about, get


def parquet(rows: list[tuple[str, str]]) -> bytes:
    file = io.BytesIO()
    names = ["topic", "body"]
    write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), file)
    return file.getvalue()


def quoted(*cells: str) -> str:
    return ",".join(f'"{cell}"' for cell in cells) + "\n"


NAMED: dict[str, Any] = {"text_columns": ["body"], "class_column": "topic"}
# For each format: a file with these rows (class, text), and the parameters that read it.
FILES_OF_FORMATS: dict[str, tuple[str, Callable[[list[tuple[str, str]]], bytes], dict[str, Any]]] = {
    "class, text": (".csv", lambda rows: "".join(quoted(*row) for row in rows).encode(), {}),
    "class, title, description": (".csv", lambda rows: "".join(quoted(*row, "") for row in rows).encode(), {}),
    "named columns": (".csv", lambda rows: "".join(quoted(*row) for row in [("topic", "body"), *rows]).encode(), NAMED),
    "tsv": (".tsv", lambda rows: "".join(f"{a}\t{b}\n" for a, b in [("topic", "body"), *rows]).encode(), NAMED),
    "jsonl": (
        ".jsonl",
        lambda rows: "".join(json.dumps({"topic": a, "body": b}) + "\n" for a, b in rows).encode(),
        NAMED,
    ),
    "parquet": (".parquet", parquet, NAMED),
}


@pytest.mark.parametrize("name", FILES_OF_FORMATS)
def test_empty_texts_of_every_format_are_skipped_and_counted(tmp_path: Path, name: str) -> None:
    ending, content, columns = FILES_OF_FORMATS[name]
    folder = tmp_path / "corpora" / "mine"
    folder.mkdir(parents=True)
    (folder / f"train{ending}").write_bytes(content([("1", "a"), ("2", ""), ("1", " \u3000"), ("2", "b")]))
    (folder / f"test{ending}").write_bytes(content([("1", ""), ("2", "c")]))
    counts = get("corpora/mine", tmp_path, **columns)
    assert (counts["empty"], counts["train_articles"], counts["test_articles"]) == (3, 2, 1)
    raw = tmp_path / "data" / "raw"
    found = {
        split: [(each.label, each.text.rstrip()) for each in read_articles(raw / f"{split}.csv")] for split in SPLITS
    }
    assert found == {"train": [(1, "a"), (2, "b")], "test": [(2, "c")]}
    assert [about(tmp_path)[split]["articles"] for split in SPLITS] == [2, 1]


@pytest.mark.parametrize("article_end", ["line", "blank_line"])
def test_blank_lines_of_a_folder_of_txt_files_are_not_articles(tmp_path: Path, article_end: str) -> None:
    for split, text in (("train", "\n \na\n\n\u3000\nb\n"), ("test", "\n\nc\n")):
        (tmp_path / "mine" / split).mkdir(parents=True)
        (tmp_path / "mine" / split / "1.txt").write_text(text, encoding="utf-8")
        (tmp_path / "mine" / split / "2.txt").write_text(" \n", encoding="utf-8")
    counts = get("mine", tmp_path, article_end=article_end)
    assert (counts["train_articles"], counts["test_articles"]) == (2, 1)
