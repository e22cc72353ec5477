"""The state of a CharModel between two pieces of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from charloom.model.memory import Cursor

# The hidden state: one tensor (layers, batch, hidden), or a tuple of such tensors. The state of an LSTM has two
# tensors. Cell.state in cells.py names the tensors of each cell.
HiddenState = Tensor | tuple[Tensor, ...]


class MemoryState(NamedTuple):
    """The state of a model that looks up its own memory."""

    hidden: HiddenState | None  # None before the first symbol
    cursor: Cursor  # of the memory


State = HiddenState | MemoryState


def split_state(state: State | None) -> tuple[HiddenState | None, Cursor | None]:
    """The hidden state and the cursor of the memory. Each can be missing."""
    return state if isinstance(state, MemoryState) else (state, None)


def state_tensors(state: State | None) -> list[Tensor]:
    """The tensors of the hidden state as a list, each (layers, batch, hidden). For None the list is empty."""
    state, _ = split_state(state)
    return [] if state is None else [state] if isinstance(state, Tensor) else list(state)


def make_state(tensors: Sequence[Tensor]) -> HiddenState | None:
    """The state that consists of these tensors. This is the inverse of `state_tensors`."""
    return None if not tensors else tensors[0] if len(tensors) == 1 else tuple(tensors)
