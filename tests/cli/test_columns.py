"""Which columns `charloom score` and `charloom classify` read: options, the corpus of the model, and formats."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from charloom.corpus.articles import read_articles
from charloom.corpus.sources import AG_NEWS_CLASSES, SAMPLE, obtain
from tests.cli.conftest import Charloom, Ended
from tests.learning import default_params

ROWS = [("Sports", "Stocks rose", "on Monday."), ("World", "Oil fell; no comment", "was given"), ("Sports", "x", "y")]
TEXTS = [f"{title} {body}" for _, title, body in ROWS]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def table(delimiter: str, *, header: bool, numbers: bool = False) -> bytes:
    """ROWS as a CSV table. With `numbers`, the classes are AG_NEWS' numbers."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("topic", "title", "body")] * header)
    writer.writerows(
        (AG_NEWS_CLASSES.index(topic) + 1 if numbers else topic, title, body) for topic, title, body in ROWS
    )
    return text.getvalue().encode()


def fields() -> list[dict[str, str]]:
    return [dict(zip(("topic", "title", "body"), row, strict=True)) for row in ROWS]


def as_parquet() -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(fields()), sink)
    return sink.getvalue()


CONTENT = {
    ".csv": table(",", header=True),
    ".tsv": table("\t", header=True),
    ".jsonl": "".join(json.dumps(row) + "\n" for row in fields()).encode(),
    ".parquet": as_parquet(),
}
NAMES = ("--text-columns", "title,body", "--class-column", "topic")


@pytest.fixture(scope="session")
def named_folder(tmp_path_factory: pytest.TempPathFactory, conditioned_folder: Path) -> Path:
    """A conditioned model whose corpus had named columns."""
    return with_form(
        conditioned_folder, tmp_path_factory.mktemp("named"), text_columns=["title", "body"], class_column="topic"
    )


def with_form(model: Path, target: Path, **form: object) -> Path:
    """A copy of a model that was trained on a corpus of this form."""
    shutil.copytree(model, target, dirs_exist_ok=True)
    about = json.loads((target / "model.json").read_text(encoding="utf-8"))
    about["corpus"] |= form
    (target / "model.json").write_text(json.dumps(about), encoding="utf-8")
    return target


