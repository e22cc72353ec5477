"""A slow n-gram memory over dictionaries, and a small text that repeats contexts of all lengths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.counting import make_memory
from charloom.model.interpolation import BUCKETS, DENSE_LEVEL, RARE, bucket
from charloom.model.matching import HISTORY, LENGTHS
from charloom.model.memory import Memory

Context = tuple[int, ...]
Floats = npt.NDArray[np.float64]

ALL_NUMBERS = set(range(len(LENGTHS) + 1))  # what `SlowMemory.match` can return


class Counted(NamedTuple):
    """A memory, and the text that it counted."""

    memory: Memory
    text: list[int]
    unseen: list[int]  # another text, with parts of the first one and with a symbol that was never counted
    eos: int


def count_small_text(order: int, factor: int = 1) -> Counted:
    """Count a text of about 700 symbols. Its ids, from 0 to 6, are multiplied by the factor.

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
    memory = make_memory(torch.tensor(text), 8 * factor, 6 * factor, order)
    memory.use_shares(*random_shares(order + 1))
    return Counted(memory, text, unseen, 6 * factor)


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


def random_shares(levels: int) -> tuple[Tensor, Tensor]:
    """The shares of the counts (levels, BUCKETS), and of the matches (lengths, levels + 1)."""
    random = torch.Generator().manual_seed(levels)
    return torch.rand(levels, BUCKETS, generator=random), torch.rand(len(LENGTHS), levels + 1, generator=random)


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


class SlowMemory:
    """The counts of a text in dictionaries. The shares are those of a memory."""

    def __init__(self, text: Sequence[int], memory: Memory, eos: int, dense_level: int = DENSE_LEVEL) -> None:
        self.memory, self.eos, self.dense_level = memory, eos, dense_level
        self.rows: dict[Context, Counter[int]] = defaultdict(Counter)
        self.followers: dict[tuple[int, Context], set[tuple[int, int]]] = defaultdict(set)  # articles, with symbols
        for place in range(1, len(text)):
            article = text[:place].count(eos) - 1
            for context in contexts(text[:place], eos, memory.order):
                self.rows[context][text[place]] += 1
            for number, context in long_contexts(text[max(0, place - HISTORY) : place], eos):
                self.followers[number, context].add((article, text[place]))

    def predict(
        self, before: Sequence[int], article: int = -1, target: int | None = None, rare: int = RARE
    ) -> list[Floats]:
        """The probability of each symbol after `before`. If several symbols followed the longest match, one for each.

        Matches in `article` are not used. The `target` is counted once less. The exception are dense contexts that the
        target followed at least `rare` times, and contexts that are shorter than those.
        """
        found = np.full(self.memory.symbols, 1 / self.memory.symbols)
        known = [context for context in contexts(before, self.eos, self.memory.order) if self.is_known(context)]
        dense = [context for context in known if len(context) <= self.dense_level]
        common = [len(context) for context in dense if target is not None and self.rows[context][target] >= rare]
        depth = 0
        for context in known:
            row = self.rows[context].copy()
            if target is not None and len(context) > max(common, default=-1):
                row[target] -= 1
            if row.total() > 1:
                found = mixed(found, row, float(self.memory.shares[len(context), bucket_of(row)]))
                depth += len(context) > self.dense_level
        number, symbols = self.match(before, article)
        share = self.memory.stored["match_shares"][number - 1, depth]
        return [mixed(found, Counter([symbol]), float(share)) for symbol in symbols] or [found]

    def is_known(self, context: Context) -> bool:
        """Whether a context was counted at least twice, so that the symbols after it are counted too."""
        return not context or self.rows.get(context[:-1], Counter())[context[-1]] > 1

    def match(self, before: Sequence[int], article: int = -1) -> tuple[int, set[int]]:
        """The number of the longest context that another article has too (0: none), and the symbols after it there."""
        for number, context in reversed(list(long_contexts(before[-HISTORY:], self.eos))):
            if symbols := {symbol for other, symbol in self.followers[number, context] if other != article}:
                return number, symbols
        return 0, set()


def bucket_of(row: Counter[int]) -> int:
    return int(bucket(torch.tensor(float(row.total())), torch.tensor(float(len(+row)))))


def mixed(below: Floats, row: Counter[int], share: float) -> Floats:
    """Give the counts of a row their share of the probabilities."""
    found = (1 - share) * below
    for symbol, count in row.items():
        found[symbol] += share * count / row.total()
    return found


def share_of_wrong_places(found: Tensor, expected: Iterable[Sequence[Floats]]) -> float:
    """The share of places whose prediction is not one of the expected ones. `found` has the shape (places, symbols)."""
    pairs = zip(found.numpy(), expected, strict=True)
    wrong = [not any(np.allclose(one, each, rtol=1e-5, atol=1e-7) for each in possible) for one, possible in pairs]
    return float(np.mean(wrong))


def with_history(ids: Sequence[int], eos: int) -> Tensor:
    """A text (HISTORY + symbols, 1), as `Memory.leave_one_out` takes it."""
    return torch.tensor([eos] * HISTORY + list(ids))[:, None]


def articles_of(text: Sequence[int], eos: int) -> Tensor:
    """The number of the article of each target (symbols - 1, 1)."""
    return (torch.tensor(text[:-1]) == eos).cumsum(0)[:, None] - 1
