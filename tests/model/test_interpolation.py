"""The interpolation of the counts. tests/model/test_memory.py compares its predictions with those of a slow program."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from charloom.model.counts import Counts, Places
from charloom.model.interpolation import (
    BUCKETS,
    DENSE_LEVEL,
    RATIOS,
    TOTAL_BUCKETS,
    Interpolation,
    Prediction,
    bucket,
    usable_levels,
)
from tests.model.slow_memory import CLASSES, Counted, classes_of, count_small_text, with_history


# The order of the memory, and a factor for the ids. In the last two cases, the counts are those by class.
@pytest.fixture(scope="module", params=[(1, 1), (3, 1), (7, 1), (6, 45), (2, 1, 3), (2, 45, 6)], ids=str)
def counted(request: pytest.FixtureRequest) -> Counted:
    return count_small_text(*request.param)


@pytest.fixture(scope="module")
def counts(counted: Counted) -> Counts:
    return counted.memory.by_class or counted.memory.counts


@pytest.fixture(scope="module")
def places(counted: Counted, counts: Counts) -> Places:
    return places_of(counted.text, counted, counts)


@pytest.fixture(scope="module")
def unseen(counted: Counted, counts: Counts) -> Places:
    return places_of(counted.unseen, counted, counts)


def places_of(text: Sequence[int], counted: Counted, counts: Counts) -> Places:
    """The places of a text. If the counts are those by class, each article has the class of a counted article."""
    roots = torch.zeros(len(text) - 1, dtype=torch.int64)
    if counts.trie.roots > 1:
        classes = torch.tensor(classes_of(text, counted.classes, counted.eos))
        roots = torch.where(classes < CLASSES, classes, counts.trie.unknown_row)
    return counts.places(with_history(text, counted.eos), roots[:, None])


@pytest.fixture(scope="module")
def interpolation(counts: Counts) -> Interpolation:
    return Interpolation(counts.trie, counts.shares)


def same(found: Prediction, expected: Prediction) -> bool:
    close = torch.allclose(found.probabilities, expected.probabilities, rtol=1e-5, atol=1e-7)
    return close and torch.equal(found.depths, expected.depths)


@pytest.mark.parametrize("fraction", [0.0, 0.6, 1.0])
def test_other_devices_predict_the_same(
    counts: Counts, places: Places, unseen: Places, interpolation: Interpolation, fraction: float
) -> None:
    """For other devices than the CPU there is no scipy matrix. The code without it also works on the CPU."""
    other = Interpolation(counts.trie, counts.shares)
    other._matrix = None
    assert same(other.probabilities(unseen.rows), interpolation.probabilities(unseen.rows))
    is_counted = torch.rand(places.rows.shape[1], generator=torch.Generator().manual_seed(1)) < fraction
    found, expected = (each.leave_one_out(places.rows, places.targets, is_counted) for each in (other, interpolation))
    assert same(found, expected)


def test_where_nothing_is_counted_nothing_is_left_out(
    places: Places, unseen: Places, interpolation: Interpolation
) -> None:
    for each in (places, unseen):
        nothing = torch.zeros(each.rows.shape[1], dtype=torch.bool)
        assert same(
            interpolation.leave_one_out(each.rows, each.targets, nothing), interpolation.probabilities(each.rows)
        )


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_dense_probabilities_only_save_time(
    counts: Counts,
    places: Places,
    unseen: Places,
    interpolation: Interpolation,
    level: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing changes but the depths: fewer levels are dense, so more levels count."""
    level = min(level, counts.order)
    dense_level = min(DENSE_LEVEL, counts.order)
    trie = counts.trie
    for most in (trie.first_rows[level + 1] * trie.alphabet, trie.first_rows[level + 1] * trie.alphabet + 1):
        monkeypatch.setattr("charloom.model.interpolation.MAX_DENSE", most)
        less_dense = Interpolation(trie, counts.shares)
        for each in (places, unseen):
            found, expected = less_dense.probabilities(each.rows), interpolation.probabilities(each.rows)
            torch.testing.assert_close(found.probabilities, expected.probabilities, rtol=1e-5, atol=1e-8)
            totals, _ = trie.totals()
            usable = (totals[each.rows[level + 1 : dense_level + 1]] > 1).sum(0)
            assert torch.equal(found.depths, expected.depths + usable)


def test_level_0_is_dense_even_if_it_has_too_many_probabilities(
    counts: Counts, unseen: Places, interpolation: Interpolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.model.interpolation.MAX_DENSE", 0)
    found = Interpolation(counts.trie, counts.shares).probabilities(unseen.rows).probabilities
    torch.testing.assert_close(found, interpolation.probabilities(unseen.rows).probabilities, rtol=1e-5, atol=1e-8)


def test_a_place_does_not_depend_on_the_others(places: Places, interpolation: Interpolation) -> None:
    whole = interpolation.probabilities(places.rows)
    for some in torch.arange(places.rows.shape[1]).split(97):
        found = interpolation.probabilities(places.rows[:, some])
        assert torch.equal(found.probabilities, whole.probabilities[some])
        assert torch.equal(found.depths, whole.depths[some])


def test_a_context_of_two_counts_has_no_share_if_one_is_left_out() -> None:
    """One count is left. A row with one count has no share, as it has none in a text that the memory did not count."""
    counted = count_small_text(order=7)
    trie = counted.memory.counts.trie
    places = counted.memory.places(with_history(counted.text, counted.eos))
    totals, _ = trie.totals()
    twice = (totals[places.rows[6]] == 2).nonzero()[:, 0]
    interpolation = Interpolation(trie, torch.ones(8, BUCKETS))  # a share of 1: the longest context decides alone
    everything = torch.ones(len(twice), dtype=torch.bool)
    depths = interpolation.leave_one_out(places.rows[:, twice], places.targets[:, twice], everything).depths
    assert len(twice) > 10
    assert int(depths.max()) <= 6 - DENSE_LEVEL - 1
    assert int(interpolation.probabilities(places.rows[:, twice]).depths.min()) >= 6 - DENSE_LEVEL


def test_a_usable_level_is_one_whose_counts_have_a_share() -> None:
    weights = torch.tensor([[[0.1, 0.5], [0.0, 1.0]], [[0.2, 0.0], [0.3, 0.4]], [[0.0, 1.0], [0.0, 1.0]]])
    assert usable_levels(weights).tolist() == [2, 1]


def expected_bucket(total: float, different: float) -> int:
    by_total = max(n for n in range(TOTAL_BUCKETS) if n == 0 or 2**n <= total)
    return by_total * (len(RATIOS) + 1) + sum(limit < different / max(total, 1) for limit in RATIOS)


def test_rows_of_similar_totals_and_ratios_are_in_one_bucket() -> None:
    pairs = [(total, different) for total in range(70) for different in range(total + 1)]
    pairs += [(total, total // part) for total in (127, 128, 4095, 4096, 99_999) for part in (1, 2, 3, 7, 15, 40, 90)]
    found = bucket(*torch.tensor(pairs, dtype=torch.float64).T)
    assert found.tolist() == [expected_bucket(*pair) for pair in pairs]
    assert int(found.min()) >= 0
    assert int(found.max()) < BUCKETS
