"""Which class a text is of, by Bayes' rule: a conditioned model scores it under each (Yogatama et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charloom.evaluation.calibration import calibration_error, fit_temperature, log_loss, log_softmax
from charloom.model.network import CharModel
from charloom.model.saved import SavedModel
from charloom.model.scoring import surprisals
from charloom.text.split import ClassCount, EncodedSplit
from charloom.text.vocab import Codes

Floats = npt.NDArray[np.float64]

READ = (10, 20, 40, 80, 160)  # characters after which the class is guessed, and once more after all


def nats_by_class(model: CharModel, texts: Iterable[Codes], device: torch.device) -> Iterator[Floats]:
    """What each symbol of each text costs under each class: arrays (classes, symbols), in nats.

    A text is read under all classes side by side, as if it were so many texts.
    """
    classes = model.no_class
    copies = (text for text in texts for _ in range(classes))
    found = surprisals(model, copies, device, classes=cycle(range(classes)))
    while of_text := list(islice(found, classes)):
        yield np.log(2) * np.stack([each.bits for each in of_text])


def log_priors(class_counts: Sequence[ClassCount]) -> Floats:
    """The logarithm of each class's share of the training articles, one more article of each."""
    counts = np.array([class_count.articles + 1 for class_count in class_counts])
    return np.log(counts / counts.sum())


def log_posteriors(nats: Floats, priors: Floats) -> Floats:
    """The logarithm of each class's probability (texts, classes), given what texts cost under each."""
    return log_softmax(priors - nats)


@dataclass(frozen=True)
class Classification:
    """How well a model tells the classes of the test split apart, and what knowing them is worth."""

    names: Sequence[str]
    actual: npt.NDArray[np.integer]  # (articles,)
    predicted: npt.NDArray[np.integer]
    accuracy_after: dict[str, float]  # by the characters read, "all" the last
    log_loss: float  # nats an article
    calibration_error: float
    temperature: float  # fitted on the validation split
    calibrated_log_loss: float
    calibrated_error: float
    bpc_true_class: float
    bpc_mixed: float  # under each class as far as it is likely by then

    @property
    def accuracy(self) -> float:
        """The share of the articles whose class is the likeliest one."""
        return self.accuracy_after["all"]

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """How many articles of each class (rows) were taken for each (columns)."""
        classes = len(self.names)
        counts = np.bincount(self.actual.astype(np.int64) * classes + self.predicted, minlength=classes**2)
        return counts.reshape(classes, classes)

    def summary(self) -> dict[str, Any]:
        """The numbers of metrics/evaluate.json."""
        return {
            "accuracy": self.accuracy,
            "accuracy_after": self.accuracy_after,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "temperature": self.temperature,
            "calibrated_log_loss": self.calibrated_log_loss,
            "calibrated_error": self.calibrated_error,
            "bpc_true_class": self.bpc_true_class,
            "bpc_mixed": self.bpc_mixed,
        }


def classify_split(saved: SavedModel, valid: EncodedSplit, test: EncodedSplit, device: torch.device) -> Classification:
    """Tell the classes of the test split apart; the temperature comes from the validation split."""
    priors, actual = log_priors(saved.class_counts), test.classes
    valid_scores = priors - _costs(saved.model, valid, device)[-1]
    costs = _costs(saved.model, test, device)
    after_each = [log_posteriors(cost, priors) for cost in costs]
    after = {
        str(read): float((posteriors.argmax(1) == actual).mean())
        for read, posteriors in zip((*READ, "all"), after_each, strict=True)
    }
    whole, posteriors = costs[-1], after_each[-1]
    scores = priors - whole
    temperature = fit_temperature(valid_scores, valid.classes)
    calibrated = log_softmax(scores / temperature)
    bits = np.log(2) * test.characters
    return Classification(
        names=saved.class_names(),
        actual=actual,
        predicted=posteriors.argmax(1),
        accuracy_after=after,
        log_loss=log_loss(posteriors, actual),
        calibration_error=calibration_error(posteriors, actual),
        temperature=temperature,
        calibrated_log_loss=log_loss(calibrated, actual),
        calibrated_error=calibration_error(calibrated, actual),
        bpc_true_class=float(np.take_along_axis(whole, actual[:, None].astype(np.int64), 1).sum() / bits),
        bpc_mixed=float(-np.logaddexp.reduce(scores, axis=1).sum() / bits),
    )


def _costs(model: CharModel, split: EncodedSplit, device: torch.device) -> Floats:
    """What each article costs under each class, up to each of READ and whole: (reads, articles, classes), in nats."""
    articles = (split.article(index) for index in range(split.articles))
    found = nats_by_class(model, articles, device)
    return np.array([[cost[:, :read].sum(1) for read in (*READ, None)] for cost in found]).swapaxes(0, 1)
