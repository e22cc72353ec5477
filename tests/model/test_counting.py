"""Counting a text into a memory: the shares are those that predict the text best, each symbol left out once."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from charloom.model.counting import FIRST_SHARE, ROUNDS, count_classes, fit_match_shares, fit_shares, make_memory
from charloom.model.counts import Counts
from charloom.model.matching import HISTORY
from charloom.model.memory import Memory
from tests.conftest import Run
from tests.learning import Encoded, encode_sample
from tests.model.slow_memory import (
    SlowClasses,
    SlowCounts,
    articles_of,
    bucket_of,
    contexts,
    count_small_text,
    labelled_text,
    with_history,
)

Cost = Callable[[Tensor, Tensor], float]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def codes(encoded: Encoded) -> Tensor:
    return torch.from_numpy(encoded.train.codes.astype("int64"))


@pytest.fixture(scope="module")
def memory(encoded: Encoded, codes: Tensor) -> Memory:
    return make_memory(codes, len(encoded.vocabulary), encoded.vocabulary.eos, 6)


@pytest.fixture(scope="module")
def cost(encoded: Encoded, codes: Tensor, memory: Memory) -> Cost:
    """The mean nats, with these shares and match_shares, of a symbol of the text that was counted, each left out."""
    eos = encoded.vocabulary.eos
    ids, articles = with_history(codes.tolist(), eos), articles_of(codes.tolist(), eos)

    def nats(shares: Tensor, match_shares: Tensor) -> float:
        stored = memory.stored | {"shares": shares, "match_shares": match_shares}
        found = Memory.from_stored(stored, memory.symbols, eos).leave_one_out(ids, articles).probabilities[:, 0]
        return -float(found.gather(1, codes[1:, None]).log().mean())

    return nats


def test_fitted_shares_predict_better_than_equal_ones(memory: Memory, cost: Cost) -> None:
    shares, none = memory.stored["shares"], 0 * memory.stored["match_shares"]
    equal = [cost(torch.full_like(shares, share), none) for share in (0.3, 0.6, 0.8)]
    assert cost(shares, none) < min(equal) - 0.02


def test_fitted_shares_of_matches_predict_better_than_equal_ones(memory: Memory, cost: Cost) -> None:
    shares, match_shares = memory.stored["shares"], memory.stored["match_shares"]
    equal = [cost(shares, torch.full_like(match_shares, share)) for share in (0.0, 0.1, 0.2, 0.4, 0.8)]
    assert cost(shares, match_shares) < min(equal) - 0.005


@pytest.mark.parametrize("class_order", [0, 4])
def test_the_shares_are_those_of_expectation_maximisation(class_order: int) -> None:
    """With a `class_order`, the shares are those of the counts by class. All classes have the same shares."""
    counted = count_small_text(order=5, class_order=class_order)
    if class_order:
        text, roots = labelled_text(counted.text, counted.classes, counted.eos)
        counts, slow = counted.by_class, SlowClasses(counted).of_class
    else:
        text, roots, counts = counted.text, [0] * (len(counted.text) - 1), counted.memory.counts
        slow = [SlowCounts(text, counts, counted.eos)]
    levels_of_places = [
        list(levels_left_out(slow[root], text[:end], text[end])) for end, root in enumerate(roots, start=1)
    ]
    shares: dict[tuple[int, int], float] = {key: FIRST_SHARE for levels in levels_of_places for key, _ in levels}
    for _ in range(ROUNDS):
        seen, used = (defaultdict[tuple[int, int], float](float) for _ in range(2))
        for levels in levels_of_places:
            explained, below = [], 1 / counted.memory.symbols
            for key, frequency in levels:
                below = shares[key] * frequency + (1 - shares[key]) * below
                explained.append(shares[key] * frequency / below)
            responsible = 1.0
            for (key, _), part in zip(reversed(levels), reversed(explained), strict=True):
                seen[key] += responsible
                used[key] += responsible * part
                responsible *= 1 - part
        shares = {key: (used[key] + 0.5) / (seen[key] + 1) for key in shares}
    places = counts.places(with_history(text, counted.eos), torch.tensor(roots)[:, None])
    found = fit_shares(counts.trie, places)
    expected = torch.full_like(found, 0.5)
    for key, share in shares.items():
        expected[key] = share
    torch.testing.assert_close(found, expected)


def levels_left_out(slow: SlowCounts, before: list[int], target: int) -> Iterator[tuple[tuple[int, int], float]]:
    """The bucket of each row after `before`, and the frequency of the target, both with the target counted once less.

    The key of a bucket has the level too. Only rows of which at least two counts are left have a share.
    """
    for context in filter(slow.is_known, contexts(before, slow.eos, slow.fast.order)):
        row = slow.rows[context].copy()
        row[target] -= 1
        if row.total() > 1:
            yield (len(context), bucket_of(row)), row[target] / row.total()


def test_the_shares_of_matches_are_those_of_expectation_maximisation() -> None:
    counted = count_small_text(order=7)
    ids, memory = with_history(counted.text, counted.eos), counted.memory
    places, articles, targets = memory.places(ids), articles_of(counted.text, counted.eos)[:, 0], ids[HISTORY + 1 :, 0]
    prediction, matches = memory.predict_left_out(places, memory.keys(ids), articles)
    below = prediction.probabilities.gather(1, targets[:, None])[:, 0].tolist()
    hits = (matches.symbols == targets).tolist()
    keys = list(zip((matches.lengths - 1).tolist(), prediction.depths.tolist(), strict=True))
    shares = {key: FIRST_SHARE for key in keys if key[0] >= 0}
    assert len(shares) > 10
    for _ in range(ROUNDS):
        used = defaultdict[tuple[int, int], float](float)
        for key, hit, other in zip(keys, hits, below, strict=True):
            if hit and key in shares:
                used[key] += shares[key] / (shares[key] + (1 - shares[key]) * other)
        shares = {key: (used[key] + 0.5) / (keys.count(key) + 1) for key in shares}
    found = fit_match_shares(memory, ids, articles)
    expected = torch.full_like(found, 0.5)
    for key, share in shares.items():
        expected[key] = share
    torch.testing.assert_close(found, expected)


def test_an_unseen_text_costs_what_the_counted_text_costs_left_out(
    encoded: Encoded, memory: Memory, cost: Cost
) -> None:
    """Otherwise the network would learn to trust the memory more, or less, than it deserves."""
    unseen = torch.from_numpy(encoded.test.codes.astype("int64"))
    found, _ = memory.read(unseen[:-1, None], None)
    nats = -float(found.probabilities[:, 0].gather(1, unseen[1:, None]).log().mean())
    assert nats == pytest.approx(cost(memory.stored["shares"], memory.stored["match_shares"]), rel=0.05)


def test_counting_the_same_text_gives_the_same_tensors(encoded: Encoded, codes: Tensor, memory: Memory) -> None:
    again = make_memory(codes.clone(), len(encoded.vocabulary), encoded.vocabulary.eos, 6).stored
    assert again.keys() == memory.stored.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in memory.stored.items())


@pytest.fixture(scope="module")
def roots(encoded: Encoded) -> Tensor:
    """The class id of each target of the training text (codes - 1)."""
    classes = encoded.train.classes.astype("int64")
    return torch.from_numpy(classes).repeat_interleave(torch.from_numpy(encoded.train.lengths))


@pytest.fixture(scope="module")
def by_class(encoded: Encoded, codes: Tensor, roots: Tensor) -> Counts:
    return count_classes(codes[1:], roots, 4, len(encoded.vocabulary), encoded.vocabulary.eos, 4)


def test_fitted_shares_of_classes_predict_better_than_equal_ones(
    codes: Tensor, roots: Tensor, by_class: Counts
) -> None:
    fitted = by_class.shares
    places = by_class.places(with_history(codes.tolist(), int(codes[0])), roots[:, None])

    def nats(shares: Tensor) -> float:
        other = Counts(by_class.stored | {"shares": shares}, by_class.trie.alphabet, int(codes[0]), 4)
        found = other.leave_one_out(places, torch.ones_like(roots, dtype=torch.bool)).probabilities
        return -float(found.gather(1, codes[1:, None]).log().mean())

    assert nats(fitted) < min(nats(torch.full_like(fitted, share)) for share in (0.3, 0.6, 0.8)) - 0.02


def test_most_unseen_texts_are_likeliest_in_their_class(encoded: Encoded, memory: Memory, by_class: Counts) -> None:
    stored = memory.stored | {f"by_class.{name}": tensor for name, tensor in by_class.stored.items()}
    with_classes = Memory.from_stored(stored, memory.symbols, encoded.vocabulary.eos, 4)
    right = 0
    for index, class_id in enumerate(encoded.test.classes.tolist()):
        article = torch.from_numpy(encoded.test.article(index).astype("int64"))
        found, _ = with_classes.read(article[:-1, None].expand(-1, 4), None, torch.arange(4))
        assert found.class_ratios is not None
        scores = found.class_ratios.gather(2, article[1:, None, None].expand(-1, 4, 1)).log().sum((0, 2))
        right += int(scores.argmax()) == class_id
    assert right > 0.5 * encoded.test.articles


def test_counting_the_same_classes_gives_the_same_tensors(codes: Tensor, roots: Tensor, by_class: Counts) -> None:
    again = count_classes(codes[1:].clone(), roots.clone(), 4, by_class.trie.alphabet, int(codes[0]), 4).stored
    assert again.keys() == by_class.stored.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in by_class.stored.items())


@pytest.mark.parametrize(("symbols", "type_"), [(256, torch.uint8), (257, torch.int32)])
def test_ids_are_stored_as_bytes_if_they_fit(symbols: int, type_: torch.dtype) -> None:
    text = torch.tensor([255, 0, 254, 0, 254, 0, 255])
    memory = make_memory(text, symbols, 255, 3)
    assert torch.equal(memory.stored["text"], text.to(type_))
    assert {memory.stored[f"{part}.{n}"].dtype for part in ("symbols", "sizes") for n in range(3)} == {type_}


def test_a_row_with_a_large_count_keeps_its_proportions() -> None:
    text = [4] + ([0] * 3 + [1]) * 1000 + [4]
    counts = make_memory(torch.tensor(text), 6, 4, 1).stored["counts.0"].tolist()
    assert max(counts) == 255
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.02)


def test_the_large_counts_of_a_class_do_not_change_those_of_other_classes() -> None:
    articles = torch.tensor([*([0] * 3 + [1]) * 1000, 4, 0, 0, 1, 4])
    counts = count_classes(articles, torch.tensor([0] * 4001 + [1] * 4), 2, 6, 4, 1).stored["counts.0"].tolist()
    # of 0, 1 and `<eos>`, in each class; each class has one more `<eos>`, that of its empty article
    assert counts == [255, 85, 2, 2, 1, 2]


def test_a_symbol_that_was_counted_twice_leads_on_even_if_its_row_is_scaled_down() -> None:
    text = [4, *[0] * 5000, 1, 0, 2, 0, 1, 3, 4]
    memory = make_memory(torch.tensor(text), 6, 4, 1)
    assert memory.stored["counts.0"].tolist() == [255, 2, 1, 1, 1]
    assert memory.counts.trie.first_rows == [0, 1, 3]  # after 0 and after 1


def test_contexts_are_counted_until_no_longer_one_was_counted_twice() -> None:
    assert make_memory(torch.tensor([4, 0, 1, 2, 4, 0, 1, 3, 4]), 6, 4, 9).order == 3  # `<eos>`, 0, 1
    assert make_memory(torch.tensor([4, 0, 1, 2, 4, 0, 1, 3, 4]), 6, 4, 2).order == 2


@pytest.mark.parametrize("text", [[2, 2], [2, 0, 2], [2, 0, 1, 2], [2, 2, 2], [2, 0, 2, 0, 2], [2, *[0] * HISTORY, 2]])
def test_a_short_text_can_be_counted(text: list[int]) -> None:
    """In some of these texts no symbol occurs twice."""
    memory = make_memory(torch.tensor(text), 4, 2, 3)
    found, _ = memory.read(torch.tensor(text)[:, None], None)
    assert float((found.probabilities.sum(-1) - 1).abs().max()) < 1e-5


FIT_LARGE_VOCABULARY = """
import charloom, torch
from charloom.model.counting import make_memory
def kib(name):  # the peak VmHWM is that of this process, while ru_maxrss would include the process that started it
    return int(dict(line.split(":", 1) for line in open("/proc/self/status"))[name].split()[0])

make_memory(torch.tensor([1, 0, 1]), 2, 1, 1)  # so that all code is loaded
before = kib("VmRSS")
text = (2000 * torch.rand(40_000, generator=torch.Generator().manual_seed(1)) ** 3).long()
text[::50] = text[-1] = 1999
make_memory(text, 2000, 1999, 3)
print(kib("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc/self/status")
def test_fitting_does_not_keep_the_probabilities_of_all_places(run_python: Run) -> None:
    """Here they would have 320 MB, several times. A text of 400,000 places and 5,000 symbols would have 8 GB."""
    done = run_python(FIT_LARGE_VOCABULARY)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 400_000  # KiB


@pytest.mark.parametrize("text", [[], [4], [4, 0, 1], [0, 1, 4]], ids=str)
def test_a_text_must_begin_and_end_with_eos(text: list[int]) -> None:
    with pytest.raises(ValueError, match="does not begin and end with <eos>"):
        make_memory(torch.tensor(text, dtype=torch.int64), 6, 4, 3)
