"""The calibration of scores whose true temperature is known, and the log loss compared with scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from charloom.evaluation.calibration import calibration_error, fit_temperature, log_loss, log_softmax

RANDOM = np.random.default_rng(1)
SCORES = RANDOM.normal(size=(4000, 3))
# The actual classes. Each is drawn with the probability that the scores give to it, so that SCORES are well calibrated.
DRAWN = np.array([RANDOM.choice(3, p=np.exp(row)) for row in log_softmax(SCORES)])


def test_log_loss_equals_scikit_learns() -> None:
    probabilities = log_softmax(SCORES)
    assert log_loss(probabilities, DRAWN) == pytest.approx(sklearn_log_loss(DRAWN, np.exp(probabilities)))


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    assert calibration_error(log_softmax(SCORES), DRAWN) < 0.03
    confident = np.log(np.array([[1.0, 1e-300]] * 4))
    assert calibration_error(confident, np.array([0, 0, 0, 0])) == pytest.approx(0)
    assert calibration_error(confident, np.array([1, 1, 1, 1])) == pytest.approx(1)
    assert calibration_error(confident, np.array([0, 0, 0, 1])) == pytest.approx(0.25)


@pytest.mark.parametrize("factor", [0.2, 1.0, 40.0])
def test_the_fitted_temperature_undoes_the_scaling_of_the_evidence(factor: float) -> None:
    priors = np.log([0.2, 0.3, 0.5])
    evidence = (priors - SCORES) * factor
    temperature = fit_temperature(priors, evidence, DRAWN)
    assert temperature == pytest.approx(factor, rel=0.1)
    calibrated = log_softmax(priors - evidence / temperature)
    assert log_loss(calibrated, DRAWN) <= log_loss(log_softmax(priors - evidence), DRAWN) + 1e-9
    assert calibration_error(calibrated, DRAWN) < 0.03


def test_log_softmax_of_large_scores_is_finite() -> None:
    assert log_softmax(np.array([[-5000.0, -5001.0]]))[0, 1] == pytest.approx(-1 - math.log(1 + math.exp(-1)))
