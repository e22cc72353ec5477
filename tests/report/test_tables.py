"""The tables that `dvc plots` draws."""

from __future__ import annotations

import csv
from pathlib import Path

from charloom.report.tables import write_tables
from tests.report.conftest import Reported, sampled, unmeasured


def written(folder: Path, reported: Reported) -> dict[str, list[list[str]]]:
    """The rows of each table."""
    write_tables(folder, *reported)
    tables = {}
    for path in folder.iterdir():
        with path.open(encoding="utf-8", newline="") as file:
            tables[path.stem] = list(csv.reader(file, strict=True))
    return tables


def test_the_tables_compare_the_model_with_the_baselines(tmp_path: Path, reported: Reported) -> None:
    tables, (evaluation, context) = written(tmp_path, reported), reported
    assert set(tables) == {"baselines", "by_class", "by_position", "by_kind", "classifiers", "accuracy", "confusion"}
    read = str(context.baselines.train.total)
    assert tables["baselines"][:2] == [
        ["predictor", "bpc", "train_characters"],
        ["this model", str(evaluation.scores.total.bits_per_character), read],
    ]
    assert [row[0] for row in tables["baselines"][2:]] == list(context.baselines.bpc)
    for name, header in {
        "by_class": ["class", "characters", "bpc", "ngram_bpc"],
        "by_position": ["position", "symbols", "bits", "ngram_bits"],
        "by_kind": ["kind", "symbols", "bits", "ngram_bits"],
    }.items():
        ours, ngram = (getattr(each, name) for each in (evaluation.breakdown, context.baselines.breakdown))
        assert tables[name][0] == header
        for row, part, other in zip(tables[name][1:], ours, ngram, strict=True):
            assert row == [part.name, str(part.size), str(part.bits), str(other.bits)]


def test_tables_about_classes_have_only_a_header_for_an_unconditioned_model(tmp_path: Path, reported: Reported) -> None:
    tables = written(tmp_path, reported)
    assert tables["classifiers"] == [["predictor", "accuracy", "labelled_articles"]]
    assert tables["accuracy"] == [["characters", "accuracy"]]
    assert tables["confusion"] == [["actual", "predicted"]]


def test_tables_about_classes_compare_a_conditioned_model_with_the_others(tmp_path: Path, classified: Reported) -> None:
    tables, found = written(tmp_path, classified), classified.evaluation.classification
    assert found
    assert tables["classifiers"][1] == ["this model", "0.875", "40"]
    assert [row[0] for row in tables["classifiers"][2:]] == list(classified.context.baselines.accuracy)
    assert tables["accuracy"][1:] == [[read, str(share)] for read, share in found.accuracy_after.items()]
    pairs = zip(found.actual, found.predicted, strict=True)
    assert tables["confusion"][1:] == [[found.names[actual], found.names[predicted]] for actual, predicted in pairs]


def test_tables_state_how_much_each_model_has_read(tmp_path: Path, classified: Reported) -> None:
    tables = written(tmp_path, sampled(classified))
    ours, *others = tables["baselines"][1:]
    assert ours[2] == "29100000"
    assert {row[2] for row in others} == {"20000000"}
    ours, *others = tables["classifiers"][1:]
    assert ours[2] == "1040"
    assert {row[2] for row in others} == {"25"}
    for name in ("by_class", "by_position", "by_kind"):
        assert [row[3] == "nan" for row in tables[name][1:]] == [False] * (len(tables[name]) - 2) + [True]


def test_tables_without_simpler_models_have_the_model_alone(tmp_path: Path, classified: Reported) -> None:
    tables = written(tmp_path, unmeasured(classified))
    assert [row[0] for row in tables["baselines"]] == ["predictor", "this model"]
    assert [row[0] for row in tables["classifiers"]] == ["predictor", "this model"]
    for name in ("by_class", "by_position", "by_kind"):
        assert len(tables[name]) > 2
        assert {row[3] for row in tables[name][1:]} == {"nan"}
