"""A conditioned model as a classifier: its answers for two easy classes, and its numbers computed step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charloom.corpus.articles import Article
from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.evaluation.classification import (
    classify_split,
    costs_by_class,
    fit_class_temperature,
    log_posteriors,
    log_priors,
)
from charloom.model.saved import load_model
from charloom.params import WindowsParams
from charloom.text.drawing import draw_articles
from charloom.text.encode import write_split
from charloom.text.split import ClassCount, EncodedSplit
from charloom.text.vocab import Codes, Vocabulary
from charloom.training.checkpoint import Checkpoints
from charloom.training.loop import run_training
from tests.learning import Encoded, save_conditioned_model, small_training

CPU = torch.device("cpu")
TEXTS = {1: "to be or not to be, that is the question", 2: "TO BE OR NOT TO BE, THAT IS THE QUESTION"}


@pytest.fixture(scope="module")
def easy(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """Two classes, one in small letters and one in capitals. The first letter is enough to know the class."""
    folder, vocabulary = tmp_path_factory.mktemp("easy"), Vocabulary.build(TEXTS.values())
    params = WindowsParams(length=20, stride=20, scope="stream")
    articles = [Article(1 + number % 3 // 2, TEXTS[1 + number % 3 // 2][number % 7 :]) for number in range(60)]
    write_split(folder, articles, vocabulary, params, np.dtype(np.uint32), ["small", "capital"])
    split = EncodedSplit.load(folder)
    return Encoded(vocabulary, split, split, split)


@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_a_trained_model_finds_easy_classes_after_five_characters(easy: Encoded, tmp_path: Path, batching: str) -> None:
    training = small_training(easy, {"classes": 2}, batching=batching, epochs=16.0, learning_rate=0.02)
    run_training(training, Checkpoints(tmp_path), [], lambda: False)
    costs = [each.evidence for each in costs_by_class(training.model.eval(), articles_of(easy.test))]
    assert [cost.shape for cost in costs] == [(2, length) for length in easy.test.lengths]
    posteriors = log_posteriors(np.array([cost.sum(1) for cost in costs]), log_priors(easy.train.class_counts), 1.0)
    assert posteriors.argmax(1).tolist() == easy.test.classes.tolist()
    early = log_posteriors(np.array([cost[:, :5].sum(1) for cost in costs]), log_priors(easy.train.class_counts), 1.0)
    assert early.argmax(1).tolist() == easy.test.classes.tolist()


def test_a_classification_is_computed_from_the_nats_given_each_class(tmp_path: Path) -> None:
    saved = load_model(save_conditioned_model(tmp_path / "model", tmp_path / "windows"))
    test = EncodedSplit.load(tmp_path / "windows/test")
    found = classify_split(saved, test)
    priors = log_priors(saved.class_counts)
    costs = list(costs_by_class(saved.model, articles_of(test)))
    nats, evidence = (np.array([each.sum(1) for each in part]) for part in zip(*costs, strict=True))
    assert found.names == list(AG_NEWS_CLASSES)
    assert found.predicted.tolist() == (priors - evidence).argmax(1).tolist()
    assert found.accuracy == (found.predicted == test.classes).mean()
    assert list(found.accuracy_after) == ["10", "20", "40", "80", "160", "all"]
    early = np.array([cost.evidence[:, :20].sum(1) for cost in costs])
    assert found.accuracy_after["20"] == ((priors - early).argmax(1) == test.classes).mean()
    assert found.confusion.sum(1).tolist() == np.bincount(test.classes).tolist()
    assert found.confusion.trace() == round(found.accuracy * test.articles)
    of_actual = nats[np.arange(test.articles), test.classes]
    assert found.bpc_true_class == pytest.approx(of_actual.sum() / math.log(2) / test.characters)
    mixed = -np.log((np.exp(priors - nats + nats.min(1, keepdims=True))).sum(1)) + nats.min(1)
    assert found.bpc_mixed == pytest.approx(mixed.sum() / math.log(2) / test.characters)
    assert not np.array_equal(nats, evidence)


def test_the_temperature_makes_the_probabilities_less_confident(tmp_path: Path) -> None:
    saved = load_model(save_conditioned_model(tmp_path / "model", tmp_path / "windows"))
    valid, test = (EncodedSplit.load(tmp_path / "windows" / split) for split in ("valid", "test"))
    temperature = fit_class_temperature(saved.model, saved.class_counts, valid, 10**6, 1)
    assert temperature > 1
    before, after = (classify_split(saved._replace(class_temperature=each), test) for each in (1.0, temperature))
    assert after.temperature == temperature
    assert after.log_loss < before.log_loss
    assert after.calibration_error < before.calibration_error


@pytest.mark.parametrize(("labelled", "limit"), [(5, 10**6), (10**6, 1000)], ids=["few labels", "few characters"])
def test_the_temperature_is_fitted_on_few_articles_if_few_are_allowed(
    tmp_path: Path, labelled: int, limit: int
) -> None:
    """Neither the labels that `data.labelled_fraction` hides nor a large validation split are used."""
    saved = load_model(save_conditioned_model(tmp_path / "model", tmp_path / "windows"))
    valid = EncodedSplit.load(tmp_path / "windows" / "valid")
    counts = [ClassCount(name=each.name, articles=labelled // 4 + (labelled == 5)) for each in saved.class_counts]
    used = np.sort(draw_articles(valid.lengths, limit, seed=1)[: sum(each.articles for each in counts)])
    assert 0 < len(used) < valid.articles
    hidden = valid.classes.copy()
    hidden[np.setdiff1d(np.arange(valid.articles), used)] = 0
    fitted = [
        fit_class_temperature(saved.model, counts, replace(valid, classes=classes), limit, 1)
        for classes in (valid.classes, hidden)
    ]
    assert fitted[0] == fitted[1]
    hidden[used] = (hidden[used] + 1) % len(counts)
    assert fit_class_temperature(saved.model, counts, replace(valid, classes=hidden), limit, 1) != fitted[0]


def articles_of(split: EncodedSplit) -> Iterator[Codes]:
    return (split.article(index) for index in range(split.articles))


def test_priors_are_shares_after_adding_one_article_to_each_class() -> None:
    class_counts = [ClassCount(name="a", articles=6), ClassCount(name="b", articles=0)]
    assert np.exp(log_priors(class_counts)).tolist() == pytest.approx([7 / 8, 1 / 8])


@given(st.lists(st.floats(0, 5000), min_size=2, max_size=5))
def test_posteriors_are_probabilities_for_any_nats(nats: list[float]) -> None:
    priors = np.log(np.full(len(nats), 1 / len(nats)))
    found = np.exp(log_posteriors(np.array([nats]), priors, 1.0))
    assert found.sum() == pytest.approx(1)
    assert found[0, np.argmin(nats)] == found.max()


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_a_posterior_is_proportional_to_prior_times_likelihood(temperature: float) -> None:
    evidence = temperature * np.array([[math.log(2), math.log(8)]])
    found = np.exp(log_posteriors(evidence, np.log([0.2, 0.8]), temperature))
    assert found[0].tolist() == pytest.approx([0.1 / 0.2, 0.1 / 0.2])
