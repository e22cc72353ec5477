"""What a file without a known ending seems to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from charloom.corpus.contents import JSON_ARRAY, seems_to_be
from tests.corpus.test_formats import table_columns, texts


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b'[{"text": "a"}, ', "a JSON array, not JSON lines"),
        (b'\xef\xbb\xbf [\n  "a",\n', "a JSON array, not JSON lines"),
        (b"[Verse 1]\nThe sea", "plain text"),
        (b"[10:55] <anna> The sea", "plain text"),
        (b"[1,\n 2]", "a JSON array, not JSON lines"),
        (b'{"text": "a"}\n{"text": ', "JSON lines"),
        (b'{\n  "text": "a"\n}', "one JSON object"),
        (b"{sings} The sea", "plain text"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b"<3 the sea", "plain text"),
        (b"a,b\nc,d\ne", "a table with commas"),
        (b"a\tb\nc\td\n", "a table with tabs"),
        (b"The sea, the wind\nand the rain\n", "plain text"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet table"),
        (b"", "plain text"),
        (b"{" * 4096, "plain text"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(head: bytes, what: str) -> None:
    assert seems_to_be(head).what == what


def test_the_command_for_a_json_array_makes_json_lines(tmp_path: Path) -> None:
    (tmp_path / "OLD").write_text('[\n {"text": "caf\u00e9"},\n {"text": "b"}\n]', encoding="utf-8")
    command = JSON_ARRAY.remedy.partition("`")[2].removesuffix("`").replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    content = (tmp_path / "NEW.jsonl").read_bytes()
    assert texts(content, ".jsonl", table_columns()) == ["caf\u00e9", "b"]
