"""`charloom classify`: the probabilities of classes by Bayes' rule."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from charloom.corpus.sources import AG_NEWS_CLASSES, SAMPLE
from charloom.model.saved import load_model
from charloom.model.scoring import surprisals
from charloom.text.texts import framed
from tests.cli.conftest import Charloom

LINES = ["Stocks rose on Monday.", "  Oil fell; no comment was given", "x"]
TEXT = "\n".join(["", LINES[0], "", *LINES[1:], ""]).encode()


def test_probabilities_follow_from_the_scores_of_all_classes_by_bayes_rule(
    charloom: Charloom, conditioned_folder: Path
) -> None:
    ended = charloom("classify", "-", "--json", stdin=TEXT, model=conditioned_folder)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["beginning"] for row in rows] == LINES
    saved = load_model(conditioned_folder)
    total = sum(class_count.articles + 1 for class_count in saved.class_counts)
    for row in rows:
        joint = []
        for class_id, class_count in enumerate(saved.class_counts):
            text = [framed(saved.vocabulary, row["beginning"])]
            (found,) = surprisals(saved.model, text, classes=[class_id])
            joint.append((class_count.articles + 1) / total * math.exp(-float((found.nats - found.log_ratios).sum())))
        expected = {name: share / sum(joint) for name, share in zip(AG_NEWS_CLASSES, joint, strict=True)}
        assert row["probabilities"] == pytest.approx(expected, abs=1e-4)
        assert row["class"] == max(expected, key=expected.__getitem__)


def test_the_table_has_a_column_for_each_class(charloom: Charloom, conditioned_folder: Path) -> None:
    heading, *rows = charloom("classify", "-", stdin=TEXT, model=conditioned_folder).out.splitlines()
    assert heading.split() == [*AG_NEWS_CLASSES, "text"]
    assert len(rows) == 3
    for line, row in zip(LINES, rows, strict=True):
        *shares, beginning = row.split(maxsplit=4)
        assert sum(map(float, shares)) == pytest.approx(1, abs=1e-3)
        assert beginning == line.strip()


def test_the_rows_of_a_csv_file_are_articles(charloom: Charloom, conditioned_folder: Path) -> None:
    ended = charloom("classify", SAMPLE / "test.csv", "--json", model=conditioned_folder)
    assert ended.err == ""
    assert len(ended.out.splitlines()) == len((SAMPLE / "test.csv").read_text(encoding="utf-8").splitlines())


def test_rows_of_a_csv_file_without_text_are_skipped_and_counted(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "some.csv"
    path.write_text('"1","",""\n"1","abc","d"\n"2"," ",""\n')
    ended = charloom("classify", path, "--json", model=conditioned_folder)
    assert [json.loads(line)["beginning"] for line in ended.out.splitlines()] == ["abc d"]
    assert ended.err == f"{path}: 2 row(s) without text were skipped\n"
    path.write_text('"1",""\n')
    assert "this file has no text to classify" in charloom("classify", path, model=conditioned_folder).err


def test_a_text_is_normalized_as_the_models_corpus_was(charloom: Charloom, composed_folder: Path) -> None:
    composed, decomposed = (
        charloom("classify", "-", stdin=text.encode(), model=composed_folder) for text in ("caf\u00e9", "cafe\u0301")
    )
    assert composed == decomposed
    assert composed.err == ""


def test_unknown_characters_are_named(charloom: Charloom, conditioned_folder: Path) -> None:
    ended = charloom("classify", "-", stdin="日本".encode(), model=conditioned_folder)
    assert ended.err == (
        "warning: -: some characters are not in the vocabulary and are read as <unk>: '日' (1), '本' (1)\n"
    )


def test_input_that_cannot_be_classified_is_an_error_of_one_line(charloom: Charloom, conditioned_folder: Path) -> None:
    for ended, says in (
        (charloom("classify", "-", stdin=TEXT), "this model has no classes; train one with model.conditioning: class"),
        (charloom("classify", "-", stdin=b"\n", model=conditioned_folder), "-: this file has no text to classify"),
        (
            charloom("classify", "-", "--format", "csv", model=conditioned_folder),
            "--format csv cannot read the standard input; give the name of a file",
        ),
    ):
        assert ended.code == 2
        assert ended.out == ""
        assert says in ended.err
        assert len(ended.err.splitlines()) == 1
