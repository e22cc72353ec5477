"""What the memory predicts for the batches of a training."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from charloom.errors import InputError
from charloom.model.counting import count_classes
from charloom.model.matching import HISTORY
from charloom.model.memory import Memory
from charloom.text.drawing import draw_articles
from charloom.text.split import UNLABELLED, EncodedSplit
from charloom.training.batches import BATCHING, AnyBatches, ClassIds
from charloom.training.recall import Recall
from tests.learning import Encoded, encode_sample, small_model, small_training
from tests.model.slow_memory import with_history

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


def counted_in(split: EncodedSplit, characters: int) -> np.ndarray:
    """Which articles (a mask) a memory of so many characters counts."""
    mask = np.zeros(split.articles, dtype=bool)
    mask[draw_articles(split.lengths, characters, seed=1)] = True
    return mask


def starts_of(batches: AnyBatches, epoch: int, step: int) -> torch.Tensor:
    """Where the first symbols (columns) of a step are in the codes."""
    order = batches._draw_order(np.random.default_rng([1, epoch]))
    positions, _ = batches._gather(order, range(step, step + 1))
    return positions[0, 0]


@pytest.mark.parametrize("characters", [10**9, 30_000])
@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_each_step_has_the_predictions_for_its_own_places(encoded: Encoded, batching: str, characters: int) -> None:
    """A place's context is the text before it in the codes, and its target is left out of the counts.

    With 30,000 characters, most articles are not counted, and nothing is left out for them.
    """
    train = encoded.train
    model = small_model(len(encoded.vocabulary), memory=4, memory_characters=characters)
    recall = Recall(model, train, BATCHING[batching](train, 8, 1, CPU, history=HISTORY), None, seed=1)
    batches = BATCHING[batching](train, 8, 1, CPU, history=HISTORY)
    chosen = counted_in(train, characters)
    number = np.where(chosen, np.cumsum(chosen) - 1, -1)
    article_of_target = np.repeat(np.arange(train.articles), train.lengths)
    assert model.memory is not None
    whole = model.memory.leave_one_out(
        with_history(train.codes.tolist(), encoded.vocabulary.eos), torch.from_numpy(number[article_of_target])[:, None]
    ).probabilities[:, 0]
    for epoch, step in ((0, 0), (0, 1), (0, 40), (1, 3), (0, batches.steps_per_epoch - 1)):
        starts = starts_of(batches, epoch, step)
        found, ratios = recall.at(epoch, step)
        assert ratios is None
        assert found.shape == (20, 8, len(encoded.vocabulary))
        for column, start in enumerate(starts.tolist()):
            articles = batches.articles_at(epoch, step)[:, column]
            same_article = int((articles == article_of_target[start]).sum())  # the lane continues with another one
            torch.testing.assert_close(found[:same_article, column], whole[start : start + same_article])


def test_the_memory_of_the_model_has_counted_the_chosen_articles(encoded: Encoded) -> None:
    """So its text consists of these articles."""
    model = small_model(len(encoded.vocabulary), memory=4, memory_characters=30_000)
    Recall(model, encoded.train, BATCHING["lanes"](encoded.train, 8, 1, CPU, history=HISTORY), None, seed=1)
    assert model.memory is not None
    chosen = counted_in(encoded.train, 30_000)
    articles = [encoded.train.article(index)[1:] for index in np.flatnonzero(chosen).tolist()]
    assert model.memory.stored["text"].tolist() == [encoded.vocabulary.eos, *np.concatenate(articles).tolist()]


def test_an_id_that_is_not_in_the_vocabulary_is_not_counted_but_reported(encoded: Encoded) -> None:
    symbols = len(encoded.vocabulary)
    codes = encoded.train.codes.copy()
    codes[-2] = symbols
    train = replace(encoded.train, codes=codes, symbols=symbols)
    with pytest.raises(InputError, match=rf"train: contains the id {symbols}, but the vocabulary has only {symbols}"):
        Recall(
            small_model(symbols, memory=4), train, BATCHING["lanes"](train, 8, 1, CPU, history=HISTORY), None, seed=1
        )


def test_the_network_begins_as_the_memory(encoded: Encoded) -> None:
    training = small_training(encoded, {"memory": 4})
    ids = torch.from_numpy(encoded.test.article(0)[:-1].astype("int64"))[:, None]
    model = training.model.eval()
    assert model.memory is not None
    logits, _ = model(ids)
    expected = model.memory.read(ids, None)[0].probabilities
    torch.testing.assert_close(torch.softmax(logits, -1), expected, rtol=1e-4, atol=1e-6)


def recall_with_classes(
    encoded: Encoded, train: EncodedSplit, batching: str, characters: int
) -> tuple[Recall, Memory, ClassIds]:
    """The recall of a conditioned model, its memory, and the class ids with which the model reads the articles."""
    model = small_model(len(encoded.vocabulary), classes=4, memory=4, memory_characters=characters, class_memory=3)
    class_ids = ClassIds(train, no_class=4, dropout=0.3, seed=1, device=CPU)
    recall = Recall(model, train, BATCHING[batching](train, 8, 1, CPU, history=HISTORY), class_ids, seed=1)
    assert model.memory is not None
    return recall, model.memory, class_ids


@pytest.mark.parametrize("characters", [10**9, 30_000])
@pytest.mark.parametrize("batching", ["lanes", "shuffled"])
def test_each_step_has_the_class_ratios_for_its_own_places(encoded: Encoded, batching: str, characters: int) -> None:
    """Most columns have places of several articles. The ratio is 1 where an article is read without a class.

    An article is read without a class if it is unlabelled, or if its class is dropped in this epoch.
    """
    train = encoded.train.labelled(0.6, seed=1)
    recall, memory, class_ids = recall_with_classes(encoded, train, batching, characters)
    batches = BATCHING[batching](train, 8, 1, CPU, history=HISTORY)
    chosen = counted_in(train, characters)
    number = torch.from_numpy(np.where(chosen, np.cumsum(chosen) - 1, -1))
    article_of_target = torch.arange(train.articles).repeat_interleave(torch.from_numpy(train.lengths))[:, None]
    ids = with_history(train.codes.tolist(), encoded.vocabulary.eos)
    given = set()
    for epoch in (0, 1):
        classes = class_ids.at(epoch)
        whole = memory.leave_one_out(ids, number[article_of_target], classes[article_of_target]).class_ratios
        assert whole is not None
        for step in (0, 1, 17, batches.steps_per_epoch - 1):
            found = recall.at(epoch, step).class_ratios
            assert found is not None
            articles = batches.articles_at(epoch, step)
            starts = starts_of(batches, epoch, step)
            for column, start in enumerate(starts.tolist()):
                for article in articles[:, column].unique().tolist():
                    rows = (articles[:, column] == article).nonzero()[:, 0]
                    # A column that continues with another article continues with the beginning of this article.
                    first = start if rows[0] == 0 else int(train.offsets[article]) - 1
                    expected = whole[first : first + len(rows), 0]
                    torch.testing.assert_close(found[rows, column], expected, rtol=1e-4, atol=1e-5)
                    has_class = bool(train.classes[article] < 4 and classes[article] < 4)
                    assert bool((found[rows, column] == 1).all()) != has_class
                    given.add((train.classes[article] < 4, has_class))
    assert given == {(True, True), (True, False), (False, False)}


@pytest.mark.parametrize("characters", [10**9, 30_000])
def test_the_memory_counts_the_classes_of_the_labelled_articles_that_it_chose(
    encoded: Encoded, characters: int
) -> None:
    """It counts them with their classes, even if the model reads some of them without a class."""
    train = encoded.train.labelled(0.6, seed=1)
    _, memory, _ = recall_with_classes(encoded, train, "lanes", characters)
    labelled = np.flatnonzero(counted_in(train, characters) & (train.classes < 4)).tolist()
    articles = [torch.from_numpy(train.article(index)[1:].astype("int64")) for index in labelled]
    of_class = torch.cat(
        [torch.full((len(train.article(index)) - 1,), int(train.classes[index])) for index in labelled]
    )
    eos = encoded.vocabulary.eos
    expected = count_classes(torch.cat(articles), of_class, 4, len(encoded.vocabulary), eos, 3).stored
    assert memory.by_class is not None
    assert memory.by_class.stored.keys() == expected.keys()
    assert all(torch.equal(memory.by_class.stored[name], tensor) for name, tensor in expected.items())


def test_the_symbols_of_each_class_are_counted_once_and_one_more_eos(encoded: Encoded) -> None:
    """So few characters are counted that no row is scaled down."""
    train = encoded.train.labelled(0.6, seed=1)
    _, memory, _ = recall_with_classes(encoded, train, "lanes", 1500)
    counts = [Counter({encoded.vocabulary.eos: 1}) for _ in range(4)]
    for index in np.flatnonzero(counted_in(train, 1500)).tolist():
        if train.classes[index] < 4:
            counts[train.classes[index]].update(train.article(index)[1:].tolist())
    assert memory.by_class is not None
    assert memory.by_class.stored["counts.0"].tolist() == [
        count for each in counts for _, count in sorted(each.items())
    ]


def test_a_memory_can_count_no_labelled_article_at_all(encoded: Encoded) -> None:
    """With one character as the limit, one article is counted. Here it is unlabelled."""
    chosen = counted_in(encoded.train, 1)
    train = replace(encoded.train, classes=np.where(chosen, UNLABELLED, encoded.train.classes).astype(np.uint16))
    recall, memory, _ = recall_with_classes(encoded, train, "lanes", 1)
    assert memory.by_class is not None
    assert (memory.by_class.trie.roots, memory.by_class.order) == (4, 0)
    ratios = recall.at(0, 0).class_ratios
    assert ratios is not None
    assert ratios.log().isfinite().all()


@pytest.mark.parametrize("changes", [{"classes": 0}, {"class_memory": 0}])
def test_the_classes_are_not_counted_without_conditioning_or_class_memory(
    encoded: Encoded, changes: dict[str, int]
) -> None:
    training = small_training(encoded, {"memory": 4, "classes": 4, **changes})
    assert training.model.memory is not None
    assert training.model.memory.by_class is None


def test_a_training_uses_the_classes_with_which_it_reads_the_articles(encoded: Encoded) -> None:
    """Before the first step, the loss is that of the probabilities times the class ratios."""
    training = small_training(encoded, {"memory": 4, "classes": 4})
    model = training.model
    class_ids = ClassIds(encoded.train, 4, model.params.class_dropout, training.params.seed, CPU)
    recall = Recall(model, encoded.train, training.batches, class_ids, training.params.seed)
    remembered, targets = recall.at(0, 0), training.batches.at(0, 0)[1:]
    assert remembered.class_ratios is not None
    products = remembered.probabilities * remembered.class_ratios
    probabilities = (products / products.sum(-1, keepdim=True)).gather(2, targets[..., None])
    training.train_step()
    expected = -float(probabilities.log().mean())
    assert training.record(validate=False).loss_nats == pytest.approx(expected, rel=1e-5)
    assert abs(float(remembered.probabilities.gather(2, targets[..., None]).log().mean()) + expected) > 0.01


def test_the_contexts_of_classes_are_not_longer_than_those_of_all_articles(encoded: Encoded) -> None:
    model = small_training(encoded, {"classes": 4, "memory": 2, "class_memory": 5}).model
    assert model.memory is not None
    assert model.memory.by_class is not None
    assert (model.memory.order, model.memory.by_class.order) == (2, 2)
