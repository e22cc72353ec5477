"""A slow n-gram memory over dictionaries, and a small text that repeats contexts of all lengths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.counting import count_classes, make_memory
from charloom.model.counts import Counts
from charloom.model.interpolation import BUCKETS, DENSE_LEVEL, RARE, bucket
from charloom.model.matching import HISTORY, LENGTHS
from charloom.model.memory import MIN_PROBABILITY, Memory

Context = tuple[int, ...]
Floats = npt.NDArray[np.float64]

ALL_NUMBERS = set(range(len(LENGTHS) + 1))  # what `SlowMemory.match` can return
CLASSES = 4  # of the small text
NO_CLASS = CLASSES  # this and all higher ids mean that no class is given


class Counted(NamedTuple):
    """A memory, and the text that it counted."""

    memory: Memory
    text: list[int]
    unseen: list[int]  # another text, with parts of the first one and with a symbol that was never counted
    eos: int
    # The class id of each article of the text. Class 2 has one article, and class 3 has none.
    classes: list[int]

    @property
    def by_class(self) -> Counts:
        """The counts by class. The text must have been counted with a `class_order`."""
        assert self.memory.by_class is not None
        return self.memory.by_class


def count_small_text(order: int, factor: int = 1, class_order: int = 0) -> Counted:
    """Count a text of about 700 symbols. Its ids, from 0 to 6, are multiplied by the factor.

    If `class_order` is not 0, the articles of each class are counted too, with contexts of up to `class_order` symbols.
    The shares are random. They differ from bucket to bucket, so a wrong bucket changes the prediction.
    """
    random = np.random.default_rng(5)
    passage = first_varied(lambda: random.integers(0, 6, 2 * HISTORY).tolist())
    text = [6]
    for _ in range(36):
        text += [*first_varied(lambda: random_article(random, passage)), 6]
    assert max(Counter(text).values()) <= 255, "larger counts are not exact"
    unseen = [6, 3, 3, 3, 0, 7, 1, 2, 1, 1, 6, 0, 6, 6, *passage[10 : 20 + HISTORY], 7]
    unseen += [*passage[5:], *text[:70], 7, 2, *text[200:270]]
    text, unseen = ([factor * symbol for symbol in ids] for ids in (text, unseen))
    symbols, eos = 8 * factor, 6 * factor
    classes = [2 if article == 7 else [0, 1, NO_CLASS, 1, 1, 0][article % 6] for article in range(36)]
    by_class = None
    if class_order:
        labelled, of_class = labelled_text(text, classes, eos)
        by_class = count_classes(torch.tensor(labelled[1:]), torch.tensor(of_class), CLASSES, symbols, eos, class_order)
        by_class.use_shares(random_shares(by_class.order + 1, seed=100)[0])
    memory = make_memory(torch.tensor(text), symbols, eos, order, by_class)
    shares, match_shares = random_shares(order + 1)
    memory.counts.use_shares(shares)
    memory.use_match_shares(match_shares)
    return Counted(memory, text, unseen, eos, classes)


def labelled_text(text: Sequence[int], classes: Sequence[int], eos: int) -> tuple[list[int], list[int]]:
    """The articles that have a class, in one row, and the class id of each of their symbols."""
    of_class = classes_of(text, classes, eos)
    pairs = [(symbol, each) for symbol, each in zip(text[1:], of_class, strict=True) if each < CLASSES]
    return [eos, *(symbol for symbol, _ in pairs)], [class_id for _, class_id in pairs]


def classes_of(text: Sequence[int], classes: Sequence[int], eos: int) -> list[int]:
    """The class id of each target of a text (symbols - 1). `classes` are those of its articles."""
    return [classes[article] for article in articles_of(text, eos)[:, 0].tolist()]


def random_article(random: np.random.Generator, passage: Sequence[int]) -> list[int]:
    """Words, a part of the passage, and words. So contexts of all LENGTHS occur in several articles."""
    words = [[0, 1, 2], [1, 1], [3], [2, 0, 0, 3], [2, 1], [4, 5], [5, 3, 1]]
    random.shuffle(words)
    before, both = sorted(random.integers(len(words), size=2))
    begin = int(random.integers(HISTORY // 2))
    part = passage[begin : begin + int(random.integers(HISTORY + 10))]
    return [symbol for word in (*words[:before], part, *words[before:both]) for symbol in word]


def first_varied(draw: Callable[[], list[int]]) -> list[int]:
    """The first text that does not repeat a long context.

    Reason: if an article repeats a context, `LongContexts.find` may find only places of this article, which it must not
    use, and miss a place of another article.
    """
    while True:
        ids = draw()
        parts = [tuple(ids[place : place + LENGTHS[0]]) for place in range(len(ids) - LENGTHS[0] + 1)]
        if len(set(parts)) == len(parts):
            return ids


def random_shares(levels: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The shares of the counts (levels, BUCKETS), and of the matches (lengths, levels)."""
    random = torch.Generator().manual_seed(seed + levels)
    return torch.rand(levels, BUCKETS, generator=random), torch.rand(len(LENGTHS), levels, generator=random)


