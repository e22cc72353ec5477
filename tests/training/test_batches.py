from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
import torch

from charloom.corpus.articles import Article
from charloom.errors import InputError
from charloom.params import WindowsParams
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.batches import AnyBatches, ClassIds, Lanes, Shuffled
from tests.learning import encode_sample, windows_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> EncodedSplit:
    return encode_sample(tmp_path_factory.mktemp("windows")).train


def lane_texts(split: EncodedSplit, epoch: int = 0, batch_size: int = 4) -> torch.Tensor:
    """The symbols (batch_size, steps × length) that an epoch reads, one row for each lane."""
    lanes = Lanes(split, batch_size, 1, CPU)
    return torch.cat([lanes.at(epoch, step)[:-1] for step in range(lanes.steps_per_epoch)]).T


def by_article(articles: list[int], targets: list[int]) -> list[tuple[int, list[int]]]:
    """Group neighbouring targets by the index of their article: (article, its targets)."""
    groups = groupby(zip(articles, targets, strict=True), itemgetter(0))
    return [(index, [symbol for _, symbol in group]) for index, group in groups]


def test_a_step_continues_each_lane_of_the_step_before(split: EncodedSplit) -> None:
    lanes = Lanes(split, 4, 1, CPU)
    for step in range(5):
        assert torch.equal(lanes.at(0, step)[-1], lanes.at(0, step + 1)[0])


def test_lanes_read_whole_articles_in_another_order_each_epoch(split: EncodedSplit) -> None:
    articles = {bytes(split.article(index)[1:]) for index in range(split.articles)}
    orders = []
    for epoch in range(2):
        lane = lane_texts(split, epoch)[0].numpy().astype(np.uint8).tobytes()
        eos = bytes([int(split.codes[0])])
        texts = [text + eos for text in lane.split(eos)[:-1]]
        assert set(texts) <= articles
        assert len(set(texts)) == len(texts) > 50
        orders.append(texts)
    assert orders[0] != orders[1]


def test_lanes_leave_out_fewer_symbols_than_one_step_reads(split: EncodedSplit) -> None:
    symbols = len(split.codes) - 1
    assert 0 <= symbols - lane_texts(split).numel() < 4 * (split.length + 1)


def test_lanes_read_no_symbol_twice(split: EncodedSplit) -> None:
    read = Counter(lane_texts(split).flatten().tolist())
    assert read <= Counter(split.codes[1:].tolist())


def test_a_step_depends_only_on_seed_epoch_and_step(split: EncodedSplit) -> None:
    for kind in (Lanes, Shuffled):
        batches = kind(split, 4, 1, CPU)
        last = batches.steps_per_epoch - 1
        for epoch, step in ((0, last), (2, 1), (1, 0), (1, last)):
            batches.at(epoch, step)
        assert torch.equal(batches.at(1, 2), kind(split, 4, 1, CPU).at(1, 2))
        assert not torch.equal(batches.at(1, 2), kind(split, 4, 2, CPU).at(1, 2))


def test_processes_divide_the_columns_of_a_batch(split: EncodedSplit) -> None:
    for kind in (Lanes, Shuffled):
        whole, left, right = (kind(split, 4, 1, CPU, columns) for columns in (slice(None), slice(0, 2), slice(2, 4)))
        assert torch.equal(torch.cat([left.at(0, 5), right.at(0, 5)], 1), whole.at(0, 5))
        assert torch.equal(torch.cat([left.articles_at(0, 5), right.articles_at(0, 5)], 1), whole.articles_at(0, 5))


def test_lanes_return_the_article_of_each_target(split: EncodedSplit) -> None:
    lanes = Lanes(split, 1, 1, CPU)
    steps = range(lanes.steps_per_epoch)
    articles = torch.cat([lanes.articles_at(1, step) for step in steps])[:, 0].tolist()
    targets = torch.cat([lanes.at(1, step)[1:] for step in steps])[:, 0].tolist()
    read = by_article(articles, targets)
    assert len(read) == split.articles
    for index, symbols in read[1:-1]:  # the first symbol of the stream is not a target
        assert symbols == split.article(index)[1:].tolist()


