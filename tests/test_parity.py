"""charloom reads the same articles as torchtext 0.18, and gives their characters the same ids."""

from __future__ import annotations

import shutil
from collections import Counter, OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import Article, read_articles
from charloom.errors import InputError
from charloom.extras import load_torchtext
from charloom.text.vocab import Vocabulary

pytestmark = pytest.mark.usefixtures("torchtext")

TEXTS = st.lists(st.text(max_size=30), max_size=6).filter(lambda texts: len(set("".join(texts))) > 1)


@pytest.fixture(scope="module")
def articles(ag_news_26k: Path) -> list[Article]:
    """The official test split of AG_NEWS, read by charloom."""
    return list(read_articles(ag_news_26k / "test.csv"))


def counted(texts: Iterable[str]) -> Counter[str]:
    """Count characters as the tutorial does that README.md names."""
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(text)
    return counter


def torchtext_vocab(tokens: Iterable[str], **options: Any) -> Any:
    return load_torchtext().vocab.vocab(OrderedDict.fromkeys(tokens, 1), **options)


def test_the_articles_are_those_that_torchtext_reads(
    articles: list[Article], ag_news_26k: Path, tmp_path: Path
) -> None:
    placed = tmp_path / "datasets" / "AG_NEWS" / "test.csv"
    placed.parent.mkdir(parents=True)
    shutil.copyfile(ag_news_26k / "test.csv", placed)
    pairs = list(load_torchtext().datasets.AG_NEWS(root=str(tmp_path), split="test"))
    assert len(pairs) == 7600
    assert [(article.label, article.text) for article in articles] == pairs


def test_the_ids_are_those_of_torchtexts_vocabulary(articles: list[Article]) -> None:
    texts = [article.text for article in articles]
    vocab = load_torchtext().vocab.vocab(counted(texts))
    vocabulary = Vocabulary.build(texts)
    assert len(vocab) == len(vocabulary.characters) == 82
    assert [vocabulary.encode(text).tolist() for text in texts] == [vocab(list(text)) for text in texts]


@settings(deadline=None, max_examples=25)
@given(TEXTS, st.text(max_size=40), st.integers(1, 3))
def test_a_vocabulary_converted_to_torchtext_and_back_is_the_same(texts: list[str], other: str, min_count: int) -> None:
    counter = counted(texts)
    if sum(count >= min_count for count in counter.values()) < 2:
        min_count = 1
    vocabulary = Vocabulary.build(texts, min_count=min_count)
    vocab = vocabulary.to_torchtext()
    assert len(vocab) == len(vocabulary)
    assert vocab(list(other)) == vocabulary.encode(other).tolist()
    assert Vocabulary.from_torchtext(vocab, counter) == vocabulary


@settings(deadline=None, max_examples=25)
@given(TEXTS)
def test_a_vocabulary_from_torchtext_equals_one_built_by_charloom(texts: list[str]) -> None:
    counter = counted(texts)
    assert Vocabulary.from_torchtext(load_torchtext().vocab.vocab(counter), counter) == Vocabulary.build(texts)


@pytest.mark.parametrize(
    ("tokens", "options"),
    [
        ("ab", {"specials": ["<unk>"]}),
        ("ab", {"specials": ["<unk>", "<eos>"], "special_first": False}),
        (["a", "word"], {}),
        (["a", ""], {}),
    ],
)
def test_a_torchtext_vocabulary_with_other_tokens_is_an_error(tokens: Iterable[str], options: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=r"torchtext's vocabulary has the token '\S*'; its tokens must be single characters"
    ):
        Vocabulary.from_torchtext(torchtext_vocab(tokens, **options), {})
