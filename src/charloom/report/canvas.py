"""What all pictures share: their colours, and functions that draw the same bytes from the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of: the model, its training curve, what the model is compared with, the test split.
OURS, OURS_PALE, OTHER, TEST = "#1f4e8c", "#9bb4d0", "#c98a1b", "#c0392b"


@contextmanager
def drawing(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """Yield a figure to draw on. If the block succeeds, the figure is written as a PNG of 120 pixels per inch.

    `size` is the width and the height in inches.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcdefaults()  # ignore the user's matplotlibrc
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
    """Yield the axes of a picture that has one chart. If the block succeeds, the picture is written."""
    with drawing(path, (8, 4.5)) as figure:
        axes = figure.subplots()
        add_title_and_grid(axes, title)
        yield axes


def add_title_and_grid(axes: Axes, title: str) -> None:
    """Give a chart its title, and a grid behind its content."""
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
