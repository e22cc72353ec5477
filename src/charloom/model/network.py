"""CharModel, the network: one-hot input → recurrent cell → linear output. This file knows nothing about training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charloom.cells import CELLS
from charloom.model.conditioning import class_characters, class_logits, one_hot_with_class, reset_class_weights
from charloom.params import ModelParams

# One tensor (layers, batch, hidden), or a tuple of several: the state of an LSTM has two. cells.py names them.
State = Tensor | tuple[Tensor, ...]

INPUT_STD = 3.0  # of the initial input weights; CharModel.reset_parameters has the reason


class CharModel(nn.Module):
    """A recurrent network that reads symbol ids and returns, after each one, the logits of the next.

    The input is one-hot, as in the tutorial. `params.dropout` acts between layers (as torch has it) and before the
    output layer, where the same units are dropped at all time steps of a window (Gal and Ghahramani 2016).

    A conditioned model (`model.conditioning: class`) also receives a class id: 0…n-1, or `no_class`. The class enters
    in four places, which conditioning.py describes. It follows the generative classifier of Yogatama et al. (2017).
    """

    def __init__(self, symbols: int, params: ModelParams, classes: int = 0) -> None:
        """Weights for `symbols` symbols and, if `params` asks for conditioning, for `classes` classes."""
        super().__init__()
        self.symbols = symbols
        self.params = params
        self.conditioned = params.conditioning == "class"
        self.no_class = classes
        class_slots = classes + 1 if self.conditioned else 0  # one for each class, and one for "no class"
        self.one_hot_size = symbols + class_slots
        self.class_character_size = params.class_embedding if self.conditioned else 0
        cell = CELLS[params.cell]
        self.rnn: nn.Module = cell.load()(
            self.one_hot_size + self.class_character_size,
            params.hidden_size,
            params.layers,
            # torch warns if dropout is set on a single-layer RNN, because it acts only between layers
            dropout=params.dropout if params.layers > 1 else 0.0,
        )
        self.head = nn.Linear(params.hidden_size, symbols)
        if self.conditioned:
            self.initial = nn.Parameter(torch.empty(len(cell.state), params.layers, class_slots, params.hidden_size))
            self.class_head = nn.Parameter(torch.empty(class_slots, symbols, params.hidden_size))
        if self.class_character_size:
            self.class_embedding = nn.Parameter(torch.empty(class_slots, symbols, self.class_character_size))
        # On the meta device there are shapes but no data. Drawing random numbers there would import torch's compiler,
        # which takes two seconds.
        if not self.head.weight.is_meta:
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights: orthogonal recurrent weights, wide input weights, and some gates open.

        Input weights are drawn with a standard deviation of INPUT_STD. A one-hot vector has a single 1, so a gate gets
        one weight for each symbol. With torch's own, smaller weights the network is slow to tell symbols apart: after
        1.2 million characters at hidden size 128, each at its best step size, it had 3.06 bits per character with
        torch's weights and 2.47 with these.
        """
        cell, hidden = CELLS[self.params.cell], self.params.hidden_size
        for name, weights in self.rnn.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weights.split(hidden):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.normal_(weights, std=INPUT_STD if name.endswith("_l0") else hidden**-0.5)
            else:
                nn.init.zeros_(weights)
                if name.startswith("bias_ih"):
                    for gate, bias in zip(cell.gates, weights.split(hidden), strict=True):
                        nn.init.constant_(bias, float(gate in cell.open_gates))
        if self.conditioned:
            reset_class_weights(self)

    def size(self) -> int:
        """The number of parameters."""
        return sum(weights.numel() for weights in self.parameters())

    def forward(self, ids: Tensor, state: State | None = None, classes: Tensor | None = None) -> tuple[Tensor, State]:
        """The logits (time, batch, symbols) after each of the ids (time, batch), and the state after the last.

        `state` is what an earlier call returned, so that a text can be read in pieces. None is the state in which every
        text begins: zeros, or the learned initial state of a conditioned model. `classes` are class ids, (batch) or
        (time, batch); None means `no_class`. An unconditioned model ignores them.
        """
        if not self.conditioned:
            classes = None
        else:
            classes = torch.full_like(ids[0], self.no_class) if classes is None else classes
            state = self.initial_state(classes.expand_as(ids)[0]) if state is None else state
        output, state = self.rnn(self._inputs(ids, classes), state)
        if self.training and self.params.dropout:
            output = output * self._dropout_mask(output)
        logits = self.head(output)
        if classes is not None:
            logits = logits + class_logits(output, classes, self.class_head)
        return logits, state

    def initial_state(self, classes: Tensor) -> State | None:
        """The learned state in which a conditioned model begins texts of these classes (batch)."""
        return make_state(list(self.initial[:, :, classes]))

    def _inputs(self, ids: Tensor, classes: Tensor | None) -> Tensor:
        """The input vectors (time, batch, size) of ids (time, batch)."""
        dtype = self.head.weight.dtype
        if classes is None:
            return F.one_hot(ids, self.one_hot_size).to(dtype)
        class_of_each = classes.expand_as(ids)
        inputs = one_hot_with_class(ids, class_of_each, self.symbols, self.one_hot_size).to(dtype)
        if not self.class_character_size:
            return inputs
        return torch.cat([inputs, class_characters(ids, class_of_each, self.class_embedding)], -1)

    def _dropout_mask(self, output: Tensor) -> Tensor:
        """A dropout mask (1, batch, hidden), shared by all time steps.

        A separate mask for each step was no better: both ways gave 2.162 bits per character with 256 units that read an
        eighth of AG_NEWS-26k eight times. Separate masks took 8.6 % more time at 512 units on two cores.
        """
        return F.dropout(torch.ones_like(output[:1]), self.params.dropout)


def state_tensors(state: State | None) -> list[Tensor]:
    """The tensors of a state, each (layers, batch, hidden); an empty list for None."""
    return [] if state is None else [state] if isinstance(state, Tensor) else list(state)


def make_state(tensors: Sequence[Tensor]) -> State | None:
    """The state that consists of these tensors: the inverse of `state_tensors`."""
    return None if not tensors else tensors[0] if len(tensors) == 1 else tuple(tensors)
