"""Scoring text with a model: the surprisal of every symbol in nats, bits per character, perplexity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.model.network import CharModel
from charloom.model.states import State
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes, chunked

# The number of texts in a batch. 32 to 128 were equally fast at hidden size 256 on two cores. The texts of a batch have
# similar lengths, so only 1.7 % of the symbols that are read for AG_NEWS are padding.
BATCH_TEXTS = 64
# The number of time steps that the model reads in one call. The logits of so few steps fit in the processor's cache.
# The state is carried over from call to call.
STEPS_PER_CALL = 128
MAX_NATS = 700  # exp of a larger number is infinite in float64


@dataclass(frozen=True)
class Cost:
    """The total surprisal of one or more texts, and their length. The costs of two texts can be added."""

    nats: float = 0.0
    symbols: int = 0  # the characters, and one `<eos>` at the end of each text
    characters: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nats + other.nats, self.symbols + other.symbols, self.characters + other.characters)

    @property
    def bits(self) -> float:
        """The total surprisal in bits."""
        return self.nats / math.log(2)

    @property
    def bits_per_character(self) -> float:
        """The bits of all symbols, divided by the number of characters.

        The bits of `<eos>` are included, because a model must also predict where a text ends. `<eos>` is not counted as
        a character, so the result can be compared with the bits per character of a compressor.
        """
        return self.bits / self.characters

    @property
    def nats_per_symbol(self) -> float:
        """The mean surprisal of a symbol. This is the loss that training lowers."""
        return self.nats / self.symbols

    @property
    def perplexity(self) -> float:
        """exp of the mean nats per symbol."""
        return math.exp(min(self.nats_per_symbol, MAX_NATS))


@dataclass(frozen=True)
class Scores:
    """The surprisal of each article of a split, and its length."""

    nats: npt.NDArray[np.float64]  # (articles,), with the nats of the `<eos>` at the end of the article
    characters: npt.NDArray[np.int64]  # (articles,)

    @property
    def total(self) -> Cost:
        """The cost of all articles together."""
        characters = int(self.characters.sum())
        return Cost(float(self.nats.sum()), characters + len(self.characters), characters)


@dataclass(frozen=True)
class Surprisal:
    """The surprisal of each symbol of a text, and the symbols that the model expected in its place."""

    nats: npt.NDArray[np.float64]  # (symbols,): −ln of the probability of the symbol
    expected: npt.NDArray[np.int64]  # (symbols, top): the ids of the likeliest symbols, the likeliest first
    probabilities: npt.NDArray[np.float64]  # (symbols, top): the probabilities of the expected symbols
    # (symbols,): the logarithm of the memory's class ratio of the symbol (memory.py). It is 0 if no class is given, or
    # if the memory does not count the classes.
    log_ratios: npt.NDArray[np.float64]

    @property
    def bits(self) -> npt.NDArray[np.float64]:
        """(symbols,): −log2 of the probability of the symbol."""
        return self.nats / math.log(2)


def score_articles(model: CharModel, split: EncodedSplit) -> Scores:
    """Score every article of a split, each from its initial state and without a class."""
    articles = (split.article(index) for index in range(split.articles))
    nats = [each.nats.sum() for each in surprisals(model, articles)]
    return Scores(np.array(nats), split.lengths - 1)


def surprisals(
    model: CharModel, texts: Iterable[Codes], top: int = 0, classes: Iterable[int] | None = None
) -> Iterator[Surprisal]:
    """Score texts, each from its initial state. Yields the results in the order of the texts.

    Each text begins with an `<eos>`. The model reads this `<eos>` but does not predict it, so it has no surprisal.
    `top` is the number of likeliest symbols to report for each symbol of the text. `classes` contains a class id for
    each text, for a conditioned model. None means that no class is given. The RAM that this needs does not depend on
    the number of texts.
    """
    class_ids = repeat(model.no_class) if classes is None else iter(classes)
    for chunk in chunked(texts, len):
        class_of_each = list(islice(class_ids, len(chunk)))
        found: dict[int, Surprisal] = {}
        for batch in batches_by_length([len(text) for text in chunk]):
            symbols = _padded([chunk[index] for index in batch])
            batch_classes = torch.tensor([class_of_each[index] for index in batch])
            scored, _ = _score_batch(model, symbols, None, top, batch_classes)
            found |= {index: scored.of(column, len(chunk[index]) - 1) for column, index in enumerate(batch)}
        yield from (found[index] for index in range(len(chunk)))


def surprisals_of_pieces(model: CharModel, pieces: Iterable[Codes], class_id: int | None = None) -> Iterator[Surprisal]:
    """Score one long text that comes in pieces. The state is carried over from piece to piece.

    The first piece begins with an `<eos>`, which has no surprisal. `class_id` is the class of the text, for a
    conditioned model. None means that no class is given.
    """
    state: State | None = None
    classes = torch.tensor([model.no_class if class_id is None else class_id])
    before = np.empty(0, dtype=np.int64)
    for piece in pieces:
        symbols = np.concatenate([before, piece.astype(np.int64)])
        scored, state = _score_batch(model, torch.from_numpy(symbols)[:, None], state, 0, classes)
        yield scored.of(0, len(symbols) - 1)
        before = symbols[-1:]


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The indices of texts in batches, sorted from the longest text to the shortest, to have little padding."""
    order: list[int] = np.argsort(lengths, kind="stable")[::-1].tolist()
    for begin in range(0, len(order), BATCH_TEXTS):
        yield order[begin : begin + BATCH_TEXTS]


