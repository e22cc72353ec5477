"""Draw accuracy over the share of labelled articles, from the experiments of the current commit.

First run the experiments in this checkout: `dvc exp run --queue -S model.conditioning=class -S
'data.labelled_fraction=0.01,0.1,1.0'`, then `dvc exp run --run-all`. This script writes docs/label-efficiency.csv and
docs/images/label-efficiency.png.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import dvc.api

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
        raise SystemExit(
            "error: no experiment of this commit has an accuracy; run the experiments that this file names"
        )
    fractions = sorted(by_fraction)
    names = list(by_fraction[fractions[0]])
    rows = [(fraction, *(by_fraction[fraction][name] for name in names)) for fraction in fractions]
    write_csv(DOCS / "label-efficiency.csv", [FRACTION, *names], rows)
    lines = {name: [by_fraction[fraction][name] for fraction in fractions] for name in names}
    draw_lines(DOCS / "images/label-efficiency.png", fractions, lines)


def accuracies_of(rev: str) -> dict[str, float]:
    """The accuracy of the model and of each other classifier at a revision. Empty for an unconditioned model."""
    table = dvc.api.read(TABLE, rev=None if rev == "workspace" else rev)
    return {row["predictor"]: float(row["accuracy"]) for row in csv.DictReader(table.splitlines())}


def draw_lines(path: Path, fractions: Sequence[float], lines: Mapping[str, Sequence[float]]) -> None:
    """Draw accuracies over fractions, one line for each name. The first line is the model's."""
    with one_chart(path, "Accuracy by labelled articles") as axes:
        styles = zip((OURS, OTHER, OTHER, OTHER), ("-", "-", "--", ":"), strict=True)
        for (name, accuracies), (colour, style) in zip(lines.items(), styles, strict=True):
            axes.plot(fractions, accuracies, color=colour, linestyle=style, marker="o", markersize=4, label=name)
        axes.set(xscale="log", xlabel="share of the training articles that are labelled", ylabel="accuracy")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(frameon=False)


if __name__ == "__main__":
    main()
