"""Draw what labels are worth: accuracy over the share of labelled articles, of this commit's experiments.

Those are, in the same checkout: `dvc exp run --queue -S model.conditioning=class -S
'data.labelled_fraction=0.01,0.1,1.0'`, then `dvc exp run --run-all`. It writes docs/label-efficiency.csv and
docs/images/label-efficiency.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvc.api import exp_show

from charloom.files import write_csv
from charloom.report.pictures import draw_shares

FRACTION, ACCURACY = "data.labelled_fraction", "accuracy"
DOCS = Path("docs")


def main() -> None:
    by_fraction: dict[float, dict[str, float]] = {}
    for experiment in exp_show():
        if accuracies := accuracies_of(experiment):
            by_fraction.setdefault(float(experiment[FRACTION]), accuracies)  # the newest comes first
    if not by_fraction:
        raise SystemExit("error: no experiment here has an accuracy; run those that this file names")
    fractions = sorted(by_fraction)
    names = list(by_fraction[fractions[0]])
    rows = [(fraction, *(by_fraction[fraction][name] for name in names)) for fraction in fractions]
    write_csv(DOCS / "label-efficiency.csv", [FRACTION, *names], rows)
    lines = {name: [by_fraction[fraction][name] for fraction in fractions] for name in names}
    draw_shares(DOCS / "images/label-efficiency.png", "What labels are worth", fractions, lines)


def accuracies_of(experiment: dict[str, Any]) -> dict[str, float]:
    """The accuracy of the model and of the classifiers beside it, by name; none where it was told of no classes."""
    found = {name.rpartition(":")[2]: value for name, value in experiment.items()}
    others = [name for name in found if name.startswith(f"{ACCURACY}.")]
    try:
        ours = {"this model": float(found[ACCURACY])}
        return ours | {name.removeprefix(f"{ACCURACY}."): float(found[name]) for name in others}
    except (KeyError, ValueError):  # DVC puts "None" where an experiment lacks a number
        return {}


if __name__ == "__main__":
    main()
