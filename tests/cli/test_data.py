"""`charloom data`: its tables and its picture."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from charloom.files import write_json
from tests.cli.conftest import Charloom
from tests.conftest import WriteRows

ATTACK = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e\x08\x7f[red]"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_corpus(write_rows: WriteRows, text: str, name: str = "sea", classes: int = 2) -> None:
    raw = Path("data/raw")
    write_rows(raw / "train.csv", [(number % classes + 1, text, f"{number}") for number in range(60)])
    write_rows(raw / "test.csv", [(1, text, "7"), (2, "new", "text")])
    names = [f"{name} {number}" for number in range(classes)]
    write_json(
        raw / "source.json", {"format": "charloom-source", "version": 1, "source": f"my {name}", "classes": names}
    )


def test_a_corpus_is_shown_as_tables_and_as_a_picture(charloom: Charloom, write_rows: WriteRows) -> None:
    write_corpus(write_rows, "caf\u00e9 \u65e5\u672c \U0001f600 e\u0301")
    ended = charloom("data", model=None)
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["articles", "60", "2"] in rows
    assert ["also", "in", "the", "other", "split", "1", "1"] in rows
    assert ["sea", "0", "30", "1"] in rows
    assert any(row[-3:] == ["U+1F600", "GRINNING", "FACE"] for row in rows)
    assert any(row[:2] == ["10", "15"] for row in rows)  # vocab.min_count, and the characters that remain
    with Image.open("reports/data.png") as image:
        assert (image.format, image.size) == ("PNG", (1440, 1080))


def test_the_same_corpus_gives_the_same_picture_in_the_named_file(charloom: Charloom, write_rows: WriteRows) -> None:
    write_corpus(write_rows, "$\\frac{$ \u65e5", name="$x^2$ \u65e5", classes=30)
    for name in ("one.png", "two.png"):
        ended = charloom("data", "--picture", name, model=None)
        assert ended.code == 0
        assert ended.err == "" or ended.err.startswith("warning: the fonts of this machine lack 1 character(s)")
        assert f"picture written to {name}" in ended.out
        assert "10 more" in ended.out
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_control_characters_are_shown_as_escapes(charloom: Charloom, write_rows: WriteRows) -> None:
    write_corpus(write_rows, ATTACK, name=ATTACK)
    ended = charloom("data", model=None)
    assert ended.code == 0
    assert r"\x1b" in ended.out
    assert "[red]" in ended.out
    assert not [char for char in ended.out if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"]


def test_without_a_corpus_the_error_names_the_command_that_fetches_one(charloom: Charloom) -> None:
    ended = charloom("data", model=None)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: data/raw: no corpus here; `dvc repro download` fetches")
