from __future__ import annotations

import numpy as np
import pytest
import torch

from charloom.evaluation.contribution import contribution
from charloom.model.memory import Remembered
from charloom.model.scoring import surprisals
from tests.learning import Encoded, encode_sample, remembering_model


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def test_a_model_without_a_memory_has_no_contributions(encoded: Encoded) -> None:
    assert contribution(remembering_model(encoded, memory=0), encoded.test.article(0)) is None


def test_before_training_the_memory_alone_costs_what_the_model_costs(encoded: Encoded) -> None:
    """The network of this model adds nothing to the memory, and predicts nothing without it."""
    model, codes = remembering_model(encoded), encoded.test.article(0)
    for weights in (model.head.weight, model.memory_gate.weight):
        torch.nn.init.zeros_(weights)
    found = contribution(model, codes)
    (expected,) = surprisals(model, [codes])
    assert found is not None
    np.testing.assert_allclose(found.memory_bits, expected.bits, atol=1e-4)
    np.testing.assert_allclose(found.network_bits, np.log2(model.symbols), atol=1e-4)


def test_the_network_alone_is_given_equal_probabilities(encoded: Encoded) -> None:
    model, codes = remembering_model(encoded), encoded.test.article(1)
    found = contribution(model, codes)
    ids = torch.from_numpy(codes.astype(np.int64))[:, None]
    equal = Remembered(torch.full((len(codes) - 1, 1, model.symbols), 1 / model.symbols))
    logits, _ = model(ids[:-1], remembered=equal)
    expected = torch.nn.functional.cross_entropy(logits[:, 0], ids[1:, 0], reduction="none") / np.log(2)
    assert found is not None
    np.testing.assert_allclose(found.network_bits, expected.detach(), atol=1e-4)
    assert found.memory_bits.shape == found.network_bits.shape == (len(codes) - 1,)
    assert not np.allclose(found.memory_bits, found.network_bits)
