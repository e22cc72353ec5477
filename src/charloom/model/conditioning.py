"""How a conditioned model uses the class of a text. The class enters the network in five places:

1. a second 1 in the one-hot input, after the entries of the symbols (`one_hot_with_class`),
2. an embedding of each symbol for each class, concatenated to the input (`class_characters`),
3. a learned initial state for each class (`CharModel.initial_state`),
4. output weights for each class, whose logits are added to the shared ones (`class_logits`),
5. the class ratios of the memory, whose logarithms are added to the logits (`CharModel._memory_logits`).

The second place exists only with `model.class_embedding`, and the fifth only with `model.memory` and
`model.class_memory`. Before training, only the fifth has an effect.

In each place, "no class" counts as one more class. Its id is `CharModel.no_class`, the highest of all class ids. A
model reads a text with this id if the class of the text is unknown.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from charloom.model.network import CharModel

# The standard deviation of the initial input weights that read the class's character embedding. The embedding itself is
# zero at first. docs/experiments.md, "A class embedding", has the trials.
EMBEDDING_STD = 0.3


def reset_class_weights(model: CharModel) -> None:
    """Set the initial weights so that they give no class an effect before training.

    The class is part of the input at every step. If the input weights of a class were as large at first as those of a
    symbol, the class would push every gate in the same direction throughout the article.
    """
    input_weights = model.get_parameter("rnn.0.weight_ih_l0")
    nn.init.zeros_(input_weights[:, model.symbols : model.one_hot_size])
    nn.init.zeros_(model.initial)
    nn.init.zeros_(model.class_head)
    if model.class_character_size:
        first, last = model.one_hot_size, model.one_hot_size + model.class_character_size
        nn.init.normal_(input_weights[:, first:last], std=EMBEDDING_STD)
        nn.init.zeros_(model.class_embedding)


def one_hot_with_class(ids: Tensor, classes: Tensor, symbols: int, size: int) -> Tensor:
    """Vectors (time, batch, size) with two ones: one at the symbol's id, one at `symbols` + the class id."""
    return F.one_hot(ids, size) + F.one_hot(symbols + classes, size)


def class_characters(ids: Tensor, classes: Tensor, embedding: Tensor) -> Tensor:
    """The embedding (time, batch, size) of each symbol given its class. `embedding` is (classes, symbols, size)."""
    return F.embedding(classes * embedding.shape[1] + ids, embedding.flatten(0, 1))


def class_logits(output: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """The logits (time, batch, symbols) that each text's class adds to the shared ones.

    `output` is (time, batch, hidden), `classes` (batch) or (time, batch), `weights` (classes, symbols, hidden). There
    are three ways to compute the product. Which one is fastest depends on the shapes and the device.
    """
    steps, texts, _ = output.shape
    if classes.dim() == 1 and steps > 1:
        # With one class per text, each text gets a copy of the weights of its class. This is as fast as the product
        # with the shared output weights. For a single step the copying would take longer than the product at the end.
        return torch.einsum("tbh,bsh->tbs", output, weights[classes])
    if steps > 1 and output.device.type == "cpu":
        return _class_by_class(output.flatten(0, 1), classes.flatten(), weights).view(steps, texts, -1)
    # Multiply by the weights of each class, and keep the result where a text has this class. This is more arithmetic,
    # but the GPU need not synchronise to find out which classes occur. At one step, the rounding of a sample does not
    # depend on the classes of other samples.
    of_each = classes.expand(steps, texts)[..., None]
    return reduce(torch.add, ((output @ own.T) * (of_each == index) for index, own in enumerate(weights)))


def _class_by_class(output: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """The logits (rows, symbols) of output (rows, hidden) and classes (rows), with one matrix product for each class.

    The products are computed in the precision of the weights, even inside bf16 autocast. Reason: in bf16, oneDNN would
    compile and keep a kernel for each number of rows, and the number of rows of a class differs from batch to batch.
    """
    order = classes.argsort(stable=True)  # the rows of class 0 first, then those of class 1, and so on
    counts = classes.bincount(minlength=len(weights)).tolist()
    rows_by_class = output.to(weights.dtype).index_select(0, order).split(counts)
    with torch.autocast("cpu", enabled=False):
        products = [rows @ class_weights.T for rows, class_weights in zip(rows_by_class, weights, strict=True)]
        logits = torch.cat(products)
    return logits.index_select(0, order.argsort())
