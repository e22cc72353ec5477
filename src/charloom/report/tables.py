"""Write the tables that `dvc plots` draws and compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.classification import Classification
from charloom.evaluation.evaluation import Evaluation
from charloom.files import write_csv
from charloom.report.context import Context


def write_tables(folder: Path, evaluation: Evaluation, context: Context) -> None:
    """Write the CSV tables to a folder: baselines, by_class, by_position, by_kind, classifiers, accuracy, confusion.

    For an unconditioned model, the last three contain only a header line.
    """
    write_csv(folder / "baselines.csv", ["predictor", "bpc"], context.all_bpc(evaluation).items())
    ours, ngram = evaluation.breakdown, context.baselines.breakdown
    _write_parts(folder / "by_class.csv", ["class", "characters", "bpc"], ours.by_class, ngram.by_class)
    _write_parts(folder / "by_position.csv", ["position", "symbols", "bits"], ours.by_position, ngram.by_position)
    _write_parts(folder / "by_kind.csv", ["kind", "symbols", "bits"], ours.by_kind, ngram.by_kind)
    classification = evaluation.classification
    write_csv(folder / "classifiers.csv", ["predictor", "accuracy"], context.all_accuracy(evaluation).items())
    write_csv(
        folder / "accuracy.csv",
        ["characters", "accuracy"],
        classification.accuracy_after.items() if classification else [],
    )
    write_csv(folder / "confusion.csv", ["actual", "predicted"], _class_pairs(classification) if classification else [])


def _write_parts(
    path: Path, header: Sequence[str], ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart]
) -> None:
    """Write a table of parts, with the bits of the model and the bits of the longest n-gram."""
    rows = [(part.name, part.size, part.bits, other.bits) for part, other in zip(ours, ngram, strict=True)]
    write_csv(path, [*header, f"ngram_{header[-1]}"], rows)


def _class_pairs(classification: Classification) -> list[tuple[str, str]]:
    """The actual and the predicted class of each article."""
    pairs = zip(classification.actual, classification.predicted, strict=True)
    return [(classification.names[actual], classification.names[predicted]) for actual, predicted in pairs]
