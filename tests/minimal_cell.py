"""A recurrent cell that charloom does not have: the minimal gated unit (Zhou et al. 2016), written as a loop.

test_cells.py registers this cell. charloom/cells.py describes the interface.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MinimalGatedUnit(nn.Module):
    """Layers of a cell with two gates, "forget" and "new", whose weights are stacked in this order."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        for layer in range(num_layers):
            size = hidden_size if layer else input_size
            self.register_parameter(f"weight_ih_l{layer}", nn.Parameter(torch.empty(2 * hidden_size, size)))
            self.register_parameter(f"weight_hh_l{layer}", nn.Parameter(torch.empty(2 * hidden_size, hidden_size)))
            self.register_parameter(f"bias_ih_l{layer}", nn.Parameter(torch.empty(2 * hidden_size)))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output (time, batch, hidden) for inputs (time, batch, size), and the state (layers, batch, hidden)."""
        if state is None:
            state = inputs.new_zeros(self.num_layers, inputs.shape[1], self.hidden_size)
        ends = []
        for layer, hidden in enumerate(state):
            if layer:
                inputs = F.dropout(inputs, self.dropout, self.training)
            inputs = self._layer(layer, inputs, hidden)
            ends.append(inputs[-1])
        return inputs, torch.stack(ends)

    def _layer(self, layer: int, inputs: Tensor, hidden: Tensor) -> Tensor:
        """The hidden states (time, batch, hidden) of one layer."""
        from_hidden = self.get_parameter(f"weight_hh_l{layer}").split(self.hidden_size)
        from_inputs = F.linear(
            inputs, self.get_parameter(f"weight_ih_l{layer}"), self.get_parameter(f"bias_ih_l{layer}")
        )
        outputs = []
        for step in from_inputs:
            forget, new = step.chunk(2, -1)
            gate = torch.sigmoid(forget + F.linear(hidden, from_hidden[0]))
            candidate = torch.tanh(new + F.linear(gate * hidden, from_hidden[1]))
            hidden = (1 - gate) * hidden + gate * candidate
            outputs.append(hidden)
        return torch.stack(outputs)
