"""Text from a model."""

from __future__ import annotations

import numpy as np
import torch

from charloom.model import CharModel, State
from charloom.params import EvaluateParams
from charloom.vocab import Vocabulary


@torch.inference_mode()
def sample(
    model: CharModel, vocabulary: Vocabulary, *, count: int, length: int, temperature: float, seed: int
) -> list[str]:
    """Draw `count` texts of `length` characters, each from the zero state after `<eos>`.

    Temperature 0 is greedy: always the likeliest symbol, so that all texts are one. Sample i depends on (seed, i)
    alone. `<unk>` is never drawn; an `<eos>` is a newline, and the next article follows it.
    """
    device = model.head.weight.device
    count = 1 if temperature == 0 else count
    draws = torch.from_numpy(
        np.stack([np.random.default_rng([seed, index]).random(length, dtype=np.float64) for index in range(count)], 1)
    ).to(device, torch.float32 if device.type == "mps" else torch.float64)
    ids = torch.full((1, count), vocabulary.eos, device=device)
    state: State | None = None
    drawn = []
    model.eval()
    for step in range(length):
        logits, state = model(ids, state)
        known = logits[0, :, : vocabulary.unk]  # <unk> is the last id
        ids = _choose(known.to(draws.dtype), temperature, draws[step])[None]
        drawn.append(ids)
    return [vocabulary.decode(text) for text in torch.cat(drawn).T.tolist()]


def sample_at_temperatures(model: CharModel, vocabulary: Vocabulary, params: EvaluateParams) -> dict[float, list[str]]:
    """The samples that params.yaml asks for: one greedy text, and some at each temperature."""
    return {
        temperature: sample(
            model,
            vocabulary,
            count=params.samples,
            length=params.sample_length,
            temperature=temperature,
            seed=params.seed,
        )
        for temperature in sorted({0.0, *params.temperatures})
    }


def _choose(logits: torch.Tensor, temperature: float, draws: torch.Tensor) -> torch.Tensor:
    """One id a row of logits (batch, symbols), by inverting the distribution function at `draws` (batch)."""
    if temperature == 0:
        return logits.argmax(1)
    cumulative = torch.softmax(logits / temperature, 1).cumsum(1)
    chosen = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)[:, 0]
    return chosen.clamp_(max=logits.shape[1] - 1)  # a draw that rounds to 1
