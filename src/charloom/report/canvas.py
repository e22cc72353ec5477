"""What all pictures share: their colours, and a canvas on which the same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, OURS_PALE, OTHER, TEST = "#1f4e8c", "#9bb4d0", "#c98a1b", "#c0392b"


@contextmanager
def drawing(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Give a figure to draw on. If the block succeeds, the figure is written as a PNG of 120 pixels per inch.

    `size` is the width and the height in inches.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcdefaults()  # ignores the user's own matplotlibrc
    figure = pyplot.figure(figsize=size, layout="constrained")
    try:
        yield figure
        with atomic_path(path) as temporary:
            # Without the Software tag, two releases of matplotlib that draw alike give the same bytes.
            figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    finally:
        pyplot.close(figure)


@contextmanager
def one_chart(path: Path, title: str) -> Iterator[Axes]:
    """Give the axes of a picture that has one chart. The picture is written if the block succeeds."""
    with drawing(path, (8, 4.5)) as figure:
        axes = figure.subplots()
        dress(axes, title)
        yield axes


def dress(axes: Axes, title: str) -> None:
    """Give a chart its title, and a grid behind its content."""
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
