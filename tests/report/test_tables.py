"""The tables of `dvc plots`."""

from __future__ import annotations

import csv
from pathlib import Path

from charloom.evaluation import Findings
from charloom.report.tables import write_tables


def test_the_tables_hold_the_model_beside_the_baselines(tmp_path: Path, findings: Findings) -> None:
    write_tables(tmp_path, findings)
    tables = {}
    for path in tmp_path.iterdir():
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.reader(file, strict=True))
    assert set(tables) == {"baselines", "by_class", "by_position", "by_kind"}
    assert tables["baselines"][:2] == [["predictor", "bpc"], ["this model", str(findings.scores.bits_per_character)]]
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
