"""Small encoded splits for the tests of this folder."""

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
