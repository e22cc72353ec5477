"""Draw a corpus as a picture: lengths, classes, characters, and the share of the text that a vocabulary covers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charloom.report.canvas import OTHER, OURS, add_title_and_grid, drawing, shown_name
from charloom.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 20  # at most this many classes and this many characters are shown


def draw_corpus(path: Path, summary: Summary) -> None:
    """Draw the summary as a PNG."""
    names = {label: shown_name(summary.classes[label - 1]) for label, _ in summary.train.classes.most_common(BARS)}
    with drawing(path, (12, 9), list(names.values())) as figure:
        (lengths, classes), (characters, coverage) = figure.subplots(2, 2)
        _draw_lengths(lengths, summary)
        _draw_classes(classes, summary, names)
        _draw_characters(characters, summary)
        _draw_coverage(coverage, summary)


def _draw_lengths(axes: Axes, summary: Summary) -> None:
    add_title_and_grid(axes, "Length of the articles")
    both = summary.train, summary.test
    shortest, longest = min(split.length_at(0) for split in both), max(split.length_at(1) for split in both)
    edges = np.unique(np.geomspace(shortest, longest + 1, 41).round()) - 0.5  # no bin without a whole number
    ticks = np.unique(np.geomspace(shortest, longest, 7).round())
    for name, split, colour in (("train", summary.train, OURS), ("test", summary.test, OTHER)):
        share = np.full(split.articles, 100 / split.articles)
        axes.hist(
            split.lengths, edges.tolist(), weights=share, histtype="step", linewidth=1.5, color=colour, label=name
        )
    axes.set(xscale="log", xlabel="characters", ylabel="% of the articles")
    axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    axes.xaxis.minorticks_off()
    axes.legend(frameon=False)


def _draw_classes(axes: Axes, summary: Summary, names: Mapping[int, str]) -> None:
    """Draw the shares of the classes that `names` has."""
    title = "Articles by class"
    if len(summary.classes) > len(names):
        title += f" (the {BARS} largest of {len(summary.classes)})"
    add_title_and_grid(axes, title)
    places = np.arange(len(names))
    for name, split, colour, shift in (("train", summary.train, OURS, -0.19), ("test", summary.test, OTHER, 0.19)):
        share = [100 * split.classes[label] / split.articles for label in names]
        axes.barh(places + shift, share, 0.36, color=colour, label=name)
    axes.set_yticks(places, [*names.values()])
    axes.invert_yaxis()
    axes.margins(x=0.25)  # room for the legend
    axes.set(xlabel="% of the articles")
    axes.legend(frameon=False, loc="lower right")


def _draw_characters(axes: Axes, summary: Summary) -> None:
    add_title_and_grid(axes, "Most frequent characters of train")
    shown = summary.characters[:BARS]
    names = [char if "!" <= char <= "~" and char != "$" else f"U+{ord(char):04X}" for char, _ in shown]
    axes.barh(range(len(shown)), [100 * count / summary.train.characters for _, count in shown], color=OURS)
    axes.set_yticks(range(len(shown)), names)
    axes.invert_yaxis()
    axes.set(xlabel="% of the characters")


def _draw_coverage(axes: Axes, summary: Summary) -> None:
    add_title_and_grid(axes, "Vocabulary size, and the share of test that it covers")
    coverage = summary.coverage()
    bars = axes.bar([str(each.min_count) for each in coverage], [each.characters for each in coverage], color=OURS)
    axes.bar_label(bars, [f"{each.characters:,}\n{each.test:.3%}" for each in coverage], padding=3)
    axes.margins(y=0.2)  # room for the labels
    axes.locator_params(axis="y", integer=True)
    axes.set(xlabel="vocab.min_count", ylabel="characters")
