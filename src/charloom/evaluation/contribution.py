"""What the n-gram memory of a model contributes to its predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from charloom.evaluation.arrays import Floats
from charloom.model.memory import Remembered
from charloom.model.network import CharModel
from charloom.model.scoring import values_of
from charloom.text.vocab import Codes


@dataclass(frozen=True)
class Contribution:
    """The bits of each symbol of a text, for each part of the model alone. Each array has the shape (symbols,)."""

    memory_bits: Floats  # by the memory alone, without the network
    network_bits: Floats  # by the network, if the memory predicts the same probability for each symbol


@torch.inference_mode()
def contribution(model: CharModel, codes: Codes) -> Contribution | None:
    """What the parts of a model predict for a text, which begins with an `<eos>`. None for a model without a memory.

    No class is given.
    """
    if model.memory is None:
        return None
    ids = torch.from_numpy(codes.astype("int64"))[:, None].to(model.device)
    remembered, _ = model.memory.read(ids[:-1], None)
    nothing = Remembered(torch.full_like(remembered.probabilities, 1 / model.symbols))
    logits, _ = model(ids[:-1], remembered=nothing)
    return Contribution(
        _bits(remembered.probabilities.log(), ids[1:]), _bits(torch.log_softmax(logits.float(), -1), ids[1:])
    )


def _bits(log_probabilities: Tensor, ids: Tensor) -> Floats:
    """The bits (time) of the ids (time, 1)."""
    nats: Floats = -values_of(ids, log_probabilities)[:, 0].cpu().double().numpy()
    return nats / math.log(2)
