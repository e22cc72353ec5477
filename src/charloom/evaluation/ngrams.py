"""N-gram models of text, whose symbols are characters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.evaluation.arrays import Floats, Integers
from charloom.evaluation.breakdown import Breakdown, break_down
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes, Vocabulary, nats_of_unknown


class NgramScores(NamedTuple):
    """How well n-grams predict a split."""

    bpc: dict[str, float]  # name → bits per character, from the unigram to the longest n-gram
    longest: str  # the name of the longest n-gram
    breakdown: Breakdown  # the cost of the split under the longest n-gram, divided into parts


def measure_ngrams(
    train: EncodedSplit, test: EncodedSplit, vocabulary: Vocabulary, class_names: Sequence[str], order: int
) -> NgramScores:
    """Count n-grams of 1, 2, … `order` symbols in `train`, and measure how well they predict `test`."""
    bpc: dict[str, float] = {}
    name, nats = "", np.empty(0)
    ngrams = kneser_ney(train.codes, test.codes, symbols=len(vocabulary), eos=vocabulary.eos, order=order)
    which_character = nats_of_unknown(len(vocabulary)) * (test.codes[1:] == vocabulary.unk)
    for length, nats in enumerate(ngrams, start=1):
        nats += which_character
        name = "unigram" if length == 1 else f"{length}-gram"
        bpc[name] = float(nats.sum()) / math.log(2) / test.characters
    return NgramScores(bpc, name, break_down([(test, nats)], class_names, vocabulary))


def kneser_ney(train: Codes, test: Codes, *, symbols: int, eos: int, order: int) -> Iterator[Floats]:
    """Yield the nats of each symbol of `test[1:]` under models of 1, 2, … `order` symbols that are counted in `train`.

    The models use interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999). The shortest model is
    interpolated with a uniform distribution over `symbols` ids. No context reaches back beyond the `<eos>` before its
    article, because a CharModel also scores each article alone. The memory needed is about 90 bytes for each symbol of
    `train`. Therefore n-grams have numbers of 32 bits where they can.
    """
    train_contexts, test_contexts = (np.zeros(len(codes) - 1, dtype=np.int32) for codes in (train, test))
    shorter_probabilities = np.full(len(test_contexts), 1 / symbols)
    shorter: _Grams | None = None
    for _ in range(order):
        keys, inverse, counts = np.unique(
            _keys(train_contexts, symbols, train), return_inverse=True, return_counts=True
        )
        grams = inverse.astype(np.int32)
        del inverse
        contexts = (keys // symbols).astype(np.int32)
        found = _Grams(grams, contexts, test_contexts, _find(_keys(test_contexts, symbols, test), keys))
        if shorter is not None:
            shorter_probabilities = shorter.interpolate(shorter.continuations(found), shorter_probabilities)
        yield -np.log(found.interpolate(counts, shorter_probabilities))
        shorter = found
        train_contexts = _contexts_after(grams, train, eos, article_start=len(keys))
        test_contexts = _contexts_after(found.of_test, test, eos, article_start=len(keys))


@dataclass(frozen=True)
class _Grams:
    """The n-grams of one length in the training text, numbered from 0.

    The context of an n-gram is the n-gram without its last symbol. Contexts are numbered too.
    """

    of_train: Integers  # the n-gram that ends at each symbol of the training text
    contexts: Integers  # the context of each n-gram
    test_contexts: Integers  # the context of each symbol of the test text; −1 if the training text lacks the context
    of_test: Integers  # the n-gram that ends at each symbol of the test text; −1 if the training text lacks the n-gram

    def continuations(self, longer: _Grams) -> Integers:
        """The number of different symbols that precede each n-gram. `longer` are the n-grams with one symbol more."""
        suffixes = np.empty(len(longer.contexts), dtype=np.int64)
        suffixes[longer.of_train] = self.of_train
        return np.bincount(suffixes)

    def interpolate(self, counts: Integers, shorter_probabilities: Floats) -> Floats:
        """The probability of each symbol of the test text, from `counts` and from the shorter n-grams."""
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        totals = np.bincount(self.contexts, counts)
        freed = np.bincount(self.contexts, discounts)
        seen = self.test_contexts >= 0
        context = self.test_contexts[seen]
        kept = np.where(self.of_test >= 0, (counts - discounts)[self.of_test], 0)[seen]
        probabilities = shorter_probabilities.copy()
        probabilities[seen] = (kept + freed[context] * shorter_probabilities[seen]) / totals[context]
        return probabilities


def _discounts(counts: Integers) -> Floats:
    """The discounts of a count of 0, 1, 2, and 3 or more. A discount is 0.5 if the text is too short to estimate it."""
    ones, twos, threes, fours = ((counts == count).sum() for count in (1, 2, 3, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.divide(ones, ones + 2 * twos)
        estimates = np.arange(1, 4) - np.arange(2, 5) * share * np.divide((twos, threes, fours), (ones, twos, threes))
    usable = (estimates > 0) & (estimates < np.arange(1, 4))
    return np.concatenate([[0], np.where(usable, estimates, 0.5)])


def _keys(contexts: Integers, symbols: int, codes: Codes) -> npt.NDArray[np.int64]:
    """A number for each pair of a context and the symbol after it."""
    keys: npt.NDArray[np.int64] = np.multiply(contexts, symbols, dtype=np.int64)
    keys += codes[1:]
    return keys


def _find(wanted: Integers, keys: Integers) -> Integers:
    """The index of each wanted key in the sorted `keys`; −1 if `keys` lacks the key."""
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[places] == wanted, places, -1).astype(np.int32)


def _contexts_after(grams: Integers, codes: Codes, eos: int, article_start: int) -> Integers:
    """The context of each symbol of a text: the n-gram before the symbol, or `article_start` after an `<eos>`."""
    contexts = np.concatenate([np.array([article_start], dtype=np.int32), grams[:-1]])
    contexts[codes[:-1] == eos] = article_start
    return contexts
