"""The recurrent cells that model.cell can name. This is the one place where a cell is registered.

To add a cell, write its module with the interface of torch.nn.LSTM (arguments `input_size, hidden_size, num_layers,
dropout`; parameters named `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, …) and register it here. This file does not
import torch, so that params.yaml can be checked without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Cell:
    """What the rest of charloom needs to know of a recurrent cell."""

    module: str  # the full name of its torch module
    gates: tuple[str, ...]  # in the order in which the module stacks their weights
    state: tuple[str, ...]  # the tensors of its state, each (layers, batch, hidden)
    open_gates: tuple[str, ...] = ()  # gates whose bias begins at 1, so that they begin open

    def load(self) -> Any:
        """The class of its torch module."""
        module, _, name = self.module.rpartition(".")
        return getattr(import_module(module), name)


CELLS = {
    "RNN": Cell("torch.nn.RNN", gates=("update",), state=("hidden",)),
    # A forget gate that begins open lets the cell state pass from the first step on (Jozefowicz et al. 2015).
    "LSTM": Cell(
        "torch.nn.LSTM",
        gates=("input", "forget", "cell", "output"),
        state=("hidden", "cell"),
        open_gates=("forget",),
    ),
    "GRU": Cell("torch.nn.GRU", gates=("reset", "update", "new"), state=("hidden",)),
}
