"""`charloom classify`: the probabilities of classes by Bayes' rule."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
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
    *rows, _total = ended.out.splitlines()
    assert len(rows) == len((SAMPLE / "test.csv").read_text(encoding="utf-8").splitlines())


def test_rows_of_a_csv_file_without_text_are_skipped_and_counted(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "some.csv"
    path.write_text('"1","",""\n"1","abc","d"\n"2"," ",""\n')
    ended = charloom("classify", path, "--json", model=conditioned_folder)
    assert [json.loads(line).get("beginning") for line in ended.out.splitlines()] == ["abc d", None]
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


LABELLED = [("Sports", "Stocks rose on Monday."), ("World", "Oil fell"), ("World", "x"), ("Sci/Tech", "The cup final")]


def write_labelled(path: Path, labels: list[str]) -> Path:
    """A table with the texts of LABELLED and these labels."""
    rows = (f'"{label}","{text}"\n' for label, (_, text) in zip(labels, LABELLED, strict=True))
    path.write_text("".join(rows), encoding="utf-8")
    return path


def test_a_labelled_file_gives_the_accuracy_and_the_confusion(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = write_labelled(tmp_path / "mine.csv", [label for label, _ in LABELLED])
    ended = charloom("classify", path, "--json", model=conditioned_folder)
    *rows, total = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.err == ""
    assert [row["label"] for row in rows] == [label for label, _ in LABELLED]
    pairs = Counter((row["label"], row["class"]) for row in rows)
    right = sum(count for (label, found), count in pairs.items() if label == found)
    assert (total["texts"], total["accuracy"]) == (4, pytest.approx(right / 4))
    assert {(a, b): count for a, row in total["confusion"].items() for b, count in row.items()} == pairs


def test_a_label_may_be_the_number_of_a_class(charloom: Charloom, conditioned_folder: Path, tmp_path: Path) -> None:
    by_name = write_labelled(tmp_path / "a.csv", [label for label, _ in LABELLED])
    by_number = write_labelled(tmp_path / "b.csv", [str(AG_NEWS_CLASSES.index(label) + 1) for label, _ in LABELLED])
    totals = [charloom("classify", path, "--json", model=conditioned_folder).out for path in (by_name, by_number)]
    assert totals[0].splitlines()[-1] == totals[1].splitlines()[-1]


def test_a_label_is_a_name_if_the_classes_have_numbers_as_names(
    charloom: Charloom, composed_folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(composed_folder, model)
    about = (model / "model.json").read_text(encoding="utf-8")
    for old, new in (("a", "0"), ("b", "1")):
        about = about.replace(f'"name": "{old}"', f'"name": "{new}"')
    (model / "model.json").write_text(about, encoding="utf-8")
    path = tmp_path / "mine.csv"
    path.write_text("0,caf\n1,fac\n1,a\n2,c\n", encoding="utf-8")
    ended = charloom("classify", path, "--json", model=model)
    total = json.loads(ended.out.splitlines()[-1])
    assert {name: sum(row.values()) for name, row in total["confusion"].items()} == {"0": 1, "1": 2}
    assert "1 text(s) have a label that is not a class of the model: '2' (1)" in ended.err


def test_labels_that_the_model_does_not_know_are_counted_and_left_out(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = write_labelled(tmp_path / "mine.csv", ["Sports", "Weather", "5", "Weather"])
    ended = charloom("classify", path, "--json", model=conditioned_folder)
    *rows, total = [json.loads(line) for line in ended.out.splitlines()]
    assert (len(rows), total["texts"]) == (4, 1)
    assert ended.err == (
        f"warning: {path}: 3 text(s) have a label that is not a class of the model: 'Weather' (2), '5' (1); the"
        " accuracy leaves them out; the classes are World, Sports, Business, Sci/Tech\n"
    )
    write_labelled(path, ["a", "b", "c", "d"])
    ended = charloom("classify", path, model=conditioned_folder)
    assert (ended.code, len(ended.out.splitlines())) == (0, 5)
    assert "4 text(s) have a label that is not a class of the model" in ended.err
    assert "; so there is no accuracy; " in ended.err


@pytest.mark.parametrize("width", [30, 80])
def test_the_table_of_the_confusion_fits_the_terminal(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    path = write_labelled(tmp_path / "mine.csv", [label for label, _ in LABELLED])
    ended = charloom("classify", path, model=conditioned_folder)
    shown = ended.out.splitlines()
    table = shown[shown.index("texts     4") + 1 :]
    accuracy = json.loads(charloom("classify", path, "--json", model=conditioned_folder).out.splitlines()[-1])[
        "accuracy"
    ]
    assert f"accuracy  {accuracy:.4f}" in shown
    assert all(len(line) <= width for line in table)
    numbers = [word for line in table for word in line.split() if re.fullmatch(r"[01]\.\d{4}", word)]
    assert len(numbers) == 3  # one for each of the three classes that occur


def test_class_column_null_reads_a_file_without_classes(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "Oil fell"}\n', encoding="utf-8")
    options = "--text-columns", "text", "--class-column", "null"
    (row,) = charloom("classify", path, "--json", *options, model=conditioned_folder).out.splitlines()
    assert "label" not in json.loads(row)
