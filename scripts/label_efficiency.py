"""Draw accuracy over the share of labelled articles, from DVC's experiments of the current commit.

First run the experiments in this checkout: `dvc exp run --queue -S model.conditioning=class -S
'data.labelled_fraction=0.01,0.1,1.0'`, then `dvc exp run --run-all`. If several experiments have the same share, the
newest one counts. This script writes docs/label-efficiency.csv and docs/images/label-efficiency.png.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import dvc.api
from dvc.exceptions import PathMissingError

from charloom.errors import InputError, exit_with
from charloom.files import write_csv
from charloom.report.canvas import OTHER, OURS, one_chart

FRACTION, TABLE = "data.labelled_fraction", "plots/classifiers.csv"
DOCS = Path("docs")


def main() -> None:
    by_fraction: dict[float, dict[str, float]] = {}
    for experiment in dvc.api.exp_show():
        if accuracies := accuracies_of(experiment["rev"]):
            by_fraction.setdefault(float(experiment[FRACTION]), accuracies)  # the newest experiment comes first
    if not by_fraction:
        raise InputError(
            "no experiment of this commit has an accuracy; README.md (One model, four shapes) has the commands"
        )
    fractions = sorted(by_fraction)
    names = list(by_fraction[fractions[0]])
    rows = [(fraction, *(by_fraction[fraction][name] for name in names)) for fraction in fractions]
    write_csv(DOCS / "label-efficiency.csv", [FRACTION, *names], rows)
    lines = {name: [by_fraction[fraction][name] for fraction in fractions] for name in names}
    draw_lines(DOCS / "images/label-efficiency.png", fractions, lines)


def accuracies_of(rev: str) -> dict[str, float]:
    """The accuracy of the model and of each other classifier at a revision.

    Empty if the revision has no result or an unconditioned model. A fresh clone has no result in its own folder.
    """
    try:
        table = dvc.api.read(TABLE, rev=None if rev == "workspace" else rev)
    except PathMissingError:
        return {}
    return {row["predictor"]: float(row["accuracy"]) for row in csv.DictReader(table.splitlines())}


def draw_lines(path: Path, fractions: Sequence[float], lines: Mapping[str, Sequence[float]]) -> None:
    """Draw accuracies over fractions, one line for each name: the model first, then three classifiers."""
    with one_chart(path, "Accuracy by labelled articles") as axes:
        styles = zip((OURS, OTHER, OTHER, OTHER), ("-", "-", "--", ":"), strict=True)
        for (name, accuracies), (colour, style) in zip(lines.items(), styles, strict=True):
            axes.plot(fractions, accuracies, color=colour, linestyle=style, marker="o", markersize=4, label=name)
        axes.set(xscale="log", xlabel="share of the training articles that are labelled", ylabel="accuracy")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False)


if __name__ == "__main__":
    exit_with(main)
