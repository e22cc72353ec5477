"""The optimizer, Adam."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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


def set_learning_rate(optimizer: torch.optim.Adam, learning_rate: float) -> None:
    """Use this learning rate in the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate
