"""The recurrent cells that `model.cell` can name. This is the one place where a cell is registered.

To add a cell, write its torch module and add an entry to CELLS. The module has the interface of torch.nn.LSTM:

- It is made by `Module(input_size, hidden_size)`, and has one layer. CharModel makes one for each layer.
- `output, state = module(inputs, state)` reads inputs (time, batch, input_size) and returns output (time, batch,
  hidden_size). The state is one tensor (1, batch, hidden_size), or a tuple of such tensors; None means zeros.
- It has the parameters `weight_ih_l0` (gates × hidden_size, input_size), `weight_hh_l0` (gates × hidden_size,
  hidden_size) and, if the cell has biases, `bias_ih_l0` and `bias_hh_l0` (gates × hidden_size). Each parameter stacks
  the gates in the order of `Cell.gates`. CharModel.reset_parameters draws the initial values of all parameters.
- The output for one text of a batch depends only on this text, and only on the symbols up to the present one. Scoring
  and sampling rely on this.

An entry must be in CELLS before charloom.params is imported, because params.py checks `model.cell` against the names
in CELLS. This file does not import torch, so that params.yaml can be checked without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Cell:
    """What the rest of charloom needs to know about a recurrent cell."""

    module: str  # the full name of the class of the torch module, such as torch.nn.LSTM
    gates: tuple[str, ...]  # the names of the gates, in the order in which the torch module stacks their weights
    state: tuple[str, ...]  # the names of the tensors of the state, each (layers, batch, hidden)
    open_gates: tuple[str, ...] = ()  # the gates whose bias starts at 1, so that these gates are open at first
    # The name of a function of torch that computes one time step of one layer: function(input, state, weight_ih,
    # weight_hh, bias_ih, bias_hh). Sampling uses it, because calling the module for one step takes far longer on a CPU.
    # None: sampling calls the module.
    step: str | None = None

    def load(self) -> Callable[..., nn.Module]:
        """Import the class of the torch module."""
        package, _, class_name = self.module.rpartition(".")
        return cast("Callable[..., nn.Module]", getattr(import_module(package), class_name))


CELLS = {
    "RNN": Cell("torch.nn.RNN", gates=("update",), state=("hidden",), step="rnn_tanh_cell"),
    # If the forget gate is open at first, the cell state passes from step to step before anything is learned
    # (Jozefowicz et al. 2015).
    "LSTM": Cell(
        "torch.nn.LSTM",
        gates=("input", "forget", "cell", "output"),
        state=("hidden", "cell"),
        open_gates=("forget",),
        step="lstm_cell",
    ),
    "GRU": Cell("torch.nn.GRU", gates=("reset", "update", "new"), state=("hidden",), step="gru_cell"),
}
