"""How far probabilities can be believed: log loss, expected calibration error, and the one number that mends them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.integer]

BINS = 15
TEMPERATURES = -8.0, 8.0  # the logarithms between which one is looked for


def log_loss(log_probabilities: Floats, actual: Classes) -> float:
    """Mean nats that the actual classes cost; probabilities (texts, classes)."""
    return -float(np.take_along_axis(log_probabilities, actual[:, None].astype(np.int64), 1).mean())


def calibration_error(log_probabilities: Floats, actual: Classes) -> float:
    """The expected calibration error of the likeliest class, in BINS of equal width (Guo et al. 2017)."""
    confidence = np.exp(log_probabilities.max(1))
    right = log_probabilities.argmax(1) == actual
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, confidence - right)).sum() / len(actual))


def fit_temperature(scores: Floats, actual: Classes) -> float:
    """The temperature by which scores (texts, classes) give the lowest log loss (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return log_loss(log_softmax(scores / np.exp(log_temperature)), actual)

    return float(np.exp(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x))


def log_softmax(scores: Floats) -> Floats:
    """The logarithms of the probabilities that are in proportion to exp(scores), over the last axis."""
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
