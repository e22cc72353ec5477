from __future__ import annotations

import tracemalloc
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import SPLITS, Article, read_articles
from charloom.corpus.intake import ClassedText, Rules, Source, take_in
from charloom.errors import InputError
from charloom.params import Normalization

AS_IT_IS = Rules("none", deduplicate=False, test_fraction=0.5, seed=1)
WORDS = [f"article {number}" for number in range(200)]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def without_classes(texts: Iterable[str]) -> list[ClassedText]:
    return [(None, text) for text in texts]


def taken(folder: Path, rules: Rules = AS_IT_IS, **splits: Iterable[ClassedText]) -> dict[str, list[Article]]:
    take_in(Source(splits), folder, rules)
    return {split: list(read_articles(folder / f"{split}.csv")) for split in SPLITS}


def texts(folder: Path, rules: Rules, **splits: Iterable[str]) -> dict[str, list[str]]:
    found = taken(folder, rules, **{split: without_classes(each) for split, each in splits.items()})
    return {split: [article.text for article in articles] for split, articles in found.items()}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(TEXT, max_size=5))
def test_any_text_is_written_unchanged(tmp_path: Path, some: list[str]) -> None:
    kept = [text for text in some if text.strip()]
    found = texts(tmp_path, AS_IT_IS, train=["a", *some], test=["b"])
    assert found == {"train": ["a", *kept], "test": ["b"]}


def test_labels_follow_the_sorted_class_names(tmp_path: Path) -> None:
    train = [("sea", "a"), ("air", "b"), ("land", "c"), ("sea", "d")]
    names, _ = take_in(Source({"train": train, "test": [("land", "e")]}), tmp_path, AS_IT_IS)
    assert names == ["air", "land", "sea"]
    assert [article.label for article in read_articles(tmp_path / "train.csv")] == [3, 1, 2, 3]
    assert list(read_articles(tmp_path / "test.csv")) == [Article(2, "e")]


def test_class_names_that_are_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    names, _ = take_in(Source({"train": [("10", "a"), ("9", "b")], "test": [("2", "c")]}), tmp_path, AS_IT_IS)
    assert names == ["2", "9", "10"]


def test_a_corpus_that_lists_its_class_names_keeps_its_labels(tmp_path: Path) -> None:
    source = Source({"train": [(1, "x")], "test": [(3, "y")]}, class_names=("b", "c", "a"))
    assert take_in(source, tmp_path, AS_IT_IS)[0] == ["b", "c", "a"]
    assert list(read_articles(tmp_path / "test.csv")) == [Article(3, "y")]


def test_a_corpus_without_classes_gets_the_class_all(tmp_path: Path) -> None:
    names, _ = take_in(Source({"train": [(None, "x")], "test": [(None, "y")]}), tmp_path, AS_IT_IS)
    assert names == ["all"]


def test_more_than_65535_classes_are_rejected(tmp_path: Path) -> None:
    train = ((str(number), "x") for number in range(70_000))
    with pytest.raises(InputError, match=r"more than 65535 classes; does data\.class_column name the right column\?"):
        taken(tmp_path, train=train, test=[("a", "b")])
    assert list(tmp_path.iterdir()) == []


def test_additional_articles_never_move_an_article_to_the_other_split(tmp_path: Path) -> None:
    before = texts(tmp_path, AS_IT_IS, all=WORDS[:100])
    after = texts(tmp_path, AS_IT_IS, all=WORDS[::-1])
    for split in SPLITS:
        assert set(before[split]) == set(after[split]) & set(WORDS[:100])


def test_copies_of_an_article_are_in_the_same_split(tmp_path: Path) -> None:
    found = texts(tmp_path, AS_IT_IS, all=WORDS * 2)
    assert not set(found["train"]) & set(found["test"])


@pytest.mark.parametrize("deduplicate", [False, True])
def test_training_texts_that_are_also_in_test_are_counted_or_dropped(tmp_path: Path, deduplicate: bool) -> None:
    rules = Rules("none", deduplicate, 0.5, 1)
    train, test = ["a", "b", "a", "c", "c"], ["a", "d", "d"]
    source = Source({"train": without_classes(train), "test": without_classes(test)})
    _, counts = take_in(source, tmp_path, rules)
    assert (counts["duplicates"], counts["test_duplicates"]) == (2, 1)
    kept = [article.text for article in read_articles(tmp_path / "train.csv")]
    assert kept == (["b", "c", "c"] if deduplicate else train)
    assert (counts["train"], counts["test"]) == (len(kept), 3)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("none", ["e\u0301", "\ufb01", "\u212b"]),
        ("NFC", ["\u00e9", "\ufb01", "\u00c5"]),
        ("NFKC", ["\u00e9", "fi", "\u00c5"]),
    ],
)
def test_text_is_normalized(tmp_path: Path, form: Normalization, expected: list[str]) -> None:
    found = texts(tmp_path, Rules(form, False, 0.5, 1), train=["e\u0301", "\ufb01", "\u212b"], test=["x"])
    assert found["train"] == expected


def test_duplicates_and_splits_depend_on_the_normalized_text(tmp_path: Path) -> None:
    composed = [f"caf\u00e9 {number}" for number in range(50)]
    apart = [unicodedata.normalize("NFD", text) for text in composed]
    rules = Rules("NFC", True, 0.5, 1)
    assert texts(tmp_path, rules, train=[apart[0], "x"], test=[composed[0]])["train"] == ["x"]
    assert texts(tmp_path, rules, all=composed) == texts(tmp_path, rules, all=apart)


def test_empty_texts_are_skipped_and_counted(tmp_path: Path) -> None:
    _, counts = take_in(Source({"all": without_classes([*WORDS, "", " \n\u3000"])}), tmp_path, AS_IT_IS)
    assert (counts["empty"], counts["train"] + counts["test"]) == (2, len(WORDS))


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        ({"train": [], "test": ["a"]}, "the corpus has no article for train"),
        ({"train": ["a"], "test": [" "]}, "the corpus has no article for test that contains text"),
        ({"train": ["a"]}, "the corpus has no article for test"),
        ({"all": []}, "the corpus has no article for train"),
        (
            {"all": ["a"]},
            r"the corpus has 1 article of 1 characters, too few to split: data\.test_fraction = 0\.5 leaves none for"
            " (train|test); add articles$",
        ),
    ],
)
def test_a_split_without_articles_is_rejected(tmp_path: Path, splits: dict[str, list[str]], says: str) -> None:
    with pytest.raises(InputError, match=says):
        texts(tmp_path, AS_IT_IS, **splits)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    rules = Rules("NFC", True, 0.01, 1)
    source = Source({"all": ((str(number % 3), f"{number} " + "x" * 1000) for number in range(20_000))})
    tracemalloc.start()
    try:
        take_in(source, tmp_path, rules)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "train.csv").stat().st_size > 10 * peak
