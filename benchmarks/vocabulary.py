"""Milliseconds of a training step by the size of the vocabulary, with the input looked up and multiplied in turn.

The symbols are drawn at random, symbol n with a probability that is proportional to 1/n (Zipf).
"""

from __future__ import annotations

import statistics
import time
from unittest.mock import patch

from charloom.model.device import make_deterministic, set_threads
from charloom.model.network import CharModel
from charloom.training.optimizer import adam
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from common import machine, one_layer

HIDDEN, LENGTH, BATCH, STEPS = 256, 50, 16, 15
SIZES = (84, 200, 300, 500, 2000, 8000)
LOOKED_UP, MULTIPLIED = 0, 10**9  # values of LARGE, the largest vocabulary whose input is multiplied


def main() -> None:
    make_deterministic(1)
    set_threads("auto")
    print(f"{machine()}; LSTM of {HIDDEN} units, batch {BATCH}\n")
    print("| symbols | distinct in a step | looked up | multiplied | ratio |\n|---|---|---|---|---|")
    for symbols in SIZES:
        batches = draw(symbols)
        models = [CharModel(symbols, one_layer(HIDDEN)) for _ in range(2)]
        optimizers = [adam(model, 1e-3) for model in models]
        seconds: list[list[float]] = [[], []]
        for batch in batches:
            for large, model, optimizer, times in zip(
                (LOOKED_UP, MULTIPLIED), models, optimizers, seconds, strict=True
            ):
                with patch("charloom.model.layers.LARGE", large):
                    times.append(step(model, optimizer, batch))
        ours, theirs = (statistics.median(times[2:]) * 1e3 for times in seconds)
        distinct = len(batches[0].unique())
        print(f"| {symbols:,} | {distinct} | {ours:.1f} ms | {theirs:.1f} ms | **{theirs / ours:.2f}** |", flush=True)


def draw(symbols: int) -> list[Tensor]:
    """Batches (LENGTH + 1, BATCH) of ids."""
    weights = 1 / np.arange(1, symbols + 1)
    random = np.random.default_rng(1)
    shape = (LENGTH + 1, BATCH)
    return [torch.from_numpy(random.choice(symbols, shape, p=weights / weights.sum())) for _ in range(STEPS)]


def step(model: CharModel, optimizer: torch.optim.Adam, batch: Tensor) -> float:
    """Train on a batch. Returns the seconds that it took."""
    began = time.perf_counter()
    logits, _ = model(batch[:-1])
    optimizer.zero_grad()
    F.cross_entropy(logits.flatten(0, 1), batch[1:].flatten()).backward()
    optimizer.step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
