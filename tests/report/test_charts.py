"""Axes and lines: the place of a value, and the ticks of an axis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charloom.report.charts import line, linear, powers, thinned


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (1.9, 2.4, [1.9, 2.0, 2.1, 2.2, 2.3, 2.4]),
        (0, 3, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
        (-7, 8, [-5, 0, 5]),
        (2, 2, [1.6, 1.8, 2.0, 2.2, 2.4]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert [value for value, _ in linear(low, high).ticks] == pytest.approx(ticks)


def test_tick_labels_are_in_a_unit_and_have_only_the_digits_they_need() -> None:
    assert [label for _, label in linear(0, 3e6, unit=1e6, suffix=" M").ticks][:3] == ["0.0 M", "0.5 M", "1.0 M"]
    assert [label for _, label in linear(0, 10e6, unit=1e6, suffix=" M").ticks][:3] == ["0 M", "2 M", "4 M"]


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e9))
def test_every_axis_has_a_few_ticks_inside_it(low: float, length: float) -> None:
    axis = linear(low, low + length)
    assert 1 <= len(axis.ticks) <= 8
    assert all(-0.01 <= place <= 100.01 for place, _ in axis.marks)


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    assert powers(1, 1000).marks == [(0, "1"), (33.33, "10"), (66.67, "100"), (100, "1,000")]
    assert [label for _, label in powers(1, 999).ticks] == ["1", "10", "100"]
    assert powers(1, 1).place(1) == 0


def test_points_of_a_line_are_measured_from_the_left_and_the_top() -> None:
    x, y = linear(0, 10), linear(0, 4)
    assert line("a", "ours", [(0, 0), (5, 3), (10, 4)], x, y).path == "M0 100L50 25L100 0"


@pytest.mark.parametrize("count", [1, 399, 400, 401, 10_000])
def test_thinning_keeps_the_mean_and_few_points(count: int) -> None:
    points = [(float(index), float(index)) for index in range(count)]
    some = thinned(points)
    assert min(count, 200) <= len(some) <= 400
    assert some == sorted(some)
    if count <= 400:
        assert some == points
