"""Line charts and bars as numbers from 0 to 100, for the page to draw at any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One direction of a chart: its ends, its ticks, and whether equal ratios or equal differences are equal steps."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, in percent from the low end."""
        scale = math.log if self.log else float
        low, high, at = scale(self.low), scale(self.high), scale(value)
        return round(100 * (at - low) / (high - low), 2)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """The ticks by their places."""
        return [(self.place(value), label) for value, label in self.ticks]


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, its style's class, and its points in percent from the left and from above."""

    name: str
    style: str
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """SVG's d."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """A line chart; a note says what stands at a place from the left, for whoever points there."""

    label: str
    x: Axis
    y: Axis
    x_label: str
    lines: Sequence[Line]
    notes: Sequence[tuple[float, str]]
    rule: tuple[float, str] | None = None  # a horizontal line and what it is

    @property
    def levels(self) -> list[tuple[float, str]]:
        """The ticks of y, from above."""
        return [(round(100 - place, 2), label) for place, label in self.y.marks]


@dataclass(frozen=True)
class Bar:
    """A bar: its length and, where there is something to compare with, that one's, both in percent."""

    name: str
    value: float
    share: float
    other: float | None = None
    other_share: float | None = None
    note: str = ""
    ours: bool = False


def line(name: str, style: str, points: Sequence[Point], x: Axis, y: Axis) -> Line:
    """A line through points given as values."""
    return Line(name, style, [(x.place(at), round(100 - y.place(value), 2)) for at, value in points])


def linear(low: float, high: float, *, unit: float = 1.0, suffix: str = "", most: int = 6) -> Axis:
    """An axis from about `low` to `high` with at most `most` ticks, labelled in `unit`."""
    if high <= low:
        low, high = low - 0.5, low + 0.5
    step = next(
        factor * 10.0**power
        for power in range(math.floor(math.log10((high - low) / most)), 400)
        for factor in (1, 2, 5)
        if (high - low) / (factor * 10.0**power) <= most
    )
    digits = max(0, -math.floor(math.log10(step / unit) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [(index * step, f"{index * step / unit:.{digits}f}{suffix}") for index in range(first, last + 1)]
    return Axis(low, high, ticks)


def powers(low: float, high: float) -> Axis:
    """A logarithmic axis whose ticks are 1, 10, 100, …"""
    ticks = [(10.0**power, f"{10**power:,}") for power in range(math.ceil(math.log10(low)), 10) if 10**power <= high]
    return Axis(low, max(high, low * 1.1), ticks, log=True)


def thinned(points: Sequence[Point], most: int = 400) -> list[Point]:
    """At most so many points, each the mean of as many neighbours."""
    size = math.ceil(len(points) / most)
    groups = [points[begin : begin + size] for begin in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
