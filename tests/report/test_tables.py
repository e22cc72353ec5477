"""The tables of `dvc plots`."""

from __future__ import annotations

import csv
from pathlib import Path

from charloom.evaluation.evaluation import Findings
from charloom.report.tables import write_tables


def written(folder: Path, findings: Findings) -> dict[str, list[list[str]]]:
    """The rows of each table."""
    write_tables(folder, findings)
    tables = {}
    for path in folder.iterdir():
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.reader(file, strict=True))
    return tables


def test_the_tables_hold_the_model_beside_the_baselines(tmp_path: Path, findings: Findings) -> None:
    tables = written(tmp_path, findings)
    assert set(tables) == {"baselines", "by_class", "by_position", "by_kind", "classifiers", "accuracy", "confusion"}
    assert tables["baselines"][:2] == [
        ["predictor", "bpc"],
        ["this model", str(findings.scores.total.bits_per_character)],
    ]
    assert [row[0] for row in tables["baselines"][2:]] == list(findings.baselines.bpc)
    for name, heads in {
        "by_class": ["class", "characters", "bpc", "ngram_bpc"],
        "by_position": ["position", "symbols", "bits", "ngram_bits"],
        "by_kind": ["kind", "symbols", "bits", "ngram_bits"],
    }.items():
        ours, ngram = (getattr(each, name) for each in (findings.breakdown, findings.baselines.breakdown))
        assert tables[name][0] == heads
        for row, part, other in zip(tables[name][1:], ours, ngram, strict=True):
            assert row == [part.name, str(part.size), str(part.bits), str(other.bits)]


def test_a_model_that_is_told_of_no_classes_leaves_headings_alone(tmp_path: Path, findings: Findings) -> None:
    tables = written(tmp_path, findings)
    assert tables["classifiers"] == [["predictor", "accuracy"]]
    assert tables["accuracy"] == [["characters", "accuracy"]]
    assert tables["confusion"] == [["actual", "predicted"]]


def test_a_classifier_stands_beside_the_others(tmp_path: Path, told_findings: Findings) -> None:
    tables, told = written(tmp_path, told_findings), told_findings.classification
    assert told
    assert tables["classifiers"][1] == ["this model", "0.875"]
    assert [row[0] for row in tables["classifiers"][2:]] == list(told_findings.baselines.accuracy)
    assert tables["accuracy"][1:] == [[read, str(share)] for read, share in told.accuracy_after.items()]
    pairs = zip(told.actual, told.predicted, strict=True)
    assert tables["confusion"][1:] == [[told.names[actual], told.names[found]] for actual, found in pairs]
