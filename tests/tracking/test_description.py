"""A run in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from charloom.corpus.articles import Article
from charloom.params import WindowsParams
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.tracking.description import SHOWN, describe, words_of

PARAMS = {"model.cell": "GRU", "model.layers": 2, "model.hidden_size": 64}
TEST = {"bpc": 2.5, "perplexity": 5.75}
WORDS = {"the", "oil", "prices", "rise"}
SAMPLES = """=== greedy ===

the the the the the

=== temperature 0.8 ===

Qil prixes the

Oil prices <b>rise</b>
"""


def test_the_words_of_a_split_are_in_lower_case_and_none_spans_two_articles(tmp_path: Path) -> None:
    texts = ["Oil rose 5", "it's Ölpreise"]
    vocabulary = Vocabulary.build(texts)
    articles = [Article(1, text) for text in texts]
    write_split(tmp_path, articles, vocabulary, WindowsParams(length=2, stride=1, scope="stream"), np.dtype(np.uint32))
    assert words_of(EncodedSplit.load(tmp_path, len(vocabulary)), vocabulary) == {"oil", "rose", "it", "s", "ölpreise"}


def test_the_best_sample_has_most_different_words_that_are_words(tmp_path: Path) -> None:
    samples = tmp_path / "samples.txt"
    samples.write_text(SAMPLES)
    text = describe(PARAMS, TEST, samples, WORDS)
    assert text.startswith("**GRU of 2 × 64 units**: 2.5000 bits per character")
    assert "Best of 3 samples (temperature 0.8;" in text
    assert text.endswith("\n\n    Oil prices <b>rise</b>")  # indented: Markdown shows it as it is


def test_a_long_sample_is_cut_and_no_sample_is_no_error(tmp_path: Path) -> None:
    samples = tmp_path / "samples.txt"
    assert "Best" not in describe(PARAMS, TEST, samples, WORDS)
    samples.write_text("=== greedy ===\n\n" + "the " * 5000)
    assert SHOWN < len(describe(PARAMS, TEST, samples, WORDS)) < 2 * SHOWN
