"""n-grams of characters, as models of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charloom.text.vocab import Codes

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def kneser_ney(train: Codes, test: Codes, *, symbols: int, eos: int, order: int) -> Iterator[Floats]:
    """Bits of each symbol of `test[1:]` under n-gram models of 1, 2, … `order` symbols counted over `train`.

    Interpolated modified Kneser-Ney (Chen and Goodman 1999), on a uniform distribution over `symbols` ids. As for a
    CharModel, nothing before an article's opening `<eos>` is seen. Takes about 100 bytes a symbol of `train`.
    """
    train_contexts, test_contexts = (np.zeros(len(codes) - 1, dtype=np.int64) for codes in (train, test))
    below = np.full(len(test_contexts), 1 / symbols)
    shorter: _Grams | None = None
    for _ in range(order):
        keys, grams, counts = np.unique(train_contexts * symbols + train[1:], return_inverse=True, return_counts=True)
        found = _Grams(grams, keys // symbols, test_contexts, _find(test_contexts * symbols + test[1:], keys))
        if shorter is not None:
            below = shorter.interpolate(shorter.continuations(found), below)
        yield -np.log2(found.interpolate(counts, below))
        shorter = found
        train_contexts = _contexts_after(grams, train, eos, beginning=len(keys))
        test_contexts = _contexts_after(found.wanted, test, eos, beginning=len(keys))


@dataclass(frozen=True)
class _Grams:
    """The n-grams of one length in the training text, numbered; a context is an n-gram one symbol shorter."""

    of_train: Integers  # the n-gram that ends at each symbol of the training text
    contexts: Integers  # the context of each n-gram
    before: Integers  # the context of each symbol of the test text, −1 where training had no such
    wanted: Integers  # the n-gram that ends at each symbol of the test text, −1 where training had no such

    def continuations(self, longer: _Grams) -> Integers:
        """How many different symbols stand before each n-gram."""
        suffixes = np.empty(len(longer.contexts), dtype=np.int64)
        suffixes[longer.of_train] = self.of_train
        return np.bincount(suffixes)

    def interpolate(self, counts: Integers, below: Floats) -> Floats:
        """The probability of each symbol of the test text, from these counts and what shorter n-grams say."""
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        totals = np.bincount(self.contexts, counts)
        freed = np.bincount(self.contexts, discounts)
        seen = self.before >= 0
        context = self.before[seen]
        kept = np.where(self.wanted >= 0, (counts - discounts)[self.wanted], 0)[seen]
        probabilities = below.copy()
        probabilities[seen] = (kept + freed[context] * below[seen]) / totals[context]
        return probabilities


def _discounts(counts: Integers) -> Floats:
    """What is taken off a count of 0, 1, 2 and of 3 or more; 0.5 where the text is too short to tell."""
    ones, twos, threes, fours = ((counts == count).sum() for count in (1, 2, 3, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.divide(ones, ones + 2 * twos)
        taken = np.arange(1, 4) - np.arange(2, 5) * share * np.divide((twos, threes, fours), (ones, twos, threes))
    usable = (taken > 0) & (taken < np.arange(1, 4))
    return np.concatenate([[0], np.where(usable, taken, 0.5)])


def _find(wanted: Integers, keys: Integers) -> Integers:
    """Where each wanted key stands in the sorted ones, −1 where it does not."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1)


def _contexts_after(grams: Integers, codes: Codes, eos: int, beginning: int) -> Integers:
    """The context of each symbol of a text: the n-gram that ends before it, or `beginning` in front of an article."""
    contexts = np.concatenate([[beginning], grams[:-1]])
    contexts[codes[:-1] == eos] = beginning
    return contexts
