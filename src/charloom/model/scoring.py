"""Exact bits per character and perplexity of texts under a model, and what each of their symbols cost."""

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

from charloom.model.network import CharModel, State
from charloom.text.vocab import Codes, chunked
from charloom.text.windows import Windows

BATCH_TEXTS = 64  # 32 to 128 were alike at hidden size 256 on two cores; sorted by length, 1.7 % of AG_NEWS is padding
CHUNK_STEPS = 128  # logits of a chunk stay in the cache; longer texts carry their state over


@dataclass(frozen=True)
class Cost:
    """What text costs under a model; costs of parts add up."""

    bits: float = 0.0
    symbols: int = 0  # every character is one, and so is each text's closing `<eos>`
    characters: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bits + other.bits, self.symbols + other.symbols, self.characters + other.characters)

    @property
    def bits_per_character(self) -> float:
        """Total −log2 p, `<eos>` included, by characters, `<eos>` not counted."""
        return self.bits / self.characters

    @property
    def loss_nats(self) -> float:
        """Mean nats per symbol."""
        return self.bits * math.log(2) / self.symbols

    @property
    def perplexity(self) -> float:
        """exp of the mean nats per symbol."""
        return math.exp(min(self.loss_nats, 700))


@dataclass(frozen=True)
class Scores:
    """What each article of a split costs under a model, in nats, its closing `<eos>` included."""

    nats: npt.NDArray[np.float64]
    characters: npt.NDArray[np.int64]

    @property
    def total(self) -> Cost:
        """All articles together."""
        characters = int(self.characters.sum())
        return Cost(float(self.nats.sum()) / math.log(2), characters + len(self.characters), characters)

    @property
    def bits_per_character(self) -> float:
        """Those of all articles together."""
        return self.total.bits_per_character

    @property
    def loss_nats(self) -> float:
        """Mean nats per symbol of all articles together."""
        return self.total.loss_nats

    @property
    def perplexity(self) -> float:
        """That of all articles together."""
        return self.total.perplexity

    def summary(self) -> dict[str, float]:
        """The numbers of metrics/evaluate.json."""
        return {
            "bpc": self.bits_per_character,
            "perplexity": self.perplexity,
            "loss_nats": self.loss_nats,
            "articles": len(self.characters),
            "characters": int(self.characters.sum()),
        }


@dataclass(frozen=True)
class Surprisal:
    """What each symbol of a text cost, and what the model expected in its place."""

    bits: npt.NDArray[np.float64]  # (symbols,): −log2 of the probability that the symbol had
    expected: npt.NDArray[np.int64]  # (symbols, top): the likeliest ids there, the likeliest first
    probabilities: npt.NDArray[np.float64]  # (symbols, top): theirs


def score_articles(model: CharModel, split: Windows, device: torch.device) -> Scores:
    """Score every article of a split whole, under no class, from its opening `<eos>` on, each symbol once."""
    articles = (split.article(index) for index in range(split.articles))
    nats = [each.bits.sum() * math.log(2) for each in surprisals(model, articles, device)]
    return Scores(np.array(nats), split.lengths - 1)


def surprisals(
    model: CharModel, texts: Iterable[Codes], device: torch.device, top: int = 0, classes: Iterable[int] | None = None
) -> Iterator[Surprisal]:
    """Score texts, each from its beginning; a text is its ids behind an `<eos>`, which is read and not scored.

    Gives them in the texts' order, with the `top` likeliest symbols at each place. A conditioned model reads each under
    the next of `classes`, or all under no class. Memory does not grow with the number of texts.
    """
    told = repeat(model.no_class) if classes is None else iter(classes)
    for held in chunked(texts):
        of_held = list(islice(told, len(held)))
        found: dict[int, Surprisal] = {}
        for batch in batches_by_length([len(text) for text in held]):
            symbols = _padded([held[index] for index in batch]).to(device)
            under = torch.tensor([of_held[index] for index in batch], device=device)
            scored, _ = _read(model, symbols, None, top, under)
            found |= {index: scored.of(column, len(held[index]) - 1) for column, index in enumerate(batch)}
        yield from (found[index] for index in range(len(held)))


def surprisals_of_parts(
    model: CharModel, parts: Iterable[Codes], device: torch.device, top: int = 0, topic: int | None = None
) -> Iterator[Surprisal]:
    """Score one text that comes in parts, the first behind an `<eos>`, the state carried from each to the next.

    A conditioned model reads it under the class `topic`, or under no class.
    """
    state: State | None = None
    told = torch.tensor([model.no_class if topic is None else topic], device=device)
    before = np.empty(0, dtype=np.int64)
    for part in parts:
        symbols = np.concatenate([before, part.astype(np.int64)])
        scored, state = _read(model, torch.from_numpy(symbols)[:, None].to(device), state, top, told)
        yield scored.of(0, len(symbols) - 1)
        before = symbols[-1:]


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of texts in batches, the longest first, so that little of a batch is padding."""
    order: list[int] = np.argsort(lengths, kind="stable")[::-1].tolist()
    for begin in range(0, len(order), BATCH_TEXTS):
        yield order[begin : begin + BATCH_TEXTS]


def _padded(texts: Sequence[Codes]) -> Tensor:
    """The ids of texts as columns (symbols, texts), the longest first; zeros stand behind the end of the others."""
    symbols = np.zeros((len(texts[0]), len(texts)), dtype=np.int64)
    for column, text in enumerate(texts):
        symbols[: len(text), column] = text
    return torch.from_numpy(symbols)


class _Batch(NamedTuple):
    """The surprisal of texts side by side: arrays (symbols, texts) and (symbols, texts, top)."""

    bits: npt.NDArray[np.float64]
    expected: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    def of(self, column: int, symbols: int) -> Surprisal:
        """One text's, copied: the batch is large."""
        part = slice(symbols), column
        return Surprisal(self.bits[part].copy(), self.expected[part].copy(), self.probabilities[part].copy())


@torch.inference_mode()
def _read(
    model: CharModel, symbols: Tensor, state: State | None, top: int, classes: Tensor
) -> tuple[_Batch, State | None]:
    """What symbols (time + 1, texts) cost behind the first row, and the state after all but the last."""
    training = model.training
    model.eval()
    inputs, targets = symbols[:-1], symbols[1:]
    log_p = torch.empty(targets.shape, device=symbols.device)
    best = torch.empty((*targets.shape, top), device=symbols.device)
    expected = torch.empty((*targets.shape, top), dtype=torch.int64, device=symbols.device)
    for begin in range(0, len(targets), CHUNK_STEPS):
        chunk = slice(begin, begin + CHUNK_STEPS)
        logits, state = model(inputs[chunk], state, classes)
        log_probabilities = torch.log_softmax(logits.float(), -1)
        log_p[chunk] = log_probabilities.gather(-1, targets[chunk, :, None])[..., 0]
        if top:
            best[chunk], expected[chunk] = log_probabilities.topk(top)
    model.train(training)
    bits = -log_p.cpu().numpy().astype(np.float64) / math.log(2)
    return _Batch(bits, expected.cpu().numpy(), np.exp(best.cpu().numpy().astype(np.float64))), state
