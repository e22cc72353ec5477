"""How much arithmetic a model needs per symbol, how much the machine does per second, and a bare training loop."""

from __future__ import annotations

from charloom.cells import CELLS
from charloom.model.network import CharModel
from charloom.params import ModelParams
from charloom.training.optimizer import adam
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common import rate_of

SIZES = (512, 1024, 2048)  # of square matrices


def flops_per_character(symbols: int, params: ModelParams) -> int:
    """Floating point operations of a training step for each symbol. A multiply-add counts as two operations.

    Only matrix products are counted. A matrix takes part in one product in the forward pass and in two products in the
    backward pass: one for the gradient of the matrix, one for the gradient of its input. The one-hot input needs no
    gradient, so its matrix takes part in two products instead of three.
    """
    hidden, gates = params.hidden_size, len(CELLS[params.cell].gates)
    recurrent = 3 * params.layers * gates * hidden * hidden
    between = 3 * (params.layers - 1) * gates * hidden * hidden
    one_hot = 2 * gates * hidden * symbols
    head = 3 * hidden * symbols
    return 2 * (recurrent + between + one_hot + head)


def sgemm_rate(seconds: float = 0.3) -> float:
    """FLOP/s of fp32 matrix products on this machine: the highest over SIZES, with torch's BLAS and with oneDNN."""
    return max(product_rate(size, onednn, seconds) for size in SIZES for onednn in (False, True))


def product_rate(size: int, onednn: bool, seconds: float) -> float:
    """FLOP/s of products of two square matrices, measured for `seconds`."""
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
        """Take one step. Returns the number of symbols that it read."""
        logits, _ = self.model(self.symbols[:-1])
        loss = F.cross_entropy(logits.flatten(0, 1), self.symbols[1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.symbols[1:].numel()


def bare_loop(params: ModelParams, symbols: int, batch_size: int, length: int) -> BareLoop:
    """A bare loop that trains charloom's model on a batch of random symbols (length + 1, batch_size)."""
    return BareLoop(CharModel(symbols, params), torch.randint(symbols, (length + 1, batch_size)))
