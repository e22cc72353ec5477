"""Quantized weights, and what they cost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charloom.evaluation import quantization
from charloom.evaluation.quantization import quantize, quantized_rows, restored_model
from charloom.model.saved import SavedModel
from charloom.model.scoring import score_articles
from tests.learning import Encoded, encode_sample, remembering_model


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("encoded"))


@pytest.fixture(scope="module")
def saved(encoded: Encoded) -> SavedModel:
    return SavedModel(remembering_model(encoded, layers=2).eval(), encoded.vocabulary, "t" * 64, "d" * 64)


@pytest.mark.parametrize(("kind", "steps"), [("int8", 127), ("float16", 1024), ("float32", 1 << 24)])
def test_a_restored_weight_differs_by_at_most_half_a_step(
    saved: SavedModel, kind: quantization.NumberType, steps: int
) -> None:
    restored = restored_model(saved.model, quantized_rows(saved.model, kind)).state_dict()
    for name, weights in saved.model.state_dict().items():
        if weights.dim() > 1:
            # A row has a scale. The first layer's input weights are stored transposed.
            rows, again = (each.T if name == quantization.FIRST_LAYER else each for each in (weights, restored[name]))
            largest = rows.abs().amax(-1, keepdim=True)
            assert bool(((again - rows).abs() <= largest * (0.5 / steps + 1e-6)).all()), name
        else:
            assert torch.equal(restored[name], weights)


def test_float32_weights_are_the_weights_themselves(saved: SavedModel) -> None:
    restored = restored_model(saved.model, quantized_rows(saved.model, "float32")).state_dict()
    assert all(torch.equal(restored[name], weights) for name, weights in saved.model.state_dict().items())


def test_the_cost_is_the_difference_of_two_scores(saved: SavedModel, encoded: Encoded) -> None:
    quantized = quantize(saved, encoded.test, seed=1)
    before = score_articles(saved.model, encoded.test).total
    after = score_articles(restored_model(saved.model, quantized.rows), encoded.test).total
    assert quantized.kind == "int8"
    assert quantized.cost == after.bits_per_character - before.bits_per_character
    assert 0 < abs(quantized.cost) < quantization.MAX_COST
    assert quantized.characters == before.characters


def test_if_int8_costs_too_much_the_weights_become_float16(
    saved: SavedModel, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = abs(quantize(saved, encoded.test, seed=1).cost)
    monkeypatch.setattr(quantization, "MAX_COST", -2 * large)
    quantized = quantize(saved, encoded.test, seed=1)
    assert quantized.kind == "float16"
    assert quantized.rows["head.weight"].values.dtype.name == "float16"


def test_the_sample_is_whole_articles_and_the_same_for_a_seed(
    saved: SavedModel, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "MEASURED", 3000)
    first, again, other = (quantize(saved, encoded.test, seed) for seed in (1, 1, 2))
    assert first.characters <= 3000
    assert (first.cost, first.characters) == (again.cost, again.characters)
    assert first.cost != other.cost


def test_the_memory_is_the_same_object(saved: SavedModel, tmp_path: Path) -> None:
    assert restored_model(saved.model, quantized_rows(saved.model, "int8")).memory is saved.model.memory
