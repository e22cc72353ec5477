"""Exact bits per character and perplexity of articles under a model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from charloom.model import CharModel, State
from charloom.windows import Windows

BATCH_ARTICLES = 64  # 32 to 128 were alike at hidden size 256 on two cores
CHUNK_STEPS = 128  # logits of a chunk stay in the cache; longer articles carry their state over


@dataclass(frozen=True)
class Scores:
    """What each article of a split costs under a model, in nats, its closing `<eos>` included."""

    nats: npt.NDArray[np.float64]
    characters: npt.NDArray[np.int64]

    @property
    def bits_per_character(self) -> float:
        """Total −log2 p over all articles, `<eos>` included, by characters, `<eos>` not counted."""
        return float(self.nats.sum() / math.log(2) / self.characters.sum())

    @property
    def loss_nats(self) -> float:
        """Mean nats per symbol; every character is a symbol and so is each article's `<eos>`."""
        return float(self.nats.sum() / (self.characters.sum() + len(self.characters)))

    @property
    def perplexity(self) -> float:
        """exp of the mean nats per symbol."""
        return math.exp(min(self.loss_nats, 700))

    def summary(self) -> dict[str, float]:
        """The numbers of metrics/evaluate.json."""
        return {
            "bpc": self.bits_per_character,
            "perplexity": self.perplexity,
            "loss_nats": self.loss_nats,
            "articles": len(self.characters),
            "characters": int(self.characters.sum()),
        }


@torch.inference_mode()
def score_articles(model: CharModel, split: Windows, device: torch.device) -> Scores:
    """Score every article of a split whole, from the zero state and its opening `<eos>`, each symbol once."""
    training = model.training
    model.eval()
    nats = np.zeros(split.articles)
    lengths = split.lengths
    for articles in _batches_by_length(lengths):
        inputs, targets = _padded(split, articles, int(lengths[articles].max()))
        nats[articles] = _batch_nats(model, inputs.to(device), targets.to(device))
    model.train(training)
    return Scores(nats, lengths - 1)


def _batches_by_length(lengths: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    order = np.argsort(lengths, kind="stable")[::-1]
    for begin in range(0, len(order), BATCH_ARTICLES):
        yield order[begin : begin + BATCH_ARTICLES]


def _padded(split: Windows, articles: npt.NDArray[np.int64], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets (steps, articles); −1 marks the targets behind an article's end."""
    inputs = np.zeros((steps, len(articles)), dtype=np.int64)
    targets = np.full((steps, len(articles)), -1, dtype=np.int64)
    for column, article in enumerate(articles):
        symbols = split.article(int(article))
        inputs[: len(symbols) - 1, column] = symbols[:-1]
        targets[: len(symbols) - 1, column] = symbols[1:]
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def _batch_nats(model: CharModel, inputs: torch.Tensor, targets: torch.Tensor) -> npt.NDArray[np.float64]:
    total = np.zeros(inputs.shape[1])
    state: State | None = None
    for begin in range(0, len(inputs), CHUNK_STEPS):
        logits, state = model(inputs[begin : begin + CHUNK_STEPS], state)
        wanted = targets[begin : begin + CHUNK_STEPS]
        losses = F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), ignore_index=-1, reduction="none")
        total += losses.view_as(wanted).cpu().numpy().sum(axis=0, dtype=np.float64)
    return total
