"""Write the tables that `dvc plots` draws and compares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from charloom.evaluation.baselines import Amount
from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.classification import Classification
from charloom.evaluation.evaluation import Evaluation
from charloom.files import write_csv
from charloom.report.context import THIS_MODEL, Context, paired


def write_tables(folder: Path, evaluation: Evaluation, context: Context) -> None:
    """Write the CSV tables to a folder: baselines, by_class, by_position, by_kind, classifiers, accuracy, confusion.

    For an unconditioned model, the last three contain only a header line.
    """
    read = context.all_train_characters()
    compared = [(name, bpc, read[name]) for name, bpc in context.all_bpc(evaluation).items()]
    write_csv(folder / "baselines.csv", ["predictor", "bpc", "train_characters"], compared)
    ours, ngram = evaluation.breakdown, context.baselines.breakdown
    _write_parts(folder / "by_class.csv", ["class", "characters", "bpc"], ours.by_class, ngram.by_class)
    _write_parts(folder / "by_position.csv", ["position", "symbols", "bits"], ours.by_position, ngram.by_position)
    _write_parts(folder / "by_kind.csv", ["kind", "symbols", "bits"], ours.by_kind, ngram.by_kind)
    classification = evaluation.classification
    _write_classifiers(folder / "classifiers.csv", context.all_accuracy(evaluation), context.baselines.labelled)
    write_csv(
        folder / "accuracy.csv",
        ["characters", "accuracy"],
        classification.accuracy_after.items() if classification else [],
    )
    write_csv(folder / "confusion.csv", ["actual", "predicted"], _class_pairs(classification) if classification else [])


def _write_parts(
    path: Path, header: Sequence[str], ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart]
) -> None:
    """Write a table of parts, with the bits of the model and the bits of the longest n-gram.

    The n-gram's bits are nan if they were not measured. `dvc plots` would draw an empty cell as 0.
    """
    pairs = paired(ours, ngram)
    rows = [(part.name, part.size, part.bits, other.bits if other else math.nan) for part, other in pairs]
    write_csv(path, [*header, f"ngram_{header[-1]}"], rows)


def _write_classifiers(path: Path, accuracies: Mapping[str, float], labelled: Amount) -> None:
    """Write the accuracy of each classifier, and the number of labelled articles on which it was trained."""
    read = {name: labelled.total if name == THIS_MODEL else labelled.read for name in accuracies}
    rows = [(name, accuracy, read[name]) for name, accuracy in accuracies.items()]
    write_csv(path, ["predictor", "accuracy", "labelled_articles"], rows)


def _class_pairs(classification: Classification) -> list[tuple[str, str]]:
    """The actual and the predicted class of each article."""
    pairs = zip(classification.actual, classification.predicted, strict=True)
    return [(classification.names[actual], classification.names[predicted]) for actual, predicted in pairs]