def contexts(ids: Sequence[int], eos: int, longest: int) -> Iterator[Context]:
    """The contexts of 0, 1, … `longest` symbols that end with `ids`. They end at the `<eos>` before the article."""
    for n in range(min(longest, len(ids)) + 1):
        context = tuple(ids[len(ids) - n :])
        if eos in context[1:]:
            return
        yield context


def long_contexts(ids: Sequence[int], eos: int) -> Iterator[tuple[int, Context]]:
    """For each of the LENGTHS its number, from 1, and the context of this length that ends with `ids`.

    If the article has fewer symbols so far, the context is all of them. With fewer than LENGTHS[0] there is none.
    """
    *_, longest = contexts(ids, eos, HISTORY)
    if len(longest) >= LENGTHS[0]:
        for number, length in enumerate(LENGTHS, start=1):
            yield number, longest[-length:]


class SlowCounts:
    """The counts of a text in dictionaries. The shares are those of the fast counts."""

    def __init__(self, text: Sequence[int], fast: Counts, eos: int, dense_level: int = DENSE_LEVEL) -> None:
        self.fast, self.eos, self.dense_level = fast, eos, dense_level
        self.rows: dict[Context, Counter[int]] = defaultdict(Counter)
        for place in range(1, len(text)):
            for context in contexts(text[:place], eos, fast.order):
                self.rows[context][text[place]] += 1

    def predict(
        self, before: Sequence[int], target: int | None = None, rare: int = RARE, longest: int = HISTORY
    ) -> tuple[Floats, int]:
        """The probability of each symbol after `before`, and how many levels above the dense levels contributed.

        Contexts of more than `longest` symbols are not used. The `target` is counted once less. The exception are dense
        contexts that the target followed at least `rare` times, and contexts that are shorter than those.
        """
        found = np.full(self.fast.trie.alphabet, 1 / self.fast.trie.alphabet)
        possible = contexts(before, self.eos, min(longest, self.fast.order))
        known = [context for context in possible if self.is_known(context)]
        dense = [context for context in known if len(context) <= self.dense_level]
        common = [len(context) for context in dense if target is not None and self.rows[context][target] >= rare]
        depth = 0
        for context in known:
            row = self.rows[context].copy()
            if target is not None and len(context) > max(common, default=-1):
                row[target] -= 1
            if row.total() > 1:
                found = mixed(found, row, float(self.fast.shares[len(context), bucket_of(row)]))
                depth += len(context) > self.dense_level
        return found, depth

    def is_known(self, context: Context) -> bool:
        """Whether a context was counted at least twice, so that the symbols after it are counted too."""
        return not context or self.rows.get(context[:-1], Counter())[context[-1]] > 1


