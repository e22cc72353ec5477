"""The probabilities of Kneser-Ney sum to one, and equal those of a slow implementation that follows the paper."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from charloom.evaluation.ngrams import kneser_ney

A, B, C, EOS, SYMBOLS = 0, 1, 2, 3, 5  # the last id occurs in no text
TRAIN = [EOS, A, B, A, B, C, EOS, A, B, B, A, B, A, C, EOS, C, A, B, A, B, A, EOS, A, A, A, B, EOS]


def nats(test: Sequence[int], order: int, train: Sequence[int] = TRAIN) -> list[list[float]]:
    """The nats of each symbol after the first, for n-grams of 1, 2, … symbols."""
    codes = np.array(train, dtype=np.uint8), np.array(test, dtype=np.uint8)
    return [each.tolist() for each in kneser_ney(*codes, symbols=SYMBOLS, eos=EOS, order=order)]


@pytest.mark.parametrize("context", [[], [A], [A, B], [A, B, A], [C, C, C], [B, C, B, C], [4, A, B]])
def test_the_probabilities_of_all_next_symbols_sum_to_one(context: list[int]) -> None:
    following = [nats([EOS, *context, symbol], 4) for symbol in range(SYMBOLS)]
    for order in range(4):
        assert sum(math.exp(-each[order][-1]) for each in following) == pytest.approx(1)


def slow_discount(counts: Counter[tuple[int, ...]], count: int) -> float:
    """The paper's estimate of the discount of a count; 0.5 if the paper's formula gives no usable value."""
    times = [sum(each == wanted for each in counts.values()) for wanted in range(5)]
    if times[1] and times[count]:
        taken = count - (count + 1) * times[1] / (times[1] + 2 * times[2]) * times[count + 1] / times[count]
        if 0 < taken < count:
            return taken
    return 0.5


def slow_nats(test: Sequence[int], order: int) -> float:
    """The nats of the last symbol of an article, computed symbol by symbol and context by context."""
    texts = [(EOS, *part) for part in articles(TRAIN)]

    def grams(length: int) -> Counter[tuple[int, ...]]:
        """The counts of the n-grams that end at each symbol. At an article's beginning, the n-grams are shorter."""
        return Counter(text[max(0, end - length) : end] for text in texts for end in range(2, len(text) + 1))

    def probability(history: tuple[int, ...], symbol: int, length: int, top: bool) -> float:
        if length == 0:
            return 1 / SYMBOLS
        context = history[len(history) - min(length - 1, len(history)) :]
        counts = grams(length)
        if not top:  # shorter n-grams count the different symbols before them
            counts = Counter(gram[-length:] for gram in grams(length + 1))
        discounts = [0.0, *(slow_discount(counts, count) for count in (1, 2, 3))]
        below = probability(history, symbol, length - 1, top=False)
        here = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        if not here:
            return below
        freed = sum(discounts[min(count, 3)] for count in here.values())
        kept = here[symbol] - discounts[min(here[symbol], 3)] if symbol in here else 0
        return (kept + freed * below) / sum(here.values())

    return -math.log(probability(tuple(test[:-1]), test[-1], order, top=True))


def articles(codes: Sequence[int]) -> list[list[int]]:
    """The articles of a stream, each with the `<eos>` after it."""
    ends = [index for index, code in enumerate(codes) if code == EOS]
    return [list(codes[begin + 1 : end + 1]) for begin, end in pairwise(ends)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("text", [[A], [A, B], [A, B, A], [A, B, A, C], [C, C, A], [B, A, B, C, EOS], [4, A]])
def test_the_nats_equal_those_of_the_slow_implementation(text: list[int], order: int) -> None:
    assert nats([EOS, *text], order)[-1][-1] == pytest.approx(slow_nats([EOS, *text], order))
