"""Line charts and bars in percent of their width and height, so that the page can draw them at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One axis of a chart: its ends and its ticks."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]  # values and labels
    log: bool = False  # a logarithmic axis: equal ratios of values are equal distances

    def place(self, value: float) -> float:
        """The place of a value, in percent from the low end."""
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return round(100 * (scale(value) - low) / (high - low), 2)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """The places and labels of the ticks."""
        return [(self.place(value), label) for value, label in self.ticks]


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, its CSS classes, and its points in percent from the left and the top."""

    name: str
    style: str
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """The line as the `d` attribute of an SVG path."""
        return "M" + "L".join(f"{x:g} {y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """A line chart. The page shows a note while the reader points at the note's place."""

    label: str  # what a screen reader says
    x: Axis
    y: Axis
    x_label: str
    lines: Sequence[Line]
    notes: Sequence[tuple[float, str]]  # places in percent from the left, and texts
    rule: tuple[float, str] | None = None  # a horizontal line: its place in percent from the top, and its name

    @property
    def levels(self) -> list[tuple[float, str]]:
        """The places of the ticks of y, in percent from the top, and their labels."""
        return [(round(100 - place, 2), label) for place, label in self.y.marks]


@dataclass(frozen=True)
class Bar:
    """A bar and, if the value is compared with another value, a second bar."""

    name: str
    value: float
    share: float  # the length of the bar, in percent of the width
    other: float | None = None  # the value of the second bar
    other_share: float | None = None  # the length of the second bar, in percent of the width
    note: str = ""  # a few words below the name
    ours: bool = False  # whether the bar has the model's colour


def line(name: str, style: str, points: Sequence[Point], x: Axis, y: Axis) -> Line:
    """The line through points whose coordinates are values of the axes."""
    return Line(name, style, [(x.place(x_value), round(100 - y.place(y_value), 2)) for x_value, y_value in points])


def linear(low: float, high: float, *, unit: float = 1.0, suffix: str = "", most: int = 6) -> Axis:
    """An axis from `low` to `high` with round ticks, about `most` or fewer.

    A tick's label is its value divided by `unit`, followed by `suffix`.
    """
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
    """A logarithmic axis with ticks at powers of ten."""
    ticks = [(10.0**power, f"{10**power:,}") for power in range(math.ceil(math.log10(low)), 10) if 10**power <= high]
    return Axis(low, max(high, low * 1.1), ticks, log=True)


def thinned(points: Sequence[Point], most: int = 400) -> list[Point]:
    """At most `most` points. Each is the mean of the same number of neighbouring points, except possibly the last."""
    size = math.ceil(len(points) / most)
    groups = [points[begin : begin + size] for begin in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
