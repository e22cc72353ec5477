"""Which class a text is of, by Bayes' rule: a conditioned model scores it under each (Yogatama et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt
import torch

from charloom.model import CharModel
from charloom.scoring import surprisals
from charloom.vocab import Codes
from charloom.windows import Topic

Floats = npt.NDArray[np.float64]


def nats_by_class(model: CharModel, texts: Iterable[Codes], device: torch.device) -> Iterator[Floats]:
    """What each symbol of each text costs under each class: arrays (classes, symbols), in nats.

    A text is read under all classes side by side, as if it were so many texts.
    """
    classes = model.no_class
    copies = (text for text in texts for _ in range(classes))
    found = surprisals(model, copies, device, classes=cycle(range(classes)))
    while of_text := list(islice(found, classes)):
        yield np.log(2) * np.stack([each.bits for each in of_text])


def log_priors(topics: Sequence[Topic]) -> Floats:
    """The logarithm of each class's share of the training articles, one more article of each."""
    counts = np.array([topic.articles + 1 for topic in topics])
    return np.log(counts / counts.sum())


def log_posteriors(nats: Floats, priors: Floats, temperature: float = 1.0) -> Floats:
    """The logarithm of each class's probability (texts, classes), given what texts cost under each."""
    scores = (priors - nats) / temperature
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
