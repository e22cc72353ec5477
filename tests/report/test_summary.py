"""A corpus in numbers, counted by hand and with AG_NEWS."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from charloom.corpus.articles import SPLITS, read_articles
from charloom.corpus.sources import AG_NEWS
from charloom.errors import InputError
from charloom.files import write_json
from charloom.report.summary import MIN_COUNTS, Summary, summarize
from charloom.text.vocab import Vocabulary
from tests.conftest import WriteRows

TRAIN = [(1, "a", "bb"), (2, "a", "bb"), (1, "x", "yz"), (1, "a", "bb"), (1, "\U0001f600", "\u05d0" * 10)]
TEST = [(2, "a", "bb"), (1, "q", "")]


@pytest.fixture
def summary(tmp_path: Path, write_rows: WriteRows) -> Summary:
    return summarize(write_corpus(tmp_path, write_rows))


def write_corpus(folder: Path, write_rows: WriteRows) -> Path:
    write_rows(folder / "train.csv", TRAIN)
    write_rows(folder / "test.csv", TEST)
    about = {"format": "charloom-source", "version": 1, "source": "mine", "classes": ["sea", "air"]}
    write_json(folder / "source.json", about)
    return folder


def test_articles_characters_and_classes_are_counted(summary: Summary) -> None:
    assert (summary.source, summary.classes) == ("mine", ["sea", "air"])
    assert (summary.train.articles, summary.train.characters) == (5, 4 * 4 + 12)
    assert (summary.test.articles, summary.test.characters) == (2, 4 + 2)
    assert (summary.train.classes, summary.test.classes) == (Counter({1: 4, 2: 1}), Counter({1: 1, 2: 1}))


def test_length_at_is_a_quantile_of_the_lengths(summary: Summary) -> None:
    assert [summary.train.length_at(share) for share in (0, 0.5, 0.8, 0.81, 1)] == [4, 4, 4, 12, 12]


def test_repeats_within_a_split_and_across_the_splits_are_counted_separately(summary: Summary) -> None:
    assert (summary.train.repeated, summary.test.repeated) == (2, 0)
    assert (summary.duplicates, summary.test_duplicates) == (3, 1)


def test_characters_are_sorted_by_count_then_by_first_occurrence(summary: Summary) -> None:
    assert summary.characters == [
        ("\u05d0", 10),
        ("b", 6),
        (" ", 5),
        ("a", 3),
        *((char, 1) for char in "xyz\U0001f600"),
    ]


def test_coverage_equals_that_of_a_vocabulary_with_the_same_min_count(summary: Summary, tmp_path: Path) -> None:
    train, test = (["".join(article.text for article in read_articles(tmp_path / f"{split}.csv"))] for split in SPLITS)
    for each in summary.coverage():
        vocabulary = Vocabulary.build(train, min_count=each.min_count) if each.min_count < 10 else None
        if vocabulary:
            shares = [float((vocabulary.encode(text) != vocabulary.unk).mean()) for (text,) in (train, test)]
            assert each.characters == len(vocabulary.characters)
            assert [each.train, each.test] == pytest.approx(shares)
    assert [each.min_count for each in summary.coverage()] == list(MIN_COUNTS)
    assert summary.coverage()[-1].characters == 1


def test_an_empty_folder_is_an_error_that_says_how_to_fetch_a_corpus(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no corpus here; `dvc repro download` fetches the one that params\.yaml names"
    ):
        summarize(tmp_path)


def test_a_split_without_text_is_an_error(tmp_path: Path, write_rows: WriteRows) -> None:
    write_corpus(tmp_path, write_rows)
    (tmp_path / "test.csv").write_bytes(b"")
    with pytest.raises(InputError, match=r"test\.csv: contains no text"):
        summarize(tmp_path)


def test_ag_news_has_its_known_characters(ag_news_26k: Path, tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / f"{split}.csv").symlink_to(ag_news_26k / f"{split}.csv")
    about = {"format": "charloom-source", "version": 1, "source": "ag_news", "classes": ["1", "2", "3", "4"]}
    write_json(tmp_path / "source.json", about)
    summary = summarize(tmp_path)
    assert (len(summary.characters), summary.test.articles, len(AG_NEWS)) == (82, 7600, 2)
    assert set(summary.test.classes.values()) == {1900}
