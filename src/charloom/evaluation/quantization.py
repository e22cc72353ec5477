"""The weights of a model as smaller numbers, for the page that contains the model, and what this costs."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charloom.evaluation.subsample import subsample
from charloom.model.network import CharModel
from charloom.model.saved import SavedModel
from charloom.model.scoring import score_articles
from charloom.text.split import EncodedSplit

NumberType = Literal["int8", "float16", "float32"]

MAX_COST = 0.005  # bits per character; if int8 costs more, the weights become float16
MEASURED = 100_000  # characters of the test split on which the cost is measured
FIRST_LAYER = "rnn.0.weight_ih_l0"


class Rows(NamedTuple):
    """A tensor of weights. If it has scales, each row is multiplied by its scale."""

    values: npt.NDArray[np.generic]
    scales: npt.NDArray[np.float32] | None = None  # one for each row, that is for each vector of the last dimension

    def restored(self) -> Tensor:
        """The weights as float32."""
        values = torch.from_numpy(self.values.astype(np.float32))
        return values if self.scales is None else values * torch.from_numpy(self.scales)[..., None]


class Quantized(NamedTuple):
    """The weights of a model in another type of number."""

    kind: NumberType
    # The weights by name. Those of the first layer's input are transposed: a row for each number of the input, because
    # the weights of symbols are far larger than those of the memory's probabilities.
    rows: dict[str, Rows]
    cost: float  # bits per character that the model needs more with these weights
    characters: int  # of the test split, on which the cost was measured


def quantize(saved: SavedModel, test: EncodedSplit, seed: int) -> Quantized:
    """The weights as int8, or as float16 if int8 costs more than MAX_COST.

    The cost is measured on a random sample of whole test articles, with about MEASURED characters.
    """
    sample = subsample(test, saved.vocabulary, MEASURED, seed)
    whole = score_articles(saved.model, sample).total.bits_per_character
    for kind in ("int8", "float16"):
        rows = quantized_rows(saved.model, kind)
        cost = score_articles(restored_model(saved.model, rows), sample).total.bits_per_character - whole
        if cost <= MAX_COST:
            break
    return Quantized(kind, rows, cost, sample.characters)


def quantized_rows(model: CharModel, kind: NumberType) -> dict[str, Rows]:
    """The weights by name, in this type of number. Vectors, which are small, stay float32."""
    weights = _oriented({name: tensor.detach().cpu() for name, tensor in model.state_dict().items()})
    return {name: _quantized(tensor, kind if tensor.dim() > 1 else "float32") for name, tensor in weights.items()}


def _quantized(tensor: Tensor, kind: NumberType) -> Rows:
    values: npt.NDArray[np.float32] = tensor.contiguous().numpy()
    if kind != "int8":
        return Rows(values.astype(kind))
    scales = (np.abs(values).max(-1) / 127).astype(np.float32)
    steps = values / np.where(scales > 0, scales, 1)[..., None]
    return Rows(steps.round().astype(np.int8), scales)


def _oriented(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights, with those of the first layer's input transposed."""
    return weights | {FIRST_LAYER: weights[FIRST_LAYER].T}


def restored_model(model: CharModel, rows: dict[str, Rows]) -> CharModel:
    """A model with these weights and the same memory."""
    with torch.device("meta"):
        copy = CharModel(model.symbols, model.params, model.no_class)
    weights = _oriented({name: each.restored() for name, each in rows.items()})
    copy.load_state_dict({name: tensor.contiguous().to(model.device) for name, tensor in weights.items()}, assign=True)
    copy.memory = model.memory
    return copy.eval()
