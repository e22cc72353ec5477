"""Find the class of a text with a conditioned model and Bayes' rule (Yogatama et al. 2017).

The model scores the text given each class in turn. These likelihoods, the class ratios of the memory, and the shares of
the classes in the training split give the probability of each class.

Bayes' rule adds the evidence of all symbols, as if each symbol were independent of the others. But the symbols of a
word say much the same about the class, so the probabilities would be far too close to 0 and 1. So the evidence is
divided by a temperature, which the stage train fits on the validation split (Guo et al. 2017).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charloom.evaluation.arrays import Floats, Integers
from charloom.evaluation.calibration import calibration_error, fit_temperature, log_loss, log_softmax
from charloom.model.network import CharModel
from charloom.model.saved import SavedModel
from charloom.model.scoring import Cost, surprisals
from charloom.text.drawing import draw_articles
from charloom.text.split import ClassCount, EncodedSplit
from charloom.text.vocab import Codes

READ = (10, 20, 40, 80, 160)  # the accuracy is measured after each of these numbers of characters, and after all


class CostsByClass(NamedTuple):
    """What the symbols of a text cost, given each class. Each array has the shape (classes, symbols)."""

    nats: Floats  # −ln of the probability of the symbol
    # The evidence against the class: the nats, minus the logarithm of the memory's class ratio of the symbol. The nats
    # contain this logarithm already, times a factor. The network has learned a small factor, because this predicts
    # characters better. For the accuracy, adding the whole logarithm once more is better (docs/experiments.md, "Classes
    # in the memory"). Without a memory, the evidence equals the nats.
    evidence: Floats


def costs_by_class(model: CharModel, texts: Iterable[Codes]) -> Iterator[CostsByClass]:
    """The costs of the symbols of each text.

    A text is scored once for each class. These copies are scored as if they were different texts.
    """
    classes = model.no_class
    copies = (text for text in texts for _ in range(classes))
    scored = surprisals(model, copies, classes=cycle(range(classes)))
    while of_text := list(islice(scored, classes)):
        nats = np.stack([each.nats for each in of_text])
        yield CostsByClass(nats, nats - np.stack([each.log_ratios for each in of_text]))


def log_priors(class_counts: Sequence[ClassCount]) -> Floats:
    """The logarithm of each class's share of the training articles, after adding one article to each class."""
    counts = np.array([class_count.articles + 1 for class_count in class_counts])
    return np.log(counts / counts.sum())


def log_posteriors(evidence: Floats, priors: Floats, temperature: float) -> Floats:
    """The log-probability of each class for each text, from the evidence against it. Both are (texts, classes)."""
    return log_softmax(priors - evidence / temperature)


def fit_class_temperature(
    model: CharModel, class_counts: Sequence[ClassCount], valid: EncodedSplit, limit: int, seed: int
) -> float:
    """The temperature with which the posteriors have the lowest log loss on random articles of the validation split.

    They have at most `limit` symbols together. There are at most as many of them as labelled training articles, so that
    a training with few labels does not use many labels here.
    """
    labelled = sum(class_count.articles for class_count in class_counts)
    articles = np.sort(draw_articles(valid.lengths, limit, seed)[:labelled])
    _, evidence = article_costs_by_class(model, valid, articles)
    return fit_temperature(log_priors(class_counts), evidence[-1], valid.classes[articles])


@dataclass(frozen=True)
class Classification:
    """How well a model finds the classes of the test split, and what a character costs with and without its class.

    Bits per character are defined by `Cost.bits_per_character` (charloom/model/scoring.py).
    """

    names: Sequence[str]  # of the classes, in the order of the class ids
    actual: npt.NDArray[np.integer]  # (articles,): class ids
    predicted: npt.NDArray[np.integer]  # (articles,): class ids
    accuracy_after: dict[str, float]  # number of characters read → accuracy; the last key is "all"
    log_loss: float  # nats per article
    calibration_error: float
    temperature: float
    bpc_true_class: float  # bits per character given the actual class
    # Bits per character of the mixture over classes. The class is not given: at each symbol, each class has the weight
    # of its posterior so far, by the likelihoods alone.
    bpc_mixed: float

    @property
    def accuracy(self) -> float:
        """The share of the articles whose actual class is the likeliest one."""
        return self.accuracy_after["all"]

    @property
    def confusion(self) -> Integers:
        """The number of articles by actual class (rows) and predicted class (columns)."""
        classes = len(self.names)
        counts = np.bincount(self.actual.astype(np.int64) * classes + self.predicted, minlength=classes**2)
        return counts.reshape(classes, classes)

    def details(self) -> dict[str, Any]:
        """Every number, for details/evaluate.json."""
        return {
            "accuracy": self.accuracy,
            "accuracy_after": self.accuracy_after,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "temperature": self.temperature,
            "bpc_true_class": self.bpc_true_class,
            "bpc_mixed": self.bpc_mixed,
        }


def classify_split(saved: SavedModel, test: EncodedSplit) -> Classification:
    """Find the class of each article of the test split."""
    priors, actual = log_priors(saved.class_counts), test.classes
    nats, evidence = article_costs_by_class(saved.model, test, np.arange(test.articles))
    posteriors = [log_posteriors(each, priors, saved.class_temperature) for each in evidence]
    likeliest = [each.argmax(1) for each in posteriors]
    return Classification(
        names=saved.class_names(),
        actual=actual,
        predicted=likeliest[-1],
        accuracy_after={
            str(read): float((found == actual).mean()) for read, found in zip((*READ, "all"), likeliest, strict=True)
        },
        log_loss=log_loss(posteriors[-1], actual),
        calibration_error=calibration_error(posteriors[-1], actual),
        temperature=saved.class_temperature,
        bpc_true_class=_bits_per_character(nats[np.arange(test.articles), actual], test),
        bpc_mixed=_bits_per_character(-np.logaddexp.reduce(priors - nats, axis=1), test),
    )


def article_costs_by_class(model: CharModel, split: EncodedSplit, articles: Integers) -> tuple[Floats, Floats]:
    """The nats (articles, classes) of these articles given each class, and the evidence against each class.

    `articles` has the indices of the articles in the split.

    The evidence is (len(READ) + 1, articles, classes). Its first dimension is how much of the article was read: each
    number of characters in READ, then the whole article.
    """
    nats, evidence = [], []
    for costs in costs_by_class(model, (split.article(int(index)) for index in articles)):
        nats.append(costs.nats.sum(1))
        evidence.append([costs.evidence[:, :read].sum(1) for read in (*READ, None)])
    return np.array(nats), np.array(evidence).swapaxes(0, 1)


def _bits_per_character(nats: Floats, split: EncodedSplit) -> float:
    """The bits per character of a split, from the nats of its articles."""
    return Cost(float(nats.sum()), split.characters + split.articles, split.characters).bits_per_character
