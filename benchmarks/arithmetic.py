"""The arithmetic of a model and of the machine: FLOPs a character, and the rate of a plain matrix product."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charloom.model.network import CharModel
from charloom.params import ModelParams
from charloom.training.optimizer import adam
from common import rate_of

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SIZES = (512, 1024, 2048)


def flops_per_character(symbols: int, params: ModelParams) -> int:
    """Floating point operations of a training step a symbol, a multiply-add counted as two, pointwise work as none.

    A matrix costs its product in the forward pass and two in the backward pass: for its own gradient and for its
    input's. The one-hot input needs no gradient, so that the first layer's input matrix costs two.
    """
    hidden, gates = params.hidden_size, GATES[params.cell]
    recurrent = 3 * params.layers * gates * hidden * hidden
    between = 3 * (params.layers - 1) * gates * hidden * hidden
    one_hot = 2 * gates * hidden * symbols
    head = 3 * hidden * symbols
    return 2 * (recurrent + between + one_hot + head)


def sgemm_rate(seconds: float = 0.3) -> float:
    """FLOPs a second of the best single-precision product here: torch's BLAS or oneDNN, at the best of three sizes."""
    return max(product_rate(size, onednn, seconds) for size in SIZES for onednn in (False, True))


def product_rate(size: int, onednn: bool, seconds: float) -> float:
    """FLOPs a second of one product of square matrices."""
    left, right = torch.rand(size, size), torch.rand(size, size)
    if onednn:
        left, right = left.to_mkldnn(), right.to_mkldnn()

    def multiply() -> int:
        F.linear(left, right)
        return 2 * size**3

    multiply()
    return rate_of(multiply, seconds)


class BareLoop:
    """Forward, backward and Adam over one fixed batch, and nothing else."""

    def __init__(self, model: nn.Module, symbols: Tensor) -> None:
        self.model = model
        self.symbols = symbols
        self.optimizer = adam(model, 1e-3)

    def step(self) -> int:
        """One step; gives the characters that it read."""
        logits, _ = self.model(self.symbols[:-1])
        loss = F.cross_entropy(logits.flatten(0, 1), self.symbols[1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.symbols[1:].numel()


def bare_loop(params: ModelParams, symbols: int, batch_size: int, length: int) -> BareLoop:
    """A bare loop of a model that charloom would train, over random symbols (length + 1, batch_size)."""
    return BareLoop(CharModel(symbols, params), torch.randint(symbols, (length + 1, batch_size)))
