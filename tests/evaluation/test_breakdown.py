"""The parts of a tiny split, whose costs were added up by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from charloom.corpus.articles import Article
from charloom.evaluation.arrays import Floats
from charloom.evaluation.breakdown import POSITIONS, Breakdown, BreakdownPart, article_nats, break_down
from charloom.evaluation.subsample import pieces_of
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from tests.learning import Encoded, default_params, encode_sample

TEXTS = [(1, "Ab c, 1é"), (3, "a\n"), (1, "Ωx")]  # Ω is unknown, no article has class 2
NAMES = ["one", "two", "three"]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.build(["Ab c, 1é", "a\nx"])


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary) -> EncodedSplit:
    folder = tmp_path_factory.mktemp("split")
    articles = [Article(label, text) for label, text in TEXTS]
    write_split(folder, articles, vocabulary, default_params().windows, np.dtype(np.uint16))
    return EncodedSplit.load(folder)


@pytest.fixture
def parts(split: EncodedSplit, vocabulary: Vocabulary) -> Breakdown:
    """The breakdown if the symbols cost 1, 2, 3, … nats. The three articles cost 1 to 9, 10 to 12 and 13 to 15."""
    return break_down([(split, np.arange(1.0, len(split.codes)))], NAMES, vocabulary)


def test_eos_counts_in_the_nats_of_a_class_but_not_in_its_characters(parts: Breakdown) -> None:
    first, second, third = 45, 10 + 11 + 12, 13 + 14 + 15
    assert parts.by_class == [BreakdownPart("one", 10, (first + third) / 10), BreakdownPart("three", 2, second / 2)]


def test_positions_are_counted_from_one_and_include_the_end(parts: Breakdown) -> None:
    assert parts.by_position == [
        BreakdownPart("1", 3, (1 + 10 + 13) / 3),
        BreakdownPart("2", 3, (2 + 11 + 14) / 3),
        BreakdownPart("3", 3, (3 + 12 + 15) / 3),
        BreakdownPart("4", 2, (4 + 5) / 2),
        BreakdownPart("6", 2, (6 + 7) / 2),
        BreakdownPart("8", 2, (8 + 9) / 2),
    ]


def test_bits_are_nats_divided_by_the_logarithm_of_two() -> None:
    assert BreakdownPart("a", 1, 3 * math.log(2)).bits == pytest.approx(3)


def test_each_symbol_has_a_kind(parts: Breakdown) -> None:
    # A b _ c , _ 1 é <eos> | a \n <eos> | Ω x <eos>
    assert parts.by_kind == [
        BreakdownPart("first letter of a word", 5, (1 + 4 + 8 + 10 + 14) / 5),
        BreakdownPart("other letters", 1, 2),
        BreakdownPart("spaces", 3, (3 + 6 + 11) / 3),
        BreakdownPart("digits", 1, 7),
        BreakdownPart("punctuation and signs", 2, (5 + 13) / 2),
        BreakdownPart("end of the article", 3, (9 + 12 + 15) / 3),
    ]


def test_the_parts_of_a_real_split_add_up_to_the_whole(tmp_path: Path) -> None:
    encoded: Encoded = encode_sample(tmp_path)
    test = encoded.test
    nats = np.random.default_rng(1).exponential(size=len(test.codes) - 1).astype(np.float32)
    parts = break_down([(test, nats)], ["World", "Sports", "Business", "Sci/Tech"], encoded.vocabulary)
    whole = pytest.approx(float(nats.sum(dtype=np.float64)))
    for each in parts:
        assert sum(part.size * part.nats for part in each) == whole
    assert article_nats(test, nats).sum() == whole
    assert sum(part.size for part in parts.by_class) == test.characters
    assert sum(part.size for part in parts.by_position) == test.characters + test.articles
    assert [int(part.name) for part in parts.by_position] == list(POSITIONS[: len(parts.by_position)])


@pytest.mark.parametrize("symbols", [1, 1000, 10**9])
def test_a_split_in_pieces_has_the_same_breakdown(tmp_path: Path, symbols: int) -> None:
    encoded = encode_sample(tmp_path)
    test, names = encoded.test, ["World", "Sports", "Business", "Sci/Tech"]
    nats = np.random.default_rng(1).exponential(size=len(test.codes) - 1)

    def pieces() -> Iterator[tuple[EncodedSplit, Floats]]:
        end = 0
        for piece in pieces_of(test, symbols):
            begin, end = end, end + len(piece.codes) - 1
            yield piece, nats[begin:end]

    assert sum(piece.articles for piece in pieces_of(test, symbols)) == test.articles
    assert max(len(piece.codes) for piece in pieces_of(test, symbols)) <= max(symbols, int(test.lengths.max())) + 1
    for found, expected in zip(
        break_down(pieces(), names, encoded.vocabulary),
        break_down([(test, nats)], names, encoded.vocabulary),
        strict=True,
    ):
        assert [part.size for part in found] == [part.size for part in expected]
        assert [part.nats for part in found] == pytest.approx([part.nats for part in expected])