@pytest.mark.parametrize("scope", ["stream", "article"])
def test_shuffled_windows_return_the_article_of_each_target(tmp_path: Path, scope: str) -> None:
    split = encode_sample(tmp_path, scope=scope, stride=7).train
    windows = Shuffled(split, 64, 1, CPU)
    columns = zip(windows.articles_at(0, 3).T.tolist(), windows.at(0, 3)[1:].T.tolist(), strict=True)
    read = [by_article(*column) for column in columns]
    assert all(bytes(symbols) in bytes(split.article(index)[1:]) for column in read for index, symbols in column)
    assert any(len(column) > 1 for column in read) == (scope == "stream")


def test_unlabelled_articles_are_read_with_no_class(split: EncodedSplit) -> None:
    few, more = (split.labelled(fraction, 1) for fraction in (0.1, 0.5))
    assert sum(class_count.articles for class_count in few.class_counts) == round(0.1 * split.articles)
    class_ids = [ClassIds(part, 4, 1e-9, 1, CPU).at(0) for part in (few, more, split.labelled(1.0, 1))]
    assert class_ids[2].tolist() == split.classes.tolist()
    for fewer, larger in pairwise(class_ids):
        assert torch.equal(fewer[fewer != 4], larger[fewer != 4])
    assert int((class_ids[0] != 4).sum()) == round(0.1 * split.articles)


def test_class_ids_depend_only_on_seed_epoch_and_article(split: EncodedSplit) -> None:
    class_ids = ClassIds(split, 4, 0.25, 1, CPU)
    first = class_ids.at(0)
    kept = first != 4
    assert torch.equal(first[kept], torch.from_numpy(split.classes.astype(np.int64))[kept])
    assert 0.6 < float(kept.float().mean()) < 0.9
    assert not torch.equal(class_ids.at(1), first)
    assert torch.equal(ClassIds(split, 4, 0.25, 1, CPU).at(1), class_ids.at(1))
    assert torch.equal(class_ids.at(0), first)
    assert not torch.equal(ClassIds(split, 4, 0.25, 2, CPU).at(0), first)


def test_shuffled_reads_every_window_once_per_epoch(tmp_path: Path) -> None:
    split = encode_sample(tmp_path, scope="article", stride=7).train
    batches = Shuffled(split, 4, 1, CPU)
    read = torch.cat([batches.at(0, step).T for step in range(batches.steps_per_epoch)]).tolist()
    windows = Counter(map(tuple, windows_of(split, range(len(split)))))
    assert Counter(map(tuple, read)) <= windows
    assert len(windows) - len(set(map(tuple, read))) < 4


def test_in_a_stream_the_offset_of_shuffled_windows_differs_between_epochs(split: EncodedSplit) -> None:
    batches = Shuffled(split, len(split), 1, CPU)
    windows = [sorted(batches.at(epoch, 0).T.tolist()) for epoch in range(2)]  # sorted, so that the order has no effect
    assert windows[0] != windows[1]


@pytest.mark.parametrize("symbols", [300, 70_000])
def test_ids_of_more_than_one_byte_are_read_correctly(tmp_path: Path, symbols: int) -> None:
    text = "".join(chr(0x20000 + index) for index in range(symbols))
    vocabulary = Vocabulary.build([text])
    params = WindowsParams(length=5, stride=5, scope="stream")
    write_split(tmp_path, [Article(1, text)], vocabulary, params, np.dtype(np.uint32))
    lanes = Lanes(EncodedSplit.load(tmp_path), 1, 1, CPU)
    read = torch.cat([lanes.at(0, step)[:-1, 0] for step in range(lanes.steps_per_epoch)])
    assert read.tolist() == list(range(symbols))


@pytest.mark.parametrize("kind", [Lanes, Shuffled])
def test_an_id_that_is_not_in_the_vocabulary_is_reported_with_the_split(
    split: EncodedSplit, kind: type[AnyBatches]
) -> None:
    symbols = int(split.codes.max()) + 1
    codes = split.codes.copy()
    codes[len(codes) // 2] = symbols
    batches = kind(replace(split, codes=codes, symbols=symbols), 4, 1, CPU)
    with pytest.raises(InputError, match=rf"train: contains the id {symbols}, but the vocabulary has only {symbols}"):
        read_epoch(batches)


def read_epoch(batches: AnyBatches) -> None:
    for step in range(batches.steps_per_epoch):
        batches.at(0, step)


def test_the_error_names_a_batch_size_that_is_too_large(split: EncodedSplit) -> None:
    for kind in (Lanes, Shuffled):
        with pytest.raises(InputError, match=r"train\.batch_size = 1000000"):
            kind(split, 1_000_000, 1, CPU)
