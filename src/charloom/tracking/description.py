"""A run in words: Markdown that MLflow shows above the numbers of the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from textwrap import indent

from charloom.evaluation.samples import SampleGroup
from charloom.terminal import harmless
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

SHOWN = 1000  # a longer sample is cut to this number of characters; MLflow accepts 8,000 characters in a tag
_WORD = re.compile(r"[^\W\d_]+")


def words_of(split: EncodedSplit, vocabulary: Vocabulary) -> set[str]:
    """The words of the articles of a split, in lower case."""
    texts = (vocabulary.decode(split.article(index)) for index in range(split.articles))
    return {word for text in texts for word in _words(text)}


def describe(model: str, test: Mapping[str, float], samples: Iterable[SampleGroup], words: Set[str]) -> str:
    """The model, its test scores, and the best of its samples. `words` are the words of the test split.

    The best sample is the one with the highest quality (see `_quality`).
    """
    scores = f"{test['bpc']:.4f} bits per character on the test split, perplexity {test['perplexity']:.3f}"
    lines = [f"**{model}**: {scores}."]
    if texts := [(group.heading, text) for group in samples for text in group.texts if text.strip()]:
        heading, text = max(texts, key=lambda sample: _quality(sample[1], words))
        known = len(words & set(_words(text)))
        lines.append(
            f"The best of {len(texts)} samples ({harmless(heading)}) has {len(_words(text))} words, and {known}"
            " different words of this sample occur in the test split."
        )
        # an indented block, which Markdown shows unchanged
        lines.append(indent(harmless(text[:SHOWN].strip("\n")), "    ", lambda _: True))
    return "\n\n".join(lines)


def _quality(text: str, words: Set[str]) -> float:
    """The number of different words of a text that are in `words`, divided by the number of all words of the text."""
    return len(words & set(_words(text))) / max(1, len(_words(text)))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
