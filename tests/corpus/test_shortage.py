"""A corpus with too few articles is reported with what was found and with the step that gives more articles."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from charloom.corpus.articles import SPLITS, read_articles
from charloom.errors import InputError
from tests.corpus.test_sources import get

SENTENCES = [f"Moon over the lake {number}." for number in range(200)]
CUT = "set data.article_end: 40 to cut the text into articles of at most so many characters"
LINE = "set data.article_end: line, if each of the 200 lines is an article"


def message(folder: Path, content: bytes, name: str = "mine.txt", **settings: Any) -> str:
    (folder / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        get(name, folder, **settings)
    assert list(folder.glob("data/raw/*")) == []
    return str(caught.value)


def joined(separator: str) -> bytes:
    return separator.join(SENTENCES).encode()


@pytest.mark.parametrize(
    ("content", "article_end", "says"),
    [
        (
            joined("\n"),
            "blank_line",
            f"1 article of 4,689 characters, too few to split: .*; {LINE}, or {CUT}, or add art",
        ),
        (joined("\r"), "blank_line", f"; {LINE}, or {CUT}, or add articles$"),
        (joined(" "), "blank_line", f" leaves none for (train|test); {CUT}, or add articles$"),
        (joined(" "), "line", f"; {CUT}, or add articles$"),
        (joined(" ") * 30, "line", "; set data.article_end: 1000 to cut"),
        (b"Hello.\n\nworld", "blank_line", "2 articles of 5 to 6 characters, too few .*; add articles or change the"),
        (joined(" "), 5000, f"1 article of 4,689 characters, too few .*; {CUT}, or add articles$"),
        (joined("\n\n"), 5000, "; set data.article_end: 40 to cut"),
    ],
)
def test_too_few_articles_are_reported_with_the_value_of_article_end_that_helps(
    tmp_path: Path, content: bytes, article_end: str | int, says: str
) -> None:
    said = message(tmp_path, content, article_end=article_end)
    assert re.search(says, said), said
    value = re.findall(r"data\.article_end: (\w+)", said)
    for end in value:
        counts = get("mine.txt", tmp_path, article_end=int(end) if end.isdigit() else end)
        assert counts["train_articles"] + counts["test_articles"] >= 100


@pytest.mark.parametrize("separator", ["\f", "\v", "\x85", "\u2028", "\u2029", "\f\n"])
def test_separators_that_end_no_line_are_named_with_the_command_that_replaces_them(
    tmp_path: Path, separator: str
) -> None:
    said = message(tmp_path, joined(separator))
    command = re.search(r"199 times\) into blank lines: `(sed .* OLD > NEW)`", said)
    assert command, said
    subprocess.run(
        command[1].replace("OLD", "mine.txt").replace("NEW", "new.txt"), shell=True, cwd=tmp_path, check=True
    )
    counts = get("new.txt", tmp_path)
    assert counts["train_articles"] + counts["test_articles"] == 200


def test_copies_of_one_article_are_called_copies(tmp_path: Path) -> None:
    said = message(tmp_path, b"The same article.\n\n" * 200)
    assert said.startswith(
        "the corpus has 200 articles, but only one text, and copies are always in the same split: data"
    )
    assert said.endswith("; add other articles")
    assert "but only 2 different texts" in message(tmp_path, b"a\n\nb\n\n" * 200, test_fraction=0.01)


def test_rows_of_a_table_are_cut_too(tmp_path: Path) -> None:
    content = b'text,class\n"' + joined(" ") + b'",a\nshort,b\n'
    columns: dict[str, Any] = {"text_columns": ["text"], "class_column": "class"}
    said = message(tmp_path, content, "mine.csv", **columns)
    assert "2 articles of 5 to 4,689 characters, too few" in said
    assert f"; {CUT}" in said
    counts = get("mine.csv", tmp_path, article_end=40, **columns)
    articles = [article for split in SPLITS for article in read_articles(tmp_path / "data" / "raw" / f"{split}.csv")]
    assert counts["train_articles"] + counts["test_articles"] == len(articles) > 100
    assert [article.text for article in articles if article.label == 2] == ["short"]
    assert sorted(" ".join(article.text for article in articles if article.label == 1).split()) == sorted(
        joined(" ").decode().split()
    )
