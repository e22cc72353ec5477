"""Small encoded splits for the tests of this folder, and a CSV file that is difficult to divide into rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from charloom.corpus.articles import Article
from charloom.params import WindowsParams
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

Scope = Literal["article", "stream"]
LETTERS = Vocabulary.build(["abcdefghij klmnopqrstuvwxyz"])


def window_params(length: int, stride: int, scope: Scope) -> WindowsParams:
    return WindowsParams(length=length, stride=stride, scope=scope)


def encode_texts(
    folder: Path, texts: Sequence[str], params: WindowsParams, vocabulary: Vocabulary = LETTERS
) -> EncodedSplit:
    """Write a split in which each text is an article with its own class (ids 0, 1, …), and open it."""
    articles = (Article(label, text) for label, text in enumerate(texts, start=1))
    write_split(folder, articles, vocabulary, params, np.dtype(np.uint32))
    return EncodedSplit.load(folder)


def write_difficult_rows(path: Path, more: bytes = b"") -> Path:
    """Write 200 rows with quoted newlines and quotes, and blank lines between them.

    The rows have different lengths, so that the borders of equal blocks are at many different places of the rows.
    `more` is written after three quarters of the rows.
    """
    rows = [
        f'"{index % 4 + 1}","{"title " * (index % 7)}\n""{index}""","{chr(0x4E00 + index)}, \r\n\n{"x" * (index % 11)}"'
        for index in range(200)
    ]
    ends = ["\n", "\r\n", "\n\n", "\r", "\n\r\n\n"]
    lines = [(row + ends[index % len(ends)]).encode() for index, row in enumerate(rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join([*lines[:150], more, *lines[150:]]))
    return path
