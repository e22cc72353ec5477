"""scikit-learn's classifiers on the embedded sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from charloom.errors import InputError
from charloom.evaluation.classifiers import CLASSIFIERS, check_labelled, measure_classifier
from charloom.text.split import EncodedSplit
from tests.learning import Encoded, encode_sample

NAMES = ["naive Bayes, characters", "logistic regression, characters", "logistic regression, words"]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def accuracies(train: EncodedSplit, encoded: Encoded) -> dict[str, float]:
    return {name: measure_classifier(name, train, encoded.test, encoded.vocabulary) for name in CLASSIFIERS}


def test_every_classifier_beats_the_commonest_class_and_is_deterministic(encoded: Encoded) -> None:
    found = accuracies(encoded.train, encoded)
    assert list(found) == NAMES
    commonest = np.bincount(encoded.test.classes).max() / encoded.test.articles
    assert all(commonest < accuracy <= 1 for accuracy in found.values())
    assert accuracies(encoded.train, encoded) == found


def test_classifiers_learn_from_labelled_articles_only(encoded: Encoded) -> None:
    assert accuracies(encoded.valid.labelled(0.5, 1), encoded) != accuracies(encoded.valid, encoded)


def test_labelled_articles_of_a_single_class_are_an_error(encoded: Encoded) -> None:
    alone = replace(encoded.valid, classes=np.zeros_like(encoded.valid.classes))
    with pytest.raises(InputError, match="all of one class"):
        check_labelled(alone)
