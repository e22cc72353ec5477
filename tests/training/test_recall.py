"""What the memory predicts for the batches of a training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from charloom.training.batches import BATCHING
from charloom.training.recall import Recall, choose_articles
from tests.learning import Encoded, encode_sample, small_model, small_training
from tests.model.slow_memory import with_history

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.mark.parametrize("characters", [10**9, 30_000])
@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_each_step_has_the_predictions_for_its_own_places(encoded: Encoded, batching: str, characters: int) -> None:
    """A place's context is the text before it in the codes, and its target is left out of the counts.

    With 30,000 characters, most articles are not counted, and nothing is left out for them.
    """
    train = encoded.train
    model = small_model(len(encoded.vocabulary), memory=4, memory_characters=characters)
    recall = Recall(model, train, BATCHING[batching](train, 8, 1, CPU), seed=1)
    batches = BATCHING[batching](train, 8, 1, CPU)
    chosen = choose_articles(train.lengths, characters, seed=1)
    number = np.where(chosen, np.cumsum(chosen) - 1, -1)
    article_of_target = np.repeat(np.arange(train.articles), train.lengths)
    assert model.memory is not None
    whole = model.memory.leave_one_out(
        with_history(train.codes.tolist(), encoded.vocabulary.eos), torch.from_numpy(number[article_of_target])[:, None]
    )[:, 0]
    for epoch, step in ((0, 0), (0, 1), (0, 40), (1, 3), (0, batches.steps_per_epoch - 1)):
        starts = batches._block_of(epoch, step).starts[step % batches._block_steps]
        found = recall.at(epoch, step)
        assert found.shape == (20, 8, len(encoded.vocabulary))
        for column, start in enumerate(starts.tolist()):
            articles = batches.articles_at(epoch, step)[:, column]
            same_article = int((articles == article_of_target[start]).sum())  # the lane continues with another one
            torch.testing.assert_close(found[:same_article, column], whole[start : start + same_article])


def test_the_memory_of_the_model_has_counted_the_chosen_articles(encoded: Encoded) -> None:
    """So its text consists of these articles."""
    model = small_model(len(encoded.vocabulary), memory=4, memory_characters=30_000)
    Recall(model, encoded.train, BATCHING["lanes"](encoded.train, 8, 1, CPU), seed=1)
    assert model.memory is not None
    chosen = choose_articles(encoded.train.lengths, 30_000, seed=1)
    articles = [encoded.train.article(index)[1:] for index in np.flatnonzero(chosen).tolist()]
    assert model.memory.stored["text"].tolist() == [encoded.vocabulary.eos, *np.concatenate(articles).tolist()]


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
