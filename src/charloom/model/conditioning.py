"""How a conditioned model uses the class of a text. The class enters the network in four places:

1. a second 1 in the one-hot input, behind the symbols (`one_hot_with_class`),
2. an embedding of each character for each class, concatenated to the input (`class_characters`),
3. a learned initial state for each class (`CharModel.initial_state`),
4. output weights for each class, whose logits are added to the shared ones (`class_logits`).

In each place "no class" counts as one more class. Its id, `CharModel.no_class`, is the highest. The model uses it if
the class of a text is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from charloom.model.network import CharModel

# The standard deviation of the input weights that read the class's character embedding. The embedding itself starts at
# zero. docs/experiments.md, "A class embedding", has the trials.
EMBEDDING_STD = 0.3


def reset_class_weights(model: CharModel) -> None:
    """Set the initial weights so that no class has an effect yet.

    The class is part of the input at every step. If its input weights began as large as a symbol's, they would push
    every gate in the same direction throughout the article.
    """
    input_weights = model.rnn.get_parameter("weight_ih_l0")
    nn.init.zeros_(input_weights[:, model.symbols : model.one_hot_size])
    nn.init.zeros_(model.initial)
    nn.init.zeros_(model.class_head)
    if model.class_character_size:
        nn.init.normal_(input_weights[:, model.one_hot_size :], std=EMBEDDING_STD)
        nn.init.zeros_(model.class_embedding)


def one_hot_with_class(ids: Tensor, classes: Tensor, symbols: int, size: int) -> Tensor:
    """Vectors (time, batch, size) with two ones: at the symbol's id, and at `symbols` + the class id."""
    return F.one_hot(ids, size) + F.one_hot(symbols + classes, size)


def class_characters(ids: Tensor, classes: Tensor, embedding: Tensor) -> Tensor:
    """The embedding (time, batch, numbers) of each symbol in its class; `embedding` is (classes, symbols, numbers)."""
    return F.embedding(classes * embedding.shape[1] + ids, embedding.flatten(0, 1))


def class_logits(output: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """The logits (time, batch, symbols) that each text's class adds to the shared ones.

    `output` is (time, batch, hidden), `classes` (batch) or (time, batch), `weights` (classes, symbols, hidden). The
    product is computed in one of three ways, the fastest for the situation.
    """
    steps, texts, _ = output.shape
    if classes.dim() == 1 and steps > 1:
        # One class per text: copying its weights is as fast as the shared product. For a single step it is slower.
        return torch.einsum("tbh,bsh->tbs", output, weights[classes])
    if steps > 1 and output.device.type == "cpu":
        return _class_by_class(output.flatten(0, 1), classes.flatten(), weights).view(steps, texts, -1)
    # Multiply by all classes' weights. This is more arithmetic, but the GPU need not synchronise to find out which
    # classes occur, and at one step the rounding of a sample does not depend on the other samples' classes.
    chosen = F.one_hot(classes.expand(steps, texts), len(weights)).to(output.dtype)
    return torch.einsum("tbc,tbh,csh->tbs", chosen, output, weights)


def _class_by_class(output: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """The logits (rows, symbols) of output (rows, hidden) and classes (rows): one matrix product for each class.

    The product is computed in the weights' precision even under bf16 autocast. In bf16, oneDNN would compile and keep a
    kernel for each number of rows, and the number of rows of a class differs from batch to batch.
    """
    order = classes.argsort(stable=True)
    counts = classes.bincount(minlength=len(weights)).tolist()
    rows_of_each = output.to(weights.dtype).index_select(0, order).split(counts)
    with torch.autocast("cpu", enabled=False):
        logits = torch.cat([rows @ each.T for rows, each in zip(rows_of_each, weights, strict=True)])
    return logits.index_select(0, order.argsort())
