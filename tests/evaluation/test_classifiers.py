"""Usual classifiers on classes that are plain, and on the embedded sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from charloom.errors import InputError
from charloom.evaluation.classifiers import measure_classifiers
from tests.learning import Encoded, encode_sample

NAMES = ["naive Bayes, characters", "logistic regression, characters", "logistic regression, words"]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def test_all_are_better_than_chance_and_the_same_again(encoded: Encoded) -> None:
    small = encoded.valid
    found = dict(measure_classifiers(small, encoded.test, encoded.vocabulary))
    assert list(found) == NAMES
    commonest = np.bincount(encoded.test.classes).max() / encoded.test.articles
    assert all(commonest < accuracy <= 1 for accuracy in found.values())
    assert dict(measure_classifiers(small, encoded.test, encoded.vocabulary)) == found


def test_only_labelled_articles_are_learned_from(encoded: Encoded) -> None:
    found = dict(measure_classifiers(encoded.valid.labelled(0.5, 1), encoded.test, encoded.vocabulary))
    assert found != dict(measure_classifiers(encoded.valid, encoded.test, encoded.vocabulary))


def test_one_class_alone_is_nothing_to_tell_apart(encoded: Encoded) -> None:
    alone = replace(encoded.valid, classes=np.zeros_like(encoded.valid.classes))
    with pytest.raises(InputError, match="all of one class"):
        dict(measure_classifiers(alone, encoded.test, encoded.vocabulary))