def _padded(texts: Sequence[Codes]) -> Tensor:
    """The ids of texts (symbols, texts), padded with zeros. The first text must be the longest."""
    symbols = np.zeros((len(texts[0]), len(texts)), dtype=np.int64)
    for column, text in enumerate(texts):
        symbols[: len(text), column] = text
    return torch.from_numpy(symbols)


class _Batch(NamedTuple):
    """The surprisals of a batch of texts: the fields of Surprisal, with the texts as their second dimension."""

    nats: npt.NDArray[np.float64]
    expected: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    log_ratios: npt.NDArray[np.float64]

    def of(self, column: int, symbols: int) -> Surprisal:
        """The surprisal of one text, as a copy, so that the large batch can be freed."""
        part = slice(symbols), column
        return Surprisal(
            self.nats[part].copy(),
            self.expected[part].copy(),
            self.probabilities[part].copy(),
            self.log_ratios[part].copy(),
        )


@torch.inference_mode()
def _score_batch(
    model: CharModel, symbols: Tensor, state: State | None, top: int, classes: Tensor
) -> tuple[_Batch, State | None]:
    """Score all symbols (time + 1, texts) except the first of each text.

    Also returns the state after the symbol before the last one. The last symbol is the first that the next piece reads.
    """
    training = model.training
    model.eval()
    symbols, classes = symbols.to(model.device), classes.to(model.device)
    inputs, targets = symbols[:-1], symbols[1:]
    log_p = torch.empty(targets.shape, device=symbols.device)
    expected_log_p = torch.empty((*targets.shape, top), device=symbols.device)
    expected = torch.empty((*targets.shape, top), dtype=torch.int64, device=symbols.device)
    log_ratios = torch.zeros_like(log_p)
    for begin in range(0, len(targets), STEPS_PER_CALL):
        steps = slice(begin, begin + STEPS_PER_CALL)
        remembered, state = model.remember(inputs[steps], state, classes)
        logits, state = model(inputs[steps], state, classes, remembered)
        log_probabilities = torch.log_softmax(logits.float(), -1)
        log_p[steps] = values_of(targets[steps], log_probabilities)
        if remembered is not None and remembered.class_ratios is not None:
            log_ratios[steps] = values_of(targets[steps], remembered.class_ratios).log()
        if top:
            expected_log_p[steps], expected[steps] = log_probabilities.topk(top)
    model.train(training)
    nats, expected_log_p, log_ratios = (each.cpu().double() for each in (-log_p, expected_log_p, log_ratios))
    return _Batch(nats.numpy(), expected.cpu().numpy(), expected_log_p.exp().numpy(), log_ratios.numpy()), state


def values_of(ids: Tensor, values: Tensor) -> Tensor:
    """The values (time, texts) of ids (time, texts), from the values (time, texts, symbols) of all symbols."""
    return values.gather(-1, ids[..., None])[..., 0]
