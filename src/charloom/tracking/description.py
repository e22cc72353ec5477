"""A run in words: Markdown that MLflow shows above its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

SHOWN = 1000  # characters of a sample; MLflow takes 8,000 a tag
_WORD = re.compile(r"[^\W\d_]+")


def words_of(split: EncodedSplit, vocabulary: Vocabulary) -> set[str]:
    """The words of a split's articles, in lower case."""
    texts = (vocabulary.decode(split.article(index)) for index in range(split.articles))
    return {word for text in texts for word in _words(text)}


def describe(params: Mapping[str, Any], test: Mapping[str, float], samples: Path, words: Set[str]) -> str:
    """The result and the best sample: the one with most different words of the test split, by its own words."""
    model = f"{params.get('model.cell')} of {params.get('model.layers')} × {params.get('model.hidden_size')} units"
    scores = f"{test['bpc']:.4f} bits per character on the test split, perplexity {test['perplexity']:.3f}"
    lines = [f"**{model}**: {scores}."]
    if found := list(_read_samples(samples)):
        heading, text = max(found, key=lambda sample: _quality(sample[1], words))
        known = len(words & set(_words(text)))
        lines.append(
            f"Best of {len(found)} samples ({heading}; different words that the test split has too: {known} of"
            f" {len(_words(text))} words):"
        )
        lines.append("\n".join(f"    {line}" for line in text[:SHOWN].splitlines()))  # an indented block: as it is
    return "\n\n".join(lines)


def _quality(text: str, words: Set[str]) -> float:
    return len(words & set(_words(text))) / max(1, len(_words(text)))


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _read_samples(path: Path) -> Iterator[tuple[str, str]]:
    """Heading and text of each sample in samples.txt."""
    if not path.exists():
        return
    heading = ""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        if title := re.fullmatch(r"\n?=== (.*) ===", block):
            heading = title[1]
        elif block.strip():
            yield heading, block.strip("\n")