def objects(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def beginnings(ended: Ended) -> list[str]:
    return [row["beginning"] for row in objects(ended)[:-1]]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("ending", CONTENT)
def test_a_table_of_each_format_is_read_plain_and_compressed(
    charloom: Charloom, named_folder: Path, tmp_path: Path, ending: str, packing: str
) -> None:
    path = tmp_path / f"mine{ending}{packing}"
    path.write_bytes(PACKERS[packing](CONTENT[ending]))
    assert beginnings(charloom("score", path, "--each", "--json", model=named_folder)) == TEXTS
    *rows, total = objects(charloom("classify", path, "--json", model=named_folder))
    assert [row["label"] for row in rows] == ["Sports", "World", "Sports"]
    assert total["texts"] == 3


def test_the_options_name_the_columns(charloom: Charloom, conditioned_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(CONTENT[".csv"])
    for texts, expected in (("title,body", TEXTS), ("[title, body]", TEXTS), ("body", [row[2] for row in ROWS])):
        ended = charloom("score", path, "--each", "--json", "--text-columns", texts, model=conditioned_folder)
        assert beginnings(ended) == expected
    path.write_bytes(table(",", header=False))
    assert beginnings(charloom("score", path, "--each", "--json", "--text-columns", "3")) == [row[2] for row in ROWS]


def test_a_format_is_given_for_a_name_without_its_ending(charloom: Charloom, tmp_path: Path) -> None:
    path = tmp_path / "mine.gz"
    path.write_bytes(gzip.compress(CONTENT[".tsv"]))
    arguments = "--each", "--json", "--format", "tsv", "--text-columns", "title,body"
    assert beginnings(charloom("score", path, *arguments)) == TEXTS


@pytest.mark.parametrize("packing", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("file_format", [None, "lines", "txt", "whole"])
def test_a_compressed_text_is_scored_as_the_plain_one(
    charloom: Charloom, tmp_path: Path, packing: str, file_format: str | None
) -> None:
    plain, packed = tmp_path / "mine.txt", tmp_path / f"mine.txt{packing}"
    plain.write_bytes(b"Stocks rose\non Monday.\n\nOil fell\n")
    packed.write_bytes(PACKERS[packing](plain.read_bytes()))
    options = ("--format", file_format) if file_format else ()
    assert charloom("score", packed, *options)[:2] == charloom("score", plain, *options)[:2]


def test_a_damaged_compressed_text_is_an_error(charloom: Charloom, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt.gz"
    path.write_bytes(gzip.compress(b"Stocks rose\n" * 99)[:-9])
    ended = charloom("score", path)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(f"error: {path}: cannot be unpacked: ")


@pytest.mark.parametrize(("article_end", "texts"), [("blank_line", 2), ("line", 3)])
def test_the_articles_of_a_text_end_as_in_the_corpus_of_the_model(
    charloom: Charloom, model_folder: Path, tmp_path: Path, article_end: str, texts: int
) -> None:
    model = with_form(model_folder, tmp_path / "model", article_end=article_end)
    text = b"Stocks rose\non Monday.\n\nOil fell\n"
    (total,) = objects(charloom("score", "-", "--format", "txt", "--json", stdin=text, model=model))
    assert total["texts"] == texts


@pytest.mark.skipif(os.name == "nt", reason="needs a pipe with a name")
def test_a_pipe_is_read(charloom: Charloom) -> None:
    for arguments, content in (((), b"Stocks\nOil\n"), (("--format", "csv"), b'1,"Stocks"\n1,"Oil"\n')):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        assert beginnings(charloom("score", f"/dev/fd/{reading}", "--each", "--json", *arguments)) == ["Stocks", "Oil"]
        os.close(reading)


@pytest.mark.parametrize("form", [{}, {"text_columns": ["text"], "class_column": "topic"}])
def test_files_of_stage_download_are_read_whatever_the_corpus_was(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path, form: dict[str, Any]
) -> None:
    """data/raw/test.csv has the columns class, text. Its classes are numbers, which source.json explains."""
    data = default_params().data.model_copy(
        update={
            "source": "mine.jsonl",
            "text_columns": ["title", "body"],
            "class_column": "topic",
            "test_fraction": 0.5,
        }
    )
    (tmp_path / "mine.jsonl").write_bytes(CONTENT[".jsonl"] * 9)
    with redirect_stdout(io.StringIO()):
        obtain(default_params().model_copy(update={"data": data}), tmp_path / "raw", root=tmp_path, mirror=None)
    model = with_form(conditioned_folder, tmp_path / "model", **form)
    *rows, total = objects(charloom("classify", tmp_path / "raw/train.csv", "--json", model=model))
    articles = list(read_articles(tmp_path / "raw/train.csv"))
    assert [row["beginning"] for row in rows] == [article.text for article in articles]
    # The classes of this corpus are Sports (1) and World (2). The model has World before Sports.
    stated = Counter({1: "Sports", 2: "World"}[article.label] for article in articles)
    assert {name: sum(row.values()) for name, row in total["confusion"].items()} == stated


def test_a_header_is_not_a_text(charloom: Charloom, conditioned_folder: Path, tmp_path: Path) -> None:
    path, without = tmp_path / "test.csv", tmp_path / "without.csv"
    sample = (SAMPLE / "test.csv").read_text(encoding="utf-8").splitlines(keepends=True)[:10]
    path.write_text("Class Index,Title,Description\n" + "".join(sample), encoding="utf-8")
    without.write_text("".join(sample), encoding="utf-8")
    ended = charloom("classify", path, model=conditioned_folder)
    assert (ended.code, ended.out) == (2, "")
    assert "this line seems to be a header" in ended.err
    assert "--text-columns '[Title, Description]' and --class-column 'Class Index', or --header false" in ended.err
    copied = "--text-columns", "[Title, Description]", "--class-column", "Class Index"
    *_, total = objects(charloom("classify", path, "--json", *copied, model=conditioned_folder))
    *_, expected = objects(charloom("classify", without, "--json", model=conditioned_folder))
    assert total == expected
    *_, total = objects(charloom("classify", path, "--json", "--header", "true", model=conditioned_folder))
    assert total == expected
    *_, total = objects(charloom("score", path, "--json", "--header", "false", model=conditioned_folder))
    assert total["texts"] == 11


ERRORS = [
    ((), CONTENT[".jsonl"], ".jsonl", "no column 2, the columns are topic, title, body; correct --text-columns or"),
    (("--text-columns", "text"), CONTENT[".csv"], ".csv", "no column 'text'"),
    (("--text-columns", "4"), table(",", header=False), ".csv", "--class-column ask for column 4; set --text-columns"),
    ((), b"1,Stocks\xff,rose\n", ".csv", ":1: byte 8 (0xff) is not UTF-8; convert the text to UTF-8\n"),
    ((), b"1,a,b\n1,a\n", ".csv", ":2: 2 columns, but the first row has 3"),
]


@pytest.mark.parametrize(("options", "content", "ending", "says"), ERRORS)
@pytest.mark.parametrize("command", ["score", "classify"])
def test_errors_name_the_options_and_no_parameters(
    charloom: Charloom,
    conditioned_folder: Path,
    tmp_path: Path,
    command: str,
    options: tuple[str, ...],
    content: bytes,
    ending: str,
    says: str,
) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_bytes(content)
    no_classes = ("--class-column", "null") if options else ()
    ended = charloom(command, path, *options, *no_classes, model=conditioned_folder)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert says in ended.err
    assert "data." not in ended.err
    assert "params.yaml" not in ended.err


def test_the_error_for_a_text_without_a_class_names_the_way_out(
    charloom: Charloom, conditioned_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("1,Stocks,rose\n,Oil,fell\n", encoding="utf-8")
    ended = charloom("classify", path, model=conditioned_folder)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ":2: column 1 contains no class" in ended.err
    assert "--class-column null " in ended.err
    assert len(charloom("classify", path, "--class-column", "null", model=conditioned_folder).out.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--text-columns", "title"),
            "--text-columns title and --class-column 1 and --header auto: the columns must be either all names",
        ),
        (("--text-columns", "0"), "must be either all names of a file with a header line, or all numbers from 1"),
        (("--text-columns", ""), "must be either all names"),
        (("--text-columns", "[1"), "--text-columns '[1': not a column, such as 2 or title"),
        (("--class-column", "1.5"), "must be either all names"),
        (("--format", "lines", "--text-columns", "2"), "--text-columns needs a table, but this file is read as lines"),
        (("--format", "txt", "--header", "true"), "--header needs a table, but this file is read as txt"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(
    charloom: Charloom, conditioned_folder: Path, options: tuple[str, ...], says: str
) -> None:
    ended = charloom("classify", SAMPLE / "test.csv", *options, model=conditioned_folder)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert says in ended.err


def test_a_table_cannot_be_read_from_the_standard_input(charloom: Charloom) -> None:
    for file_format in ("csv", "tsv", "jsonl", "parquet"):
        ended = charloom("score", "-", "--format", file_format)
        assert ended.code == 2
        assert f"--format {file_format} cannot read the standard input; give the name of a file" in ended.err


def test_an_error_shows_the_names_of_columns_as_they_are(charloom: Charloom, tmp_path: Path) -> None:
    name = "the data.class_column: x"
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({name: "Stocks rose", "label": "Sports"}) + "\n")
    ended = charloom("score", path)
    assert f"the columns are {name}, label; correct --text-columns or --class-column" in ended.err
    *_, texts, _, _, class_ = shlex.split(ended.err)
    assert charloom("score", path, "--text-columns", texts, "--class-column", class_).code == 0


def test_score_is_not_advised_to_read_a_class(charloom: Charloom, tmp_path: Path) -> None:
    """A model without classes would reject it."""
    path = tmp_path / "mine.csv"
    path.write_bytes(b"".join(b"sea,Ship %d came\nair,Wind %d came\n" % (number, number) for number in range(5)))
    ended = charloom("score", path, "--text-columns", "title")
    assert "set --text-columns '[2]' and --class-column null; otherwise" in ended.err


def test_a_row_is_one_text_even_if_the_articles_of_the_corpus_were_cut(
    charloom: Charloom, named_folder: Path, tmp_path: Path
) -> None:
    model = with_form(named_folder, tmp_path / "model", article_end=10)
    path = tmp_path / "mine.csv"
    path.write_bytes(CONTENT[".csv"])
    assert beginnings(charloom("score", path, "--each", "--json", model=model)) == TEXTS
    assert beginnings(charloom("classify", path, "--json", model=model)) == TEXTS
