"""A recurrent cell that charloom does not have: the minimal gated unit (Zhou et al. 2016), written as a loop.

test_cells.py registers this cell. charloom/cells.py describes the interface.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MinimalGatedUnit(nn.Module):
    """A layer of a cell with two gates, "forget" and "new", whose weights are stacked in this order."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(2 * hidden_size))
        self.hidden_size = hidden_size

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output (time, batch, hidden) for inputs (time, batch, size), and the state (1, batch, hidden)."""
        hidden = inputs.new_zeros(inputs.shape[1], self.hidden_size) if state is None else state[0]
        from_hidden = self.weight_hh_l0.split(self.hidden_size)
        outputs = []
        for step in F.linear(inputs, self.weight_ih_l0, self.bias_ih_l0):
            forget, new = step.chunk(2, -1)
            gate = torch.sigmoid(forget + F.linear(hidden, from_hidden[0]))
            candidate = torch.tanh(new + F.linear(gate * hidden, from_hidden[1]))
            hidden = (1 - gate) * hidden + gate * candidate
            outputs.append(hidden)
        return torch.stack(outputs), hidden[None]
