"""The optimizer, Adam, and its learning rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from charloom.params import TrainParams


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Adam, in its fused form if the installed torch has this form for CPUs (2.4 and later).

    Fused Adam updates each tensor in one kernel. Plain Adam's update took 6 % of a step at hidden size 64. On a GPU,
    the learning rate is a tensor, so that a recorded step (graph.py) can read a new one.
    """
    release = tuple(int(number) for number in torch.__version__.split(".")[:2])
    parameters = list(model.parameters())
    if parameters[0].device.type == "cuda":
        rate = torch.tensor(learning_rate, device=parameters[0].device)
        return torch.optim.Adam(parameters, rate, fused=True, capturable=True)
    return torch.optim.Adam(parameters, learning_rate, fused=release >= (2, 4))


def count_steps(params: TrainParams, steps_per_epoch: int, characters: int) -> int:
    """The steps that the parameters ask for. A step reads so many `characters`, and an epoch has `steps_per_epoch`."""
    if params.characters is None:
        return max(1, round(params.epochs * steps_per_epoch))
    return max(1, round(params.characters / characters))


def learning_rate_at(step: int, steps: int, params: TrainParams) -> float:
    """The learning rate of a step: a linear warm-up, then constant or half a cosine down to zero after `steps`."""
    warmup = params.warmup * steps
    if step < warmup:
        return params.learning_rate * (step + 1) / (warmup + 1)
    if params.schedule == "constant":
        return params.learning_rate
    progress = (step - warmup) / (steps - warmup)
    return params.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Adam, learning_rate: float) -> None:
    """Use this learning rate in the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate
