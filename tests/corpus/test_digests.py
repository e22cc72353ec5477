"""Digests of texts decide the test split, and find the texts that two splits share."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.corpus.digests import Overlap, falls_to_test

WORDS = [f"article {number}" for number in range(200)]
FEW_TEXTS = st.lists(st.sampled_from(["", "a", "b", "c", "\U0001f600", "aa"]))


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_the_share_of_the_test_split_is_test_fraction(fraction: float) -> None:
    share = sum(falls_to_test(f"text {number}", fraction, seed=3) for number in range(5000)) / 5000
    assert share == pytest.approx(fraction, abs=0.03)


def test_a_different_seed_gives_a_different_split() -> None:
    one, two = ([falls_to_test(word, 0.5, seed) for word in WORDS] for seed in (1, 2**63 - 1))
    assert one != two


def test_the_split_of_known_texts_never_changes() -> None:
    assert [word for word in WORDS[:20] if falls_to_test(word, 0.2, seed=1)] == [
        "article 0",
        "article 3",
        "article 6",
        "article 14",
        "article 15",
        "article 16",
    ]


def test_a_seed_of_the_highest_value_gives_a_split() -> None:
    assert 0 < sum(falls_to_test(word, 0.5, 2**63 - 1) for word in WORDS) < len(WORDS)


@given(test=FEW_TEXTS, train=FEW_TEXTS)
def test_overlap_counts_what_a_plain_loop_counts(test: list[str], train: list[str]) -> None:
    overlap = Overlap()
    assert not any(overlap.note("test", text) for text in test)
    assert [overlap.note("train", text) for text in train] == [text in test for text in train]
    assert overlap.counts == {
        "duplicates": sum(text in test for text in train),
        "test_duplicates": sum(text in train for text in test),
    }


def test_overlap_needs_about_nine_bytes_for_each_test_text() -> None:
    texts = 100_000
    tracemalloc.start()
    try:
        overlap = Overlap()
        for number in range(texts):
            overlap.note("test", f"text {number}")
        for number in range(0, 2 * texts, 2):
            overlap.note("train", f"text {number}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert overlap.counts == {"duplicates": texts // 2, "test_duplicates": texts // 2}
    assert peak < 12 * texts
