"""Calling a recurrent layer: with other weights than its own, for a single time step, and in bf16 on a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from charloom.cells import Cell
from charloom.model.states import HiddenState, make_state, state_tensors

INPUT_WEIGHTS = "weight_ih_l0"
# A vocabulary with more symbols is *large*: of the input weights, only the columns of the symbols that occur are
# multiplied. Choosing them costs more than it saves if there are few symbols.
LARGE = 256
# The number of chosen columns is a multiple of this, because oneDNN compiles a kernel for each number of columns.
WIDTH = 64

# In bf16, cuDNN gets new copies of the weights in each step, so their place in memory means nothing.
warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk", UserWarning)


def read_layer(
    cell: Cell, module: nn.Module, inputs: Tensor, hidden: HiddenState | None, columns: Tensor | None
) -> tuple[Tensor, HiddenState]:
    """The output (time, batch, hidden) of one layer for inputs (time, batch, size), and its state (1, batch, hidden).

    If `columns` is given, the layer uses only these columns of its input weights.
    """
    weights: dict[str, Tensor] = dict(module.named_parameters())
    if columns is not None:
        weights[INPUT_WEIGHTS] = weights[INPUT_WEIGHTS][:, columns]
    if inputs.device.type == "cpu" and len(inputs) == 1 and cell.step and not module.training:
        return _read_step(cell, module, weights, inputs[0], hidden)
    if inputs.device.type == "cuda" and torch.is_autocast_enabled("cuda"):
        return _read_in_bf16(module, weights, inputs, hidden)
    if columns is not None:
        return _read_with(module, weights, inputs, hidden)
    output, end = module(inputs, hidden)
    return output, end


def _read_with(
    module: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, hidden: HiddenState | None
) -> tuple[Tensor, HiddenState]:
    """`read_layer` with these weights instead of the layer's own.

    For torch's layers, torch.func.functional_call is wrong: it makes them move their own weights to other memory on a
    GPU, where the steps that were recorded (training/graph.py) do not find them.
    """
    if not isinstance(module, nn.RNNBase):
        output, end = functional_call(module, dict(weights), (inputs, hidden))
        return output, end
    compute = getattr(torch, module.mode.lower())  # such as torch.lstm
    if hidden is None:
        zeros = inputs.new_zeros(1, inputs.shape[1], module.hidden_size)
        hidden = (zeros, zeros) if compute is torch.lstm else zeros
    biases, layers, dropout, bidirectional, batch_first = True, 1, 0.0, False, False
    options = biases, layers, dropout, module.training, bidirectional, batch_first
    output, *end = compute(inputs, hidden, list(weights.values()), *options)
    after = make_state(end)
    assert after is not None
    return output, after


def _read_step(
    cell: Cell, module: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, hidden: HiddenState | None
) -> tuple[Tensor, HiddenState]:
    """`read_layer` for a single time step, whose inputs are (batch, size).

    On a CPU, torch's modules pack the weights anew in each call. For one time step this takes most of the time, so
    torch's function of a single step is called instead.
    """
    zeros = inputs.new_zeros(1, len(inputs), int(module.hidden_size))  # type: ignore[arg-type]
    tensors = state_tensors(hidden) or [zeros] * len(cell.state)
    before = make_state([tensor[0] for tensor in tensors])
    end = state_tensors(getattr(torch, cell.step or "")(inputs, before, *weights.values()))
    after = make_state([tensor[None] for tensor in end])
    assert after is not None
    return end[0][None], after


def _read_in_bf16(
    module: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, hidden: HiddenState | None
) -> tuple[Tensor, HiddenState]:
    """`read_layer` on a GPU in bf16, with copies of the weights. The gradients reach the weights in float32.

    torch's autocast computes recurrent layers on a GPU in float16, whatever type it is asked for. Gradients can be too
    small for float16.
    """
    bf16 = torch.bfloat16
    copies = {name: each.to(bf16) for name, each in weights.items()}
    before = make_state([tensor.to(bf16) for tensor in state_tensors(hidden)])
    with torch.autocast("cuda", enabled=False):
        return _read_with(module, copies, inputs.to(bf16), before)


def compact(ids: Tensor, symbols: int, input_size: int) -> tuple[Tensor, int, Tensor | None]:
    """For a large vocabulary: other ids (time, batch), their number, and the columns of the input weights to use.

    Each symbol that occurs gets a new id. `columns` has the column of each new id, then the columns from `symbols` to
    `input_size`. Some new ids are not used, and their columns have no effect. In a small
    vocabulary each symbol keeps its id, and `columns` is None.
    """
    if symbols <= LARGE:
        return ids, symbols, None
    if len(ids) == 1:
        # In sampling, the rounding of a sample must not depend on the symbols of other samples. So each has a column.
        used, ids = ids[0], torch.arange(ids.shape[1], device=ids.device)[None]
    else:
        used, ids = ids.unique(return_inverse=True)
        used = torch.cat([used, used.new_zeros(-len(used) % WIDTH)])
    others = torch.arange(symbols, input_size, device=ids.device)
    return ids, len(used), torch.cat([used, others])
