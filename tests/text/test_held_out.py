"""A digest of the text decides which training articles are held out for validation."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.corpus.articles import Article
from charloom.corpus.digests import falls_to_test
from charloom.errors import InputError
from charloom.text.held_out import hold_out

WORDS = [f"article {number}" for number in range(2000)]


def held_out(texts: Sequence[str], fraction: float = 0.1, seed: int = 1) -> list[str]:
    """The texts that are held out. Asserts that the other texts stay in the training split."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        path.write_text("".join(f'"1","{text}"\n' for text in texts))
        kept, held = hold_out(path, fraction, seed).divide(Article(1, text) for text in texts)
    assert sorted(article.text for article in [*kept, *held]) == sorted(texts)
    return [article.text for article in held]


@given(
    texts=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=20).filter(lambda texts: len(set(texts)) > 1),
    fraction=st.floats(1e-9, 1 - 1e-9),
    seed=st.integers(0, 2**63 - 1),
)
def test_both_splits_have_an_article_and_copies_stay_together(texts: list[str], fraction: float, seed: int) -> None:
    held = held_out(texts, fraction, seed)
    assert 0 < len(held) < len(texts)
    assert held == [text for text in texts if text in held]


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.9])
def test_about_the_fraction_is_held_out(fraction: float) -> None:
    assert len(held_out(WORDS, fraction)) / len(WORDS) == pytest.approx(fraction, abs=0.03)


def test_if_no_digest_is_low_enough_one_text_with_all_its_copies_is_held_out() -> None:
    held = held_out([*WORDS, *WORDS], fraction=1e-9)
    assert len(held) == 2
    assert held[0] == held[1]


def test_if_all_digests_are_low_one_text_with_all_its_copies_stays() -> None:
    kept = set(WORDS) - set(held_out([*WORDS, *WORDS], fraction=1 - 1e-9))
    assert len(kept) == 1


def test_additional_articles_do_not_move_an_article_to_the_other_split() -> None:
    few, many = set(held_out(WORDS[:200])), set(held_out(WORDS[::-1]))
    assert few == many & set(WORDS[:200])


def test_a_smaller_fraction_gives_a_subset() -> None:
    assert set(held_out(WORDS, 0.05)) < set(held_out(WORDS, 0.1))


def test_a_different_seed_gives_a_different_split() -> None:
    assert held_out(WORDS, seed=1) != held_out(WORDS, seed=2**63 - 1)


def test_the_split_of_known_texts_never_changes() -> None:
    assert held_out(WORDS[:40]) == ["article 5", "article 6", "article 15", "article 37"]


def test_the_digest_that_decided_the_test_split_does_not_decide_the_validation_split() -> None:
    train = [word for word in WORDS if not falls_to_test(word, 0.1, seed=1)]
    assert len(held_out(train, fraction=0.05, seed=1)) / len(train) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("texts", "different"), [([], 0), (["a"], 1), (["a"] * 5, 1)])
def test_fewer_than_two_different_articles_are_rejected(texts: list[str], different: int) -> None:
    with pytest.raises(InputError, match=rf"train\.csv: {different} different article\(s\); at least two are needed"):
        held_out(texts)
