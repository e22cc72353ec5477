"""What every picture shares: its colours, and that the same numbers give the same bytes."""

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
    """Give a figure of so many inches to draw on; a PNG of 120 pixels an inch when the block succeeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcdefaults()  # not what a matplotlibrc of this machine says
    figure = pyplot.figure(figsize=size, layout="constrained")
    try:
        yield figure
        with atomic_path(path) as temporary:
            # no Software tag: the same numbers give the same bytes with any release that draws alike
            figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    finally:
        pyplot.close(figure)


def dress(axes: Axes, title: str) -> None:
    """A title, and a grid behind what is drawn."""
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
