"""The description of a run: its scores and its best sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from charloom.corpus.articles import Article
from charloom.evaluation.samples import SampleGroup
from charloom.params import WindowsParams
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.tracking.description import SHOWN, describe, words_of

MODEL = "GRU, 2 layers of 64 units"
TEST = {"bpc": 2.5, "perplexity": 5.75}
WORDS = {"the", "oil", "prices", "rise"}
GREEDY = SampleGroup(0.0, None, ["the the the the the"])


def test_the_words_of_a_split_are_in_lower_case_and_end_with_their_article(tmp_path: Path) -> None:
    texts = ["Oil rose 5", "it's Ölpreise"]
    vocabulary = Vocabulary.build(texts)
    articles = [Article(1, text) for text in texts]
    write_split(tmp_path, articles, vocabulary, WindowsParams(length=2, stride=1, scope="stream"), np.dtype(np.uint32))
    assert words_of(EncodedSplit.load(tmp_path, len(vocabulary)), vocabulary) == {"oil", "rose", "it", "s", "ölpreise"}


def test_the_best_sample_has_the_largest_share_of_different_words_of_the_test_split() -> None:
    samples = [GREEDY, SampleGroup(0.8, None, ["Qil prixes the", "Oil prices <b>rise</b>"])]
    text = describe(MODEL, TEST, samples, WORDS)
    assert text.startswith("**GRU, 2 layers of 64 units**: 2.5000 bits per character")
    assert "The best of 3 samples (temperature 0.8) has 5 words, and 3 different words of this sample" in text
    assert text.endswith("\n\n    Oil prices <b>rise</b>")  # indented, so that Markdown shows it unchanged


def test_a_sample_with_an_empty_line_is_one_sample() -> None:
    samples = [GREEDY, SampleGroup(1.0, "Sports", ["Oil\n\n\nprices rise\n"])]
    text = describe(MODEL, TEST, samples, WORDS)
    assert "The best of 2 samples (class Sports) has 3 words" in text
    assert text.endswith("\n\n    Oil\n    \n    \n    prices rise")


def test_a_long_sample_is_cut() -> None:
    text = describe(MODEL, TEST, [SampleGroup(0.0, None, ["the " * 5000])], WORDS)
    assert SHOWN < len(text) < 2 * SHOWN


def test_a_run_without_samples_is_described_by_its_scores_alone() -> None:
    for samples in ([], [SampleGroup(0.0, None, ["\n"])]):
        assert describe(MODEL, TEST, samples, WORDS).endswith("perplexity 5.750.")


def test_control_characters_of_a_sample_and_of_a_class_name_are_shown_as_escapes() -> None:
    text = describe(MODEL, TEST, [SampleGroup(0.8, "\x1b[2J", ["Oil \x1b]0;owned\x07"])], WORDS)
    assert r"class \x1b[2J" in text
    assert r"Oil \x1b]0;owned\x07" in text
    assert "\x1b" not in text
