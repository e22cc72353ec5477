"""Decides which training articles become the validation split. A digest of the article's text decides.

So copies of an article are in the same split. Articles that are added later do not move other articles to the other
split, and every process can decide for itself, without memory for the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from charloom.corpus.articles import Article, read_articles
from charloom.corpus.digests import text_digest
from charloom.errors import InputError


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The rule for the validation split: an article is held out if the digest of its text is less than `bound`."""

    key: bytes
    bound: int

    def divide(self, articles: Iterable[Article]) -> tuple[list[Article], list[Article]]:
        """The articles that stay in the training split, and the articles that are held out."""
        kept: list[Article] = []
        held_out: list[Article] = []
        for article in articles:
            (held_out if text_digest(article.text, self.key) < self.bound else kept).append(article)
        return kept, held_out


def hold_out(path: Path, fraction: float, seed: int) -> HeldOut:
    """The rule that holds out about `fraction` of the articles of train.csv.

    Both splits get at least one article. In a small corpus, it can happen that all digests are on the same side of
    the bound. Then the text with the lowest digest alone is held out, or the text with the highest digest alone stays.

    Reads articles until both splits have one. Raises InputError if there are fewer than two different articles.
    """
    # falls_to_test has another key. With the same key, all texts with low digests would be in the test split already.
    key = b"valid" + seed.to_bytes(8, "big")
    bound = int(fraction * 2**64)
    lowest, highest = 2**64, -1
    for article in read_articles(path):
        digest = text_digest(article.text, key)
        lowest, highest = min(lowest, digest), max(highest, digest)
        if lowest < bound <= highest:
            return HeldOut(key, bound)
    if lowest >= highest:
        raise InputError(
            f"{path}: {int(highest >= 0)} different article(s); at least two are needed, one of them for validation;"
            " add articles, or set data.article_end: line if each line of a text is an article, or 1000 to cut one long"
            " text into articles"
        )
    return HeldOut(key, highest if highest < bound else lowest + 1)
