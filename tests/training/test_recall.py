"""What the memory predicts for the batches of a training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from charloom.training.batches import BATCHING
from charloom.training.recall import Recall, choose_articles
from tests.learning import Encoded, encode_sample, small_model, small_training

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def recall_of(encoded: Encoded, batching: str, characters: int = 10**9) -> Recall:
    model = small_model(len(encoded.vocabulary), memory=4, memory_characters=characters)
    return Recall(model, encoded.train, BATCHING[batching](encoded.train, 8, 1, CPU), seed=1)


@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_each_step_has_the_predictions_for_its_own_places(encoded: Encoded, batching: str) -> None:
    """A place's context is the text before it in the codes, and its target is left out of the counts."""
    recall, batches = recall_of(encoded, batching), BATCHING[batching](encoded.train, 8, 1, CPU)
    codes = torch.from_numpy(encoded.train.codes.astype("int64"))
    memory = recall._memory
    whole = memory.leave_one_out(codes[:, None], torch.ones(len(codes) - 6, 1, dtype=torch.bool), 5)[:, 0]
    for epoch, step in ((0, 0), (0, 1), (0, 40), (1, 3), (0, batches.steps_per_epoch - 1)):
        starts = batches._block_of(epoch, step).starts[step % batches._block_steps]
        found = recall.at(epoch, step)
        assert found.shape == (20, 8, len(encoded.vocabulary))
        for column, start in enumerate(starts.tolist()):
            if start >= 5:
                assert torch.equal(found[0, column], whole[start - 5])


@pytest.mark.parametrize(("limit", "articles"), [(1, 1), (20, 1), (35, 2), (59, 3), (60, 4), (1000, 4)])
def test_articles_are_counted_until_the_limit_is_reached(limit: int, articles: int) -> None:
    lengths = np.array([15, 15, 15, 15])
    chosen = choose_articles(lengths, limit, seed=1)
    assert chosen.sum() == articles
    assert (choose_articles(lengths, limit, seed=1) == chosen).all()


def test_the_network_begins_as_the_memory(encoded: Encoded) -> None:
    training = small_training(encoded, {"memory": 4})
    ids = torch.from_numpy(encoded.test.article(0)[:-1].astype("int64"))[:, None]
    model = training.model.eval()
    assert model.memory is not None
    logits, _ = model(ids)
    torch.testing.assert_close(torch.softmax(logits, -1), model.memory.read(ids, None)[0], rtol=1e-4, atol=1e-6)
