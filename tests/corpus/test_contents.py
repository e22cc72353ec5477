"""What a file without a known ending seems to be."""

from __future__ import annotations

import pytest

from charloom.corpus.contents import seems_to_be


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b'[{"text": "a"}, ', "a JSON array, not JSON lines"),
        (b'\xef\xbb\xbf [\n  "a",\n', "a JSON array, not JSON lines"),
        (b"[Verse 1]\nThe sea", "plain text"),
        (b'{"text": "a"}\n{"text": ', "JSON lines"),
        (b'{\n  "text": "a"\n}', "one JSON object"),
        (b"{sings} The sea", "plain text"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b"<3 the sea", "plain text"),
        (b"a,b\nc,d\ne", "a table with commas"),
        (b"a\tb\nc\td\n", "a table with tabs"),
        (b"The sea, the wind\nand the rain\n", "plain text"),
        (b"PAR1", "a Parquet table"),
        (b"", "plain text"),
        (b"{" * 4096, "plain text"),
    ],
)
def test_the_first_bytes_say_what_a_file_is(head: bytes, what: str) -> None:
    assert seems_to_be(head).what == what
