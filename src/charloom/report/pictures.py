"""The report's charts as PNGs, for pages and documents that show pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.classification import Classification
from charloom.evaluation.evaluation import Findings
from charloom.report.canvas import OTHER, OURS, OURS_PALE, TEST, drawing, dress
from charloom.terminal import harmless
from charloom.training.history import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNCONDITIONED = "This model is not told of classes (model.conditioning: none)."


def draw_pictures(folder: Path, findings: Findings) -> None:
    """Draw history.png, baselines.png, by_class.png, by_position.png, by_kind.png, accuracy.png and confusion.png."""
    score, baselines = findings.scores.total.bits_per_character, findings.baselines
    ours, ngram = findings.breakdown, baselines.breakdown
    draw_history(folder / "history.png", findings.history, score)
    draw_baselines(folder / "baselines.png", {"this model": score, **baselines.bpc})
    draw_positions(folder / "by_position.png", ours.by_position, ngram.by_position, baselines.ngram)
    draw_parts(folder / "by_class.png", "Bits per character by class", ours.by_class, ngram.by_class, baselines.ngram)
    draw_parts(folder / "by_kind.png", "Bits by kind of symbol", ours.by_kind, ngram.by_kind, baselines.ngram)
    draw_accuracy(folder / "accuracy.png", findings.classification, baselines.accuracy)
    draw_confusion(folder / "confusion.png", findings.classification)


def draw_history(path: Path, history: Sequence[Record], test_bpc: float) -> None:
    """Training and validation bits per character over the symbols read, and the test's as a line."""
    with _picture(path, "Training") as axes:
        millions = [record.characters / 1e6 for record in history]
        axes.plot(millions, [record.bpc for record in history], color=OURS_PALE, linewidth=1, label="train")
        validated = [(record.characters / 1e6, record.valid_bpc) for record in history if record.valid_bpc is not None]
        axes.plot(*zip(*validated, strict=True), color=OURS, marker="o", markersize=3, label="validation")
        axes.axhline(test_bpc, color=TEST, linestyle="--", linewidth=1, label=f"test {test_bpc:.3f}")
        axes.set(xlabel="characters read (millions)", ylabel="bits per character")
        axes.legend(frameon=False)


def draw_baselines(path: Path, bpc: dict[str, float]) -> None:
    """Bits per character of everything that predicted the test split, the best on top."""
    names = sorted(bpc, key=bpc.__getitem__, reverse=True)
    with _picture(path, "Bits per character of the test split") as axes:
        bars = axes.barh(names, [bpc[name] for name in names], color=OTHER)
        bars[names.index("this model")].set_color(OURS)
        axes.bar_label(bars, fmt="%.3f", padding=3)
        axes.margins(x=0.12)  # for the labels
        axes.set(xlabel="bits per character")


def draw_positions(path: Path, ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart], ngram_name: str) -> None:
    """Bits per symbol over the position in the article."""
    with _picture(path, "Bits by position in the article") as axes:
        for name, parts, colour in (("this model", ours, OURS), (ngram_name, ngram, OTHER)):
            axes.plot(
                [int(part.name) for part in parts],
                [part.bits for part in parts],
                color=colour,
                marker="o",
                markersize=3,
                label=name,
            )
        axes.set(xscale="log", xlabel="characters from the article's beginning", ylabel="bits per symbol")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False)


def draw_parts(
    path: Path, title: str, ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart], ngram_name: str
) -> None:
    """Bars of the parts of a split, two for each."""
    with _picture(path, title) as axes:
        places = range(len(ours))
        bars = [
            axes.barh(
                [place + shift for place in places], [part.bits for part in parts], 0.36, color=colour, label=name
            )
            for name, parts, colour, shift in (("this model", ours, OURS, -0.19), (ngram_name, ngram, OTHER, 0.19))
        ]
        for each in bars:
            axes.bar_label(each, fmt="%.2f", padding=3)
        axes.margins(x=0.12)  # for the labels
        axes.set_yticks(places, [_plain(part.name) for part in ours])
        axes.invert_yaxis()
        axes.set(xlabel="bits")
        axes.legend(frameon=False)


def draw_accuracy(path: Path, told: Classification | None, others: Mapping[str, float]) -> None:
    """The share of articles told right over the characters read, and other classifiers' after all of them as lines."""
    with _picture(path, "Classes told apart") as axes:
        if told is None:
            _say(axes, UNCONDITIONED)
            return
        read, accuracies = zip(*told.accuracy_after.items(), strict=True)
        axes.plot(read, accuracies, color=OURS, marker="o", label="this model")
        for (name, accuracy), style in zip(others.items(), ("-", "--", ":"), strict=True):
            axes.axhline(accuracy, color=OTHER, linestyle=style, linewidth=1, label=f"{name} {accuracy:.3f}")
        axes.set(xlabel="characters read", ylabel="accuracy")
        axes.legend(frameon=False)


def draw_shares(path: Path, title: str, shares: Sequence[float], lines: Mapping[str, Sequence[float]]) -> None:
    """Accuracies over the share of the articles that are labelled, by name, the model's first."""
    with _picture(path, title) as axes:
        for (name, values), colour, style in zip(
            lines.items(), (OURS, *[OTHER] * 3), ("-", "-", "--", ":"), strict=True
        ):
            axes.plot(shares, values, color=colour, linestyle=style, marker="o", markersize=4, label=name)
        axes.set(xscale="log", xlabel="share of the training articles that are labelled", ylabel="accuracy")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False)


def draw_confusion(path: Path, told: Classification | None) -> None:
    """How many articles of each class were taken for each."""
    with _picture(path, "Articles by their class and the one that they were taken for") as axes:
        axes.grid(visible=False)
        if told is None:
            _say(axes, UNCONDITIONED)
            return
        counts = told.confusion
        shares = counts / counts.sum(1, keepdims=True).clip(1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        names = [_plain(name) for name in told.names]
        axes.set(xlabel="taken for", ylabel="class")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:,}", color=colour, ha="center", va="center")


def _say(axes: Axes, words: str) -> None:
    """Words in the place of a chart."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)


def _plain(name: str) -> str:
    """A name as matplotlib shows it as it is."""
    return harmless(name).replace("$", r"\$")


@contextmanager
def _picture(path: Path, title: str) -> Iterator[Axes]:
    """Give axes to draw on; a PNG when the block succeeds."""
    with drawing(path, (8, 4.5)) as figure:
        axes = figure.subplots()
        dress(axes, title)
        yield axes
