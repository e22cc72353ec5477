"""`charloom score`: how a file is cut into texts, and the output: totals, --each and --surprisal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charloom.corpus.sources import SAMPLE
from charloom.model.saved import load_model
from charloom.model.scoring import surprisals
from tests.cli.conftest import Charloom, Ended

LINES = ["Stocks rose on Monday.", "  Oil fell; no comment was given", "x"]
TEXT = "\n".join(["", LINES[0], "", *LINES[1:], ""]).encode()


def objects(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def bits(folder: Path, *texts: str, classes: list[int] | None = None) -> list[list[float]]:
    """The bits of each symbol of these texts."""
    saved = load_model(folder)
    framed = (np.pad(saved.vocabulary.encode(text), 1, constant_values=saved.vocabulary.eos) for text in texts)
    return [found.bits.tolist() for found in surprisals(saved.model, framed, classes=classes)]


def test_each_line_is_a_text_and_blank_lines_are_skipped(charloom: Charloom, model_folder: Path) -> None:
    (total,) = objects(charloom("score", "-", "--json", stdin=TEXT))
    costs = bits(model_folder, *LINES)
    spent, characters = sum(map(sum, costs)), sum(map(len, LINES))
    assert total["bpc"] == pytest.approx(spent / characters, rel=1e-5)
    assert total["perplexity"] == pytest.approx(2 ** (spent / (characters + 3)), rel=1e-5)
    assert (total["texts"], total["characters"], total["unknown_characters"]) == (3, characters, 0)


def test_line_ends_and_a_byte_order_mark_do_not_change_the_scores(charloom: Charloom, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    assert charloom("score", path) == charloom("score", "-", stdin=TEXT)


def test_each_prints_a_row_for_each_text_before_the_totals(charloom: Charloom, model_folder: Path) -> None:
    *rows, total = objects(charloom("score", "-", "--json", "--each", stdin=TEXT))
    assert [row["text"] for row in rows] == [1, 2, 3]
    assert [row["beginning"] for row in rows] == LINES
    assert [row["bits"] for row in rows] == pytest.approx(list(map(sum, bits(model_folder, *LINES))), rel=1e-5)
    assert total["bits"] == pytest.approx(sum(row["bits"] for row in rows), rel=1e-5)
    table = charloom("score", "-", "--each", stdin=TEXT).out.splitlines()
    assert table[0].split() == ["bpc", "perplexity", "characters", "text"]
    for line, row in zip(table[1:4], rows, strict=True):
        shown = line.split(maxsplit=3)
        assert float(shown[0]) == pytest.approx(row["bpc"], abs=1e-4)
        assert int(shown[2]) == row["characters"]
        assert shown[3] == row["beginning"].strip()
    assert table[4].split() == ["bits", "per", "character", f"{total['bpc']:.4f}"]


def test_surprisal_prints_the_bits_of_every_symbol(charloom: Charloom, model_folder: Path) -> None:
    costs = bits(model_folder, *LINES)
    rows = objects(charloom("score", "-", "--json", "--surprisal", stdin=TEXT))
    assert [row["symbols"] for row in rows] == [[*line, "<eos>"] for line in LINES]
    for row, cost in zip(rows, costs, strict=True):
        assert row["bits"] == pytest.approx(cost, rel=1e-5)
    ended = charloom("score", "-", "--surprisal", stdin=TEXT)
    header, *table = [line.split("\t") for line in ended.out.splitlines()]
    assert header == ["text", "position", "symbol", "bits"]
    assert len(table) == sum(map(len, costs))
    assert table[0] == ["1", "1", '"S"', f"{costs[0][0]:.4f}"]
    assert table[-1] == ["3", "2", "<eos>", f"{costs[2][1]:.4f}"]
    assert "bits per character" in ended.err


def test_whole_scores_the_file_as_one_text(
    charloom: Charloom, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charloom.corpus.lines.PIECE_BYTES", 7)
    text = "Stocks rose\non Monday."
    rows = objects(charloom("score", "-", "--format", "whole", "--surprisal", "--json", stdin=f"{text}\n".encode()))
    assert [row["position"] for row in rows] == [1, 8, 15, 22, 23]
    assert [symbol for row in rows for symbol in row["symbols"]] == [*text, "<eos>"]
    whole = [cost for row in rows for cost in row["bits"]]
    saved = load_model(model_folder)
    symbols = saved.vocabulary.encode(f"\n{text}\n").copy()
    symbols[[0, 12, -1]] = saved.vocabulary.eos
    (expected,) = surprisals(saved.model, [symbols])
    assert whole == pytest.approx(expected.bits.tolist(), rel=1e-5)
    (total,) = objects(charloom("score", "-", "--format", "whole", "--json", stdin=text.encode()))
    assert (total["texts"], total["characters"]) == (1, len(text) - 1)
    assert total["bits"] == pytest.approx(math.fsum(whole), rel=1e-5)


def test_the_rows_of_a_csv_file_are_articles(charloom: Charloom) -> None:
    (total,) = objects(charloom("score", SAMPLE / "test.csv", "--json"))
    assert total["texts"] == 128
    assert charloom("score", "-", "--format", "csv").code == 2


def test_rows_of_a_csv_file_without_text_are_skipped_and_counted(charloom: Charloom, tmp_path: Path) -> None:
    path, without = tmp_path / "some.csv", tmp_path / "without.csv"
    path.write_text('"1",""\n"1","abc"\n"2"," \t"\n"2",""\n"1","de"\n')
    without.write_text('"1","abc"\n"1","de"\n')
    for table in ("--each", "--surprisal"):
        ended = charloom("score", path, table, "--json")
        assert ended.err.startswith(f"{path}: 3 row(s) without text were skipped")
        assert ended.out == charloom("score", without, table, "--json").out
    path.write_text('"1","",""\n')
    assert f"error: {path}: this file has no text to score" in charloom("score", path).err


def test_unknown_characters_are_counted_and_named(charloom: Charloom) -> None:
    ended = charloom("score", "-", stdin="né \x1b[31m日日 ok".encode())
    assert "(4 unknown)" in ended.out or "(5 unknown)" in ended.out
    assert ended.err.startswith(
        "warning: -: some characters are not in the vocabulary and are read as <unk>: '日' (2), 'é' (1)"
    )
    assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize("file_format", ["lines", "whole", "csv"])
def test_a_text_is_normalized_as_the_models_corpus_was(
    charloom: Charloom, composed_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr("charloom.corpus.lines.PIECE_BYTES", 4)  # a piece ends between the e and its accent
    composed, decomposed = tmp_path / "composed", tmp_path / "decomposed"
    for path, text in ((composed, "caf\u00e9 \u00e9"), (decomposed, "cafe\u0301 e\u0301")):
        path.write_text(f'"1","{text}"\n' if file_format == "csv" else f"{text}\n", encoding="utf-8")
    for table in ("--each", "--surprisal"):
        arguments = "--format", file_format, table, "--json"
        one, other = (charloom("score", path, *arguments, model=composed_folder) for path in (composed, decomposed))
        assert one == other
    (*_, total) = objects(charloom("score", decomposed, "--format", file_format, "--json", model=composed_folder))
    assert (total["characters"], total["unknown_characters"]) == (6, 0)


@pytest.mark.parametrize("table", ["--each", "--surprisal"])
def test_tables_show_control_characters_as_escapes(charloom: Charloom, table: str) -> None:
    ended = charloom("score", "-", table, stdin="a\x1b]0;owned\x07\x9bb".encode())
    assert ended.code == 0
    assert not {"\x1b", "\x07", "\x9b"} & set(ended.out + ended.err)
    assert r"\x1b" in ended.out or r"\u001b" in ended.out


@pytest.mark.parametrize("arguments", [(), ("--format", "whole"), ("--each", "--format", "whole")])
@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_a_file_without_text_is_an_error(charloom: Charloom, arguments: tuple[str, ...], text: bytes) -> None:
    ended = charloom("score", "-", *arguments, stdin=text)
    assert (ended.code, ended.err) == (2, "error: -: this file has no text to score\n")


@pytest.mark.parametrize("name", ["-", "text.txt", "text.csv"])
def test_a_file_that_is_no_utf_8_text_is_named_as_what_it_is(charloom: Charloom, tmp_path: Path, name: str) -> None:
    content = TEXT.decode().encode("utf-16")
    (tmp_path / "text.txt").write_bytes(content)
    (tmp_path / "text.csv").write_bytes(content)
    file = "-" if name == "-" else tmp_path / name
    ended = charloom("score", file, stdin=content)
    expected = (
        "this is text in UTF-16 with a byte order mark, not in UTF-8; convert it: `iconv -f UTF-16 -t UTF-8 OLD > NEW`"
    )
    assert (ended.code, ended.err) == (2, f"error: {file}: {expected}\n")


def test_a_byte_that_is_not_utf8_is_an_error(charloom: Charloom) -> None:
    ended = charloom("score", "-", stdin=b"good\nb\xffad")
    assert ended.code == 2
    assert ended.err == "error: -: byte 6 (0xff) is not UTF-8; convert the text to UTF-8\n"


@pytest.mark.parametrize("file_format", ["lines", "whole"])
def test_a_text_is_scored_as_an_article_of_the_given_class(
    charloom: Charloom, conditioned_folder: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr("charloom.corpus.lines.PIECE_BYTES", 7)
    for class_id, name in enumerate(("World", "Sports")):
        arguments = "score", "-", "--format", file_format, "--class", name, "--surprisal", "--json"
        rows = objects(charloom(*arguments, stdin=LINES[0].encode(), model=conditioned_folder))
        (costs,) = bits(conditioned_folder, LINES[0], classes=[class_id])
        assert [cost for row in rows for cost in row["bits"]] == pytest.approx(costs, rel=1e-4)


def test_class_column_scores_each_text_as_an_article_of_its_class(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text('2,"Stocks rose"\n"World","Stocks rose"\n"Weather","Stocks rose"\n', encoding="utf-8")
    ended = charloom("score", path, "--each", "--json", "--class-column", "1", model=conditioned_folder)
    *rows, _ = objects(ended)
    expected = bits(conditioned_folder, *["Stocks rose"] * 3, classes=[1, 0, 4])
    assert [row["bits"] for row in rows] == pytest.approx(list(map(sum, expected)), rel=1e-4)
    assert "'Weather' (1); they are scored without a class" in ended.err
    *rows, _ = objects(charloom("score", path, "--each", "--json", model=conditioned_folder))
    assert [row["bits"] for row in rows] == pytest.approx([sum(expected[2])] * 3, rel=1e-4)


def test_class_and_class_column_exclude_each_other(charloom: Charloom, conditioned_folder: Path) -> None:
    options = "--class", "World", "--class-column", "1"
    ended = charloom("score", SAMPLE / "test.csv", *options, model=conditioned_folder)
    assert ended.code == 2
    assert "--class and --class-column both state the class of a text; give only one of them" in ended.err


def test_an_unknown_class_is_an_error_that_lists_the_classes(charloom: Charloom, conditioned_folder: Path) -> None:
    ended = charloom("score", "-", "--class", "sport", stdin=TEXT, model=conditioned_folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: class 'sport': must be one of World, Sports, Business, Sci/Tech\n"
    assert (
        "this model has no classes; train one with model.conditioning: class"
        in charloom("score", "-", "--class", "Sports", stdin=TEXT).err
    )


def test_each_and_surprisal_exclude_each_other(charloom: Charloom) -> None:
    ended = charloom("score", "-", "--each", "--surprisal", stdin=b"a")
    assert ended.code == 2
    assert "--each and --surprisal print different tables; give only one of them" in " ".join(ended.err.split())
