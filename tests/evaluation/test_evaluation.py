"""An evaluation against what its parts give by themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from charloom.errors import InputError
from charloom.evaluation.baselines import Baselines
from charloom.evaluation.breakdown import Breakdown
from charloom.evaluation.evaluation import Findings, evaluate_model
from charloom.model.saved import SavedModel
from charloom.model.scoring import score_articles
from charloom.params import EvaluateParams
from charloom.training.history import Record
from tests.learning import Encoded, default_params, encode_sample, small_model

CPU = torch.device("cpu")
CLASSES = ["World", "Sports", "Business", "Sci/Tech"]
BASELINES = Baselines({"unigram": 4.7}, "unigram", Breakdown([], [], []))
PARAMS = default_params()


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def saved(encoded: Encoded) -> SavedModel:
    return SavedModel(small_model(len(encoded.vocabulary)).eval(), encoded.vocabulary, "t" * 64, "d" * 64)


def evaluated(saved: SavedModel, encoded: Encoded, **changes: object) -> Findings:
    params = PARAMS.evaluate.model_dump() | {"samples": 2, "sample_length": 20, "temperatures": [1.0]} | changes
    return evaluate_model(
        saved,
        encoded.valid,
        encoded.test,
        EvaluateParams(**params),
        CPU,
        source={"source": "/a/folder/of/mine", "classes": CLASSES},
        stated=PARAMS.deciding(),
        history=[Record(1, 0.1, 100, 0.01, 1.0, 3.0, 4.0)],
        baselines=BASELINES,
    )


@pytest.fixture(scope="module")
def findings(saved: SavedModel, encoded: Encoded) -> Findings:
    return evaluated(saved, encoded)


def test_the_scores_are_those_of_scoring(findings: Findings, saved: SavedModel, encoded: Encoded) -> None:
    expected = score_articles(saved.model, encoded.test, CPU)
    np.testing.assert_allclose(findings.scores.nats, expected.nats)
    assert (findings.scores.characters == expected.characters).all()


def test_the_metrics_are_the_scores_and_each_class(findings: Findings) -> None:
    metrics = findings.metrics()
    assert metrics["bpc"] == findings.scores.total.bits_per_character
    assert metrics["unknown_characters"] == 0
    assert list(metrics["bpc_by_class"]) == CLASSES
    sizes = [part.size for part in findings.breakdown.by_class]
    mean = sum(size * bpc for size, bpc in zip(sizes, metrics["bpc_by_class"].values(), strict=True)) / sum(sizes)
    assert mean == pytest.approx(metrics["bpc"])


def test_predictions_that_are_no_numbers_are_refused(encoded: Encoded) -> None:
    model = small_model(len(encoded.vocabulary))
    with torch.no_grad():
        model.head.weight.fill_(3e38)
    with pytest.raises(InputError, match="not finite numbers"):
        evaluated(SavedModel(model.eval(), encoded.vocabulary, "t" * 64, "d" * 64), encoded)


def test_articles_are_read_from_easy_to_hard(findings: Findings, encoded: Encoded) -> None:
    bpc = findings.scores.nats / math.log(2) / findings.scores.characters
    assert len(findings.readings) == PARAMS.evaluate.articles == 6
    for number, reading in enumerate(findings.readings):
        assert reading.easier == pytest.approx((number + 0.5) / 6, abs=1 / encoded.test.articles)
        assert reading.bpc == pytest.approx(np.quantile(bpc, reading.easier), rel=0.02)
        (index,) = np.flatnonzero(np.isclose(bpc, reading.bpc, rtol=1e-12))
        assert reading.codes.tolist() == encoded.test.article(int(index))[1:].tolist()
        assert reading.class_name == CLASSES[encoded.test.classes[index]]
        assert reading.left_out == 0
        assert reading.surprisal.bits.sum() == pytest.approx(findings.scores.nats[index] / math.log(2), rel=1e-5)
        assert reading.surprisal.expected.shape == (len(reading.codes), 5)


@pytest.mark.parametrize(("wanted", "read"), [(0, 0), (1, 1), (100, 100)])
def test_so_many_articles_are_read(saved: SavedModel, encoded: Encoded, wanted: int, read: int) -> None:
    assert len(evaluated(saved, encoded, articles=wanted).readings) == read


def test_a_long_article_is_read_in_part(
    saved: SavedModel, encoded: Encoded, findings: Findings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.evaluation.evaluation.READ_AT_MOST", 50)
    for part, whole in zip(evaluated(saved, encoded).readings, findings.readings, strict=True):
        assert (part.bpc, part.class_name) == (whole.bpc, whole.class_name)
        assert part.codes.tolist() == whole.codes[:50].tolist()
        assert part.left_out == len(whole.codes) - 50 > 0
        np.testing.assert_allclose(part.surprisal.bits, whole.surprisal.bits[:50], rtol=1e-5)


def test_states_the_parameters_that_decide_and_a_users_folder_by_its_name(findings: Findings) -> None:
    assert findings.corpus == findings.params["data"]["source"] == "mine"
    assert "mirror" not in findings.params["data"]
    assert "tracking" not in findings.params
    assert findings.model == f"LSTM, 1 layer of {PARAMS.model.hidden_size} units"
