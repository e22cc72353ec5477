"""The report's section on the n-gram memory: how large it is, and what it contributes to the predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charloom.evaluation.contribution import Contribution
from charloom.evaluation.evaluation import Reading
from charloom.model.memory import TEXT, Memory
from charloom.text.vocab import Vocabulary

BEFORE = 24  # the table shows this many characters before each symbol
ROWS = 4  # the table has at most this many examples of the memory, and as many of the network


@dataclass(frozen=True)
class Example:
    """A symbol of an article, and its bits by each part of the model."""

    before: str  # the characters before it
    symbol: str
    memory_bits: float  # by the memory alone
    network_bits: float  # by the network, if the memory predicts the same probability for each symbol
    bits: float  # by both together


@dataclass(frozen=True)
class MemorySize:
    """How large a memory is."""

    symbols: int  # of the text that it has counted
    contexts: int
    megabytes: float  # of its part of model.safetensors

    @classmethod
    def of(cls, memory: Memory) -> MemorySize:
        """The size of a memory, with the counts by class."""
        counts = [each for each in (memory.counts, memory.by_class) if each is not None]
        stored = memory.stored
        size = sum(tensor.nbytes for tensor in stored.values())
        return cls(len(stored[TEXT]), sum(each.trie.rows for each in counts), size / 1e6)


@dataclass(frozen=True)
class MemoryTable:
    """What the memory and the network contribute in the articles that the report shows."""

    examples: Sequence[Example]
    memory_bits: float  # the mean over all symbols of these articles
    network_bits: float
    bits: float


def memory_table(readings: Sequence[Reading], vocabulary: Vocabulary) -> MemoryTable | None:
    """The table for these articles. None if there are no articles, or if the model has no memory.

    The first examples show where the memory saves the most bits: one symbol for each of at most ROWS articles. The
    other examples show the same for the network.
    """
    articles = [_examples(reading, reading.contribution, vocabulary) for reading in readings if reading.contribution]
    if not articles:
        return None
    by_memory = _largest(articles, lambda each: each.network_bits - each.bits)
    by_network = _largest(articles, lambda each: each.memory_bits - each.bits)
    bits = [(each.memory_bits, each.network_bits, each.bits) for article in articles for each in article]
    return MemoryTable([*by_memory, *by_network], *np.mean(bits, 0).tolist())


def _largest(articles: Sequence[Sequence[Example]], saved: Callable[[Example], float]) -> list[Example]:
    """The example of each article that has the largest `saved`, of at most ROWS articles, the largest first."""
    return sorted((max(examples, key=saved) for examples in articles), key=saved, reverse=True)[:ROWS]


def _examples(reading: Reading, parts: Contribution, vocabulary: Vocabulary) -> list[Example]:
    """The symbols of an article. Rounding can make bits slightly negative, so they are limited to 0."""
    text = ["■" if symbol == vocabulary.eos else vocabulary.decode([symbol]) for symbol in reading.codes.tolist()]
    bits = zip(parts.memory_bits.tolist(), parts.network_bits.tolist(), reading.surprisal.bits.tolist(), strict=True)
    return [
        Example("".join(text[max(0, place - BEFORE) : place]), text[place], *(max(0.0, each) for each in of_symbol))
        for place, of_symbol in enumerate(bits)
    ]
