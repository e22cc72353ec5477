"""An evaluation, compared with the same numbers computed separately."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from charloom.errors import InputError
from charloom.evaluation.evaluation import Evaluation, evaluate_model
from charloom.model.saved import SavedModel, load_model
from charloom.model.scoring import score_articles
from charloom.params import EvaluateParams
from tests.learning import Encoded, default_params, encode_sample, save_conditioned_model, small_model

CPU = torch.device("cpu")
CLASSES = ["World", "Sports", "Business", "Sci/Tech"]
PARAMS = default_params().evaluate


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def saved(encoded: Encoded) -> SavedModel:
    return SavedModel(small_model(len(encoded.vocabulary)).eval(), encoded.vocabulary, "t" * 64, "d" * 64)


def evaluated(saved: SavedModel, encoded: Encoded, **changes: object) -> Evaluation:
    params = PARAMS.model_dump() | {"samples": 2, "sample_length": 20, "temperatures": [1.0]} | changes
    return evaluate_model(saved, encoded.test, EvaluateParams(**params), CLASSES)


@pytest.fixture(scope="module")
def evaluation(saved: SavedModel, encoded: Encoded) -> Evaluation:
    return evaluated(saved, encoded)


def test_the_scores_equal_those_of_score_articles(evaluation: Evaluation, saved: SavedModel, encoded: Encoded) -> None:
    expected = score_articles(saved.model, encoded.test)
    np.testing.assert_allclose(evaluation.scores.nats, expected.nats)
    assert (evaluation.scores.characters == expected.characters).all()


def test_the_metrics_are_bpc_and_perplexity(evaluation: Evaluation) -> None:
    total = evaluation.scores.total
    assert evaluation.metrics() == {"test_bpc": total.bits_per_character, "test_perplexity": total.perplexity}


def test_the_details_have_the_scores_and_the_bpc_of_each_class(evaluation: Evaluation) -> None:
    details = evaluation.details()
    assert details["bpc"] == evaluation.scores.total.bits_per_character
    assert details["unknown_characters"] == 0
    assert list(details["bpc_by_class"]) == CLASSES
    sizes = [part.size for part in evaluation.breakdown.by_class]
    mean = sum(size * bpc for size, bpc in zip(sizes, details["bpc_by_class"].values(), strict=True)) / sum(sizes)
    assert mean == pytest.approx(details["bpc"])


def test_a_conditioned_model_also_has_an_accuracy_and_its_details(tmp_path: Path, encoded: Encoded) -> None:
    saved = load_model(save_conditioned_model(tmp_path / "model", tmp_path / "windows"))
    evaluation = evaluated(saved, encoded)
    assert evaluation.classification
    assert evaluation.metrics()["accuracy"] == evaluation.classification.accuracy
    assert evaluation.classification.details().items() <= evaluation.details().items()


def test_predictions_that_are_not_finite_are_an_error(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    with torch.no_grad():
        model.head.weight.fill_(3e38)
    with pytest.raises(InputError, match="not finite numbers"):
        evaluated(SavedModel(model.eval(), encoded.vocabulary, "t" * 64, "d" * 64), encoded)


def test_readings_are_evenly_spaced_from_easy_to_hard(evaluation: Evaluation, encoded: Encoded) -> None:
    bpc = evaluation.scores.nats / math.log(2) / evaluation.scores.characters
    assert len(evaluation.readings) == PARAMS.articles == 6
    for number, reading in enumerate(evaluation.readings):
        assert reading.easier == pytest.approx((number + 0.5) / 6, abs=1 / encoded.test.articles)
        assert reading.bpc == pytest.approx(np.quantile(bpc, reading.easier), rel=0.02)
        (index,) = np.flatnonzero(np.isclose(bpc, reading.bpc, rtol=1e-12))
        assert reading.codes.tolist() == encoded.test.article(int(index))[1:].tolist()
        assert reading.class_name == CLASSES[encoded.test.classes[index]]
        assert reading.left_out == 0
        assert reading.surprisal.bits.sum() == pytest.approx(evaluation.scores.nats[index] / math.log(2), rel=1e-5)
        assert reading.surprisal.expected.shape == (len(reading.codes), 5)


@pytest.mark.parametrize(("wanted", "read"), [(0, 0), (1, 1), (100, 100)])
def test_there_are_as_many_readings_as_evaluate_articles_states(
    saved: SavedModel, encoded: Encoded, wanted: int, read: int
) -> None:
    assert len(evaluated(saved, encoded, articles=wanted).readings) == read


def test_a_reading_has_only_the_beginning_of_a_long_article(
    saved: SavedModel, encoded: Encoded, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.evaluation.evaluation.READ_AT_MOST", 50)
    for part, whole in zip(evaluated(saved, encoded).readings, evaluation.readings, strict=True):
        assert (part.bpc, part.class_name) == (whole.bpc, whole.class_name)
        assert part.codes.tolist() == whole.codes[:50].tolist()
        assert part.left_out == len(whole.codes) - 50 > 0
        np.testing.assert_allclose(part.surprisal.bits, whole.surprisal.bits[:50], rtol=1e-5)


def test_a_sample_of_the_test_split_is_bounded_and_stated(saved: SavedModel, encoded: Encoded) -> None:
    found = evaluated(saved, encoded, max_characters=5_000)
    assert 0 < found.scores.total.characters <= 5_000 < found.characters_in_split == encoded.test.characters
    assert found.about_sample.startswith(f"This model was tested on a sample of {found.scores.total.characters:,} of ")
    assert found.details()["characters_in_split"] == encoded.test.characters
    assert not evaluated(saved, encoded).about_sample
