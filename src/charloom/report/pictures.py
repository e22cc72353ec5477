"""The charts of the report as PNG pictures, for pages and documents that cannot show the report itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.classification import Classification
from charloom.evaluation.evaluation import Evaluation
from charloom.report.canvas import OTHER, OURS, OURS_PALE, TEST, one_chart, shown_name
from charloom.report.context import THIS_MODEL, Context, paired
from charloom.training.history import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGIBLE = 14  # more classes than this have no room for their names and numbers
COLUMNS = 70  # this many characters have room below a chart
UNCONDITIONED = "This model is not conditioned on classes (model.conditioning: none)."


def draw_pictures(folder: Path, evaluation: Evaluation, context: Context) -> None:
    """Draw history.png, baselines.png, by_class.png, by_position.png, by_kind.png, accuracy.png and confusion.png."""
    ours, baselines, note = evaluation.breakdown, context.baselines, context.about_baselines()
    ngram, name = baselines.breakdown, baselines.ngram
    draw_history(folder / "history.png", context.history, evaluation.scores.total.bits_per_character)
    draw_baselines(folder / "baselines.png", context.all_bpc(evaluation), note)
    draw_positions(folder / "by_position.png", ours.by_position, ngram.by_position, name, note)
    draw_parts(folder / "by_class.png", "Bits per character by class", ours.by_class, ngram.by_class, name, note)
    draw_parts(folder / "by_kind.png", "Bits by kind of symbol", ours.by_kind, ngram.by_kind, name, note)
    draw_accuracy(folder / "accuracy.png", evaluation.classification, baselines.accuracy, context.about_classifiers())
    draw_confusion(folder / "confusion.png", evaluation.classification)


def draw_history(path: Path, history: Sequence[Record], test_bpc: float) -> None:
    """Draw bits per character in training and in validation. A horizontal line shows those of the test split."""
    with one_chart(path, "Training") as axes:
        millions = [record.characters / 1e6 for record in history]
        axes.plot(millions, [record.bpc for record in history], color=OURS_PALE, linewidth=1, label="train")
        validated = [(record.characters / 1e6, record.valid_bpc) for record in history if record.valid_bpc is not None]
        axes.plot(*zip(*validated, strict=True), color=OURS, marker="o", markersize=3, label="validation")
        axes.axhline(test_bpc, color=TEST, linestyle="--", linewidth=1, label=f"test {test_bpc:.3f}")
        axes.set(xlabel="characters read (millions)", ylabel="bits per character")
        axes.legend(frameon=False)


def draw_baselines(path: Path, bpc: Mapping[str, float], note: str = "") -> None:
    """Draw the bits per character of each model, the best model at the top. The note is below the chart."""
    names = sorted(bpc, key=bpc.__getitem__, reverse=True)
    with one_chart(path, "Bits per character of the test split") as axes:
        bars = axes.barh(names, [bpc[name] for name in names], color=OTHER)
        bars[names.index(THIS_MODEL)].set_color(OURS)
        axes.bar_label(bars, fmt="%.3f", padding=3)
        axes.margins(x=0.12)  # room for the labels
        axes.set(xlabel=_with_note("bits per character", note))


def draw_positions(
    path: Path, ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart], ngram_name: str, note: str = ""
) -> None:
    """Draw bits per symbol over the position in the article. `ngram` may be empty."""
    with one_chart(path, "Bits by position in the article") as axes:
        for name, parts, colour in ((THIS_MODEL, ours, OURS), (ngram_name, ngram, OTHER)):
            if parts:
                positions, bits = [int(part.name) for part in parts], [part.bits for part in parts]
                axes.plot(positions, bits, color=colour, marker="o", markersize=3, label=name)
        axes.set(xscale="log", xlabel=_with_note("characters from the article's beginning", note))
        axes.set(ylabel="bits per symbol")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False)


def draw_parts(
    path: Path,
    title: str,
    ours: Sequence[BreakdownPart],
    ngram: Sequence[BreakdownPart],
    ngram_name: str,
    note: str = "",
) -> None:
    """Draw two bars for each part of a split: the bits of the model and those of the n-gram. `ngram` may be empty."""
    compared = [(place, other) for place, (_, other) in enumerate(paired(ours, ngram)) if other]
    part_names = [shown_name(part.name) for part in ours]
    with one_chart(path, title, part_names) as axes:
        for name, parts, colour, shift in (
            (THIS_MODEL, [*enumerate(ours)], OURS, -0.19),
            (ngram_name, compared, OTHER, 0.19),
        ):
            if parts:
                places = [place + shift for place, _ in parts]
                bars = axes.barh(places, [part.bits for _, part in parts], 0.36, color=colour, label=name)
                axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.margins(x=0.12)  # room for the labels
        axes.set_yticks(range(len(ours)), part_names)
        axes.invert_yaxis()
        axes.set(xlabel=_with_note("bits", note))
        axes.legend(frameon=False)


def draw_accuracy(
    path: Path, classification: Classification | None, others: Mapping[str, float], note: str = ""
) -> None:
    """Draw the accuracy over the characters read. Horizontal lines show the accuracy of other classifiers, if any."""
    with one_chart(path, "Accuracy by characters read") as axes:
        if classification is None:
            _write_text(axes, UNCONDITIONED)
            return
        read, accuracies = zip(*classification.accuracy_after.items(), strict=True)
        axes.plot(read, accuracies, color=OURS, marker="o", label=THIS_MODEL)
        for (name, accuracy), style in zip(others.items(), ("-", "--", ":"), strict=False):
            axes.axhline(accuracy, color=OTHER, linestyle=style, linewidth=1, label=f"{name} {accuracy:.3f}")
        axes.set(xlabel=_with_note("characters read", note), ylabel="accuracy")
        axes.legend(frameon=False)


def draw_confusion(path: Path, classification: Classification | None) -> None:
    """Draw the number of articles by actual class and predicted class.

    With many classes, the picture has neither names nor numbers: an axis shows class ids.
    """
    names = [shown_name(name) for name in classification.names] if classification else []
    with one_chart(path, "Articles by actual and predicted class", names) as axes:
        axes.grid(visible=False)
        if classification is None:
            _write_text(axes, UNCONDITIONED)
            return
        counts = classification.confusion
        shares = counts / counts.sum(1, keepdims=True).clip(1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set(xlabel="predicted class", ylabel="actual class")
        if len(names) <= LEGIBLE:
            side_by_side = len(names) * max(map(cell_len, names)) < COLUMNS
            axes.set_xticks(range(len(names)), names, rotation=0 if side_by_side else 90)
            axes.set_yticks(range(len(names)), names)
            _write_counts(axes, counts, shares)


def _write_counts(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    """Write each count into its square, in white where the square is dark."""
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", color=colour, ha="center", va="center")


def _with_note(label: str, note: str) -> str:
    """The label of an axis, with a line below it for each sentence of the note."""
    return "\n".join([label, *note.replace(". ", ".\n").splitlines()])


def _write_text(axes: Axes, text: str) -> None:
    """Show a text instead of a chart."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
