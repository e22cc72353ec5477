"""Measure how well a classifier's probabilities match its accuracy, and correct them by temperature scaling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from charloom.evaluation.arrays import Floats

Classes = npt.NDArray[np.integer]

BINS = 15
LOG_TEMPERATURES = -8.0, 8.0  # fit_temperature searches from exp(-8) to exp(8)


def log_loss(log_probabilities: Floats, actual: Classes) -> float:
    """The mean of −ln p of the actual classes (texts,), from the log-probabilities (texts, classes), in nats."""
    return -float(np.take_along_axis(log_probabilities, actual[:, None].astype(np.int64), 1).mean())


def calibration_error(log_probabilities: Floats, actual: Classes) -> float:
    """The expected calibration error of the likeliest class, 0 to 1 (Guo et al. 2017).

    The texts are sorted into BINS bins of equal width, by the probability of their likeliest class. In each bin, the
    mean of this probability is compared with the accuracy. The error is the mean difference, weighted by the number of
    texts in each bin.
    """
    confidence = np.exp(log_probabilities.max(1))
    correct = log_probabilities.argmax(1) == actual
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, confidence - correct)).sum() / len(actual))


def fit_temperature(priors: Floats, evidence: Floats, actual: Classes) -> float:
    """The temperature for which `priors - evidence / temperature` has the lowest log loss (Guo et al. 2017).

    `priors` are log-probabilities (classes). `evidence` is (texts, classes). `actual` has the actual classes (texts).
    """
    from scipy.optimize import minimize_scalar  # importing it takes 0.6 s, and `charloom classify` does not need it

    def loss(log_temperature: float) -> float:
        return log_loss(log_softmax(priors - evidence / np.exp(log_temperature)), actual)

    return float(np.exp(minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded").x))


def log_softmax(scores: Floats) -> Floats:
    """The logarithms of the probabilities that are proportional to exp(scores), over the last axis.

    scipy.special has the same function, but importing it takes 0.3 s.
    """
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
