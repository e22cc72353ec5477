"""The tables that `dvc plots` draws and compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.evaluation import Findings
from charloom.files import write_csv


def write_tables(folder: Path, findings: Findings) -> None:
    """Write baselines.csv, by_class.csv, by_position.csv and by_kind.csv, the longest n-gram beside the model.

    And classifiers.csv, accuracy.csv and confusion.csv: headings alone where the model does not tell classes apart.
    """
    rows = [("this model", findings.scores.total.bits_per_character), *findings.baselines.bpc.items()]
    write_csv(folder / "baselines.csv", ["predictor", "bpc"], rows)
    ours, ngram = findings.breakdown, findings.baselines.breakdown
    _write(folder / "by_class.csv", ["class", "characters", "bpc", "ngram_bpc"], ours.by_class, ngram.by_class)
    _write(
        folder / "by_position.csv", ["position", "symbols", "bits", "ngram_bits"], ours.by_position, ngram.by_position
    )
    _write(folder / "by_kind.csv", ["kind", "symbols", "bits", "ngram_bits"], ours.by_kind, ngram.by_kind)
    told = findings.classification
    write_csv(folder / "classifiers.csv", ["predictor", "accuracy"], findings.accuracies.items())
    write_csv(folder / "accuracy.csv", ["characters", "accuracy"], told.accuracy_after.items() if told else [])
    pairs = [(told.names[a], told.names[b]) for a, b in zip(told.actual, told.predicted, strict=True)] if told else []
    write_csv(folder / "confusion.csv", ["actual", "predicted"], pairs)


def _write(path: Path, header: Sequence[str], ours: Sequence[BreakdownPart], ngram: Sequence[BreakdownPart]) -> None:
    rows = [(part.name, part.size, part.bits, other.bits) for part, other in zip(ours, ngram, strict=True)]
    write_csv(path, header, rows)