class SlowMemory:
    """A memory over dictionaries. The shares are those of the fast memory."""

    def __init__(self, text: Sequence[int], memory: Memory, eos: int, dense_level: int = DENSE_LEVEL) -> None:
        self.memory, self.eos = memory, eos
        self.counts = SlowCounts(text, memory.counts, eos, dense_level)
        self.followers: dict[tuple[int, Context], set[tuple[int, int]]] = defaultdict(set)  # articles, with symbols
        for place in range(1, len(text)):
            article = text[:place].count(eos) - 1
            for number, context in long_contexts(text[max(0, place - HISTORY) : place], eos):
                self.followers[number, context].add((article, text[place]))

    def predict(
        self, before: Sequence[int], article: int = -1, target: int | None = None, rare: int = RARE
    ) -> list[Floats]:
        """The probability of each symbol after `before`. If several symbols followed the longest match, one for each.

        Matches in `article` are not used. `target` and `rare` are those of `SlowCounts.predict`.
        """
        found, depth = self.counts.predict(before, target, rare)
        number, symbols = self.match(before, article)
        share = self.memory.stored["match_shares"][number - 1, depth]
        return [mixed(found, Counter([symbol]), float(share)) for symbol in symbols] or [found]

    def match(self, before: Sequence[int], article: int = -1) -> tuple[int, set[int]]:
        """The number of the longest context that another article has too (0: none), and the symbols after it there."""
        for number, context in reversed(list(long_contexts(before[-HISTORY:], self.eos))):
            if symbols := {symbol for other, symbol in self.followers[number, context] if other != article}:
                return number, symbols
        return 0, set()


class SlowClasses:
    """The counts of the small text by class. The counts of a class are those of a text with only its articles."""

    def __init__(self, counted: Counted) -> None:
        self.order = counted.by_class.order
        self.of_all = SlowCounts(counted.text, counted.memory.counts, counted.eos)
        self.of_class = [
            SlowCounts(text_of_class(counted, class_id), counted.by_class, counted.eos) for class_id in range(CLASSES)
        ]

    def ratios(self, before: Sequence[int], class_id: int, target: int | None = None, rare: int = RARE) -> list[Floats]:
        """How many times likelier each symbol is in the class than in all articles: a list of one possibility.

        `target` and `rare` are those of `SlowCounts.predict`.
        """
        if class_id >= CLASSES:
            return [np.ones(self.of_all.fast.trie.alphabet)]
        in_class, _ = self.of_class[class_id].predict(before, target, rare)
        in_all, _ = self.of_all.predict(before, target, rare, self.order)
        return [np.maximum(in_class, MIN_PROBABILITY) / np.maximum(in_all, MIN_PROBABILITY)]


def text_of_class(counted: Counted, class_id: int) -> list[int]:
    """The articles of a class in one row, and after them the empty article that each class has."""
    of_class = classes_of(counted.text, counted.classes, counted.eos)
    symbols = [symbol for symbol, each in zip(counted.text[1:], of_class, strict=True) if each == class_id]
    return [counted.eos, *symbols, counted.eos]


def bucket_of(row: Counter[int]) -> int:
    return int(bucket(torch.tensor(float(row.total())), torch.tensor(float(len(+row)))))


def mixed(below: Floats, row: Counter[int], share: float) -> Floats:
    """Give the counts of a row their share of the probabilities."""
    found = (1 - share) * below
    for symbol, count in row.items():
        found[symbol] += share * count / row.total()
    return found


def share_of_wrong_places(
    found: Tensor, expected: Iterable[Sequence[Floats]], rtol: float = 1e-5, atol: float = 1e-7
) -> float:
    """The share of places whose prediction is not one of the expected ones. `found` has the shape (places, symbols)."""
    pairs = zip(found.numpy(), expected, strict=True)
    wrong = [not any(np.allclose(one, each, rtol=rtol, atol=atol) for each in possible) for one, possible in pairs]
    return float(np.mean(wrong))


def with_history(ids: Sequence[int], eos: int) -> Tensor:
    """A text (HISTORY + symbols, 1), as `Memory.leave_one_out` takes it."""
    return torch.tensor([eos] * HISTORY + list(ids))[:, None]


def articles_of(text: Sequence[int], eos: int) -> Tensor:
    """The number of the article of each target (symbols - 1, 1)."""
    return (torch.tensor(text[:-1]) == eos).cumsum(0)[:, None] - 1
