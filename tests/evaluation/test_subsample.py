"""A random sample of a split: whole articles, at most so many characters, always the same for a seed."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from charloom.evaluation.subsample import subsample
from charloom.text.split import UNLABELLED, EncodedSplit
from charloom.text.vocab import Vocabulary
from tests.text.splits import encode_texts, window_params

LENGTHS = (3, 40, 1, 7, 12, 25, 2, 18, 30, 5)
TEXTS = [letter * length for letter, length in zip("abcdefghij", LENGTHS, strict=True)]
LETTERS = Vocabulary.build(["abcdefghi"])  # j is unknown


@pytest.fixture(params=["stream", "article"])
def split(tmp_path: Path, request: pytest.FixtureRequest) -> EncodedSplit:
    return encode_texts(tmp_path / "split", TEXTS, window_params(4, 4, request.param), LETTERS)


def articles(split: EncodedSplit) -> list[tuple[str, int]]:
    """The text and the class id of each article."""
    texts = [
        LETTERS.decode(split.article(index)[1:-1]).replace("\N{REPLACEMENT CHARACTER}", "j")
        for index in range(split.articles)
    ]
    return list(zip(texts, split.classes.tolist(), strict=True))


@pytest.mark.parametrize("limit", [1, 20, 60, 142])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sample_is_whole_articles_in_the_order_of_the_split(split: EncodedSplit, limit: int, seed: int) -> None:
    sample = subsample(split, LETTERS, limit, seed)
    assert 0 < sample.characters <= limit
    if sample.articles > 1:
        assert sample.characters > limit - max(LENGTHS)
    for text, class_id in articles(sample):
        assert text == TEXTS[class_id] or sample.characters == limit < len(TEXTS[class_id])
    assert sample.classes.tolist() == sorted(sample.classes.tolist())
    assert sample.codes.dtype == split.codes.dtype
    assert sample.codes.tolist().count(LETTERS.eos) == sample.articles + 1
    assert sample.unknown == sum(text.count("j") for text, _ in articles(sample))


def test_the_same_seed_gives_the_same_sample_and_another_seed_another(split: EncodedSplit) -> None:
    samples = [articles(subsample(split, LETTERS, 60, seed)) for seed in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2]


def test_every_article_can_be_drawn(split: EncodedSplit) -> None:
    drawn = [class_id for seed in range(200) for _, class_id in articles(subsample(split, LETTERS, 71, seed))]
    counts = np.bincount(drawn, minlength=len(TEXTS))
    assert (counts > 60).all()


def test_a_split_that_is_not_larger_is_its_own_sample(split: EncodedSplit) -> None:
    assert subsample(split, LETTERS, split.characters, 1) is split
    assert subsample(split, LETTERS, split.characters - 1, 1).articles < split.articles


def test_an_article_that_is_longer_than_the_limit_is_cut(tmp_path: Path) -> None:
    split = encode_texts(tmp_path, ["abc" * 10, "def" * 10], window_params(4, 4, "stream"))
    sample = subsample(split, LETTERS, 8, 1)
    assert articles(sample) in ([("abcabcab", 0)], [("defdefde", 1)])


def test_labelled_articles_are_drawn_first(split: EncodedSplit) -> None:
    """With few labels, a sample of independent articles would have almost no labelled ones."""
    for seed in range(20):
        labelled = split.labelled(0.3, seed)
        sample = subsample(labelled, LETTERS, 100, seed)
        assert np.count_nonzero(sample.classes != UNLABELLED) == 3


def test_the_memory_grows_with_the_sample_and_not_with_the_split() -> None:
    long, count = 100_000, 2_000
    codes = np.zeros(1 + count * (long + 1), dtype=np.uint8)
    offsets = np.arange(1, len(codes) + 1, long + 1, dtype=np.uint64)
    codes[offsets - 1] = LETTERS.eos
    split = EncodedSplit(
        codes=codes,
        offsets=offsets,
        classes=np.zeros(count, dtype=np.uint16),
        length=4,
        stride=4,
        scope="stream",
        unknown=0,
        class_names=["one"],
    )
    tracemalloc.start()
    sample = subsample(split, LETTERS, 10 * long, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sample.articles == 10
    assert peak < 3 * sample.characters < split.characters / 50
