"""What all pictures share: their colours, and functions that draw the same bytes from the same numbers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from charloom.files import atomic_path
from charloom.report.fonts import fonts_for
from charloom.terminal import on_one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of: the model, its training curve, what the model is compared with, the test split.
OURS, OURS_PALE, OTHER, TEST = "#1f4e8c", "#9bb4d0", "#c98a1b", "#c0392b"
NAME_WIDTH = 30  # a longer name is cut; in Chinese, Japanese and Korean, a character is two wide


@contextmanager
def drawing(path: Path, size: tuple[float, float], names: Sequence[str] = ()) -> Iterator[Figure]:
    """Yield a figure to draw on. If the block succeeds, the figure is written as a PNG of 120 pixels per inch.

    `size` is the width and the height in inches. `names` are texts of any script that will be drawn.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns if it cannot store its list of fonts
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcdefaults()  # ignore the user's matplotlibrc
    matplotlib.rcParams["font.family"] = fonts_for(names)
    figure = pyplot.figure(figsize=size, layout="constrained")
    try:
        yield figure
        with atomic_path(path) as temporary, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # `fonts_for` has said this in one line
            # Without the Software tag, two releases of matplotlib that draw alike give the same bytes.
            figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
    finally:
        pyplot.close(figure)


@contextmanager
def one_chart(path: Path, title: str, names: Sequence[str] = ()) -> Iterator[Axes]:
    """Yield the axes of a picture that has one chart. If the block succeeds, the picture is written.

    `names` are texts of any script that will be drawn.
    """
    with drawing(path, (8, 4.5), names) as figure:
        axes = figure.subplots()
        add_title_and_grid(axes, title)
        yield axes


def shown_name(name: str) -> str:
    """A name of any length as matplotlib can draw it: cut with an ellipsis, and on one line.

    matplotlib reads text between dollar signs as a formula, so dollar signs are escaped.
    """
    text = Text(on_one_line(name))
    text.truncate(NAME_WIDTH, overflow="ellipsis")
    return text.plain.replace("$", r"\$")


def add_title_and_grid(axes: Axes, title: str) -> None:
    """Give a chart its title, and a grid behind its content."""
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
