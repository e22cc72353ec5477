"""`charloom data --source PATH`: stage download reads the files with the lines that it prints for params.yaml."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from pytest_httpserver import HTTPServer

from charloom.corpus.sources import obtain
from charloom.params_file import load_params
from tests.cli.conftest import Charloom
from tests.conftest import CHECKOUT, WriteRows
from tests.corpus.test_formats import as_parquet
from tests.param_files import VALID

NUMBERS = range(120)
TITLES = [f"The ship number {number} came late" for number in NUMBERS]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def block(printed: str) -> dict[str, Any]:
    """The lines for the section data, as YAML. The real reader of params.yaml reads them in `with_lines`."""
    read: dict[str, Any] = yaml.safe_load(printed[printed.index("\ndata:\n") :])["data"]
    return read


def with_lines(printed: str) -> Path:
    """A params.yaml in which the printed lines replace those with the same names."""
    lines = {line.partition(":")[0]: line for line in printed[printed.index("\ndata:\n") :].splitlines()[2:]}
    section, _, rest = VALID.partition("\nvocab:")
    replaced = [lines.pop(line.partition(":")[0], line) for line in section.splitlines()]
    assert lines == {}
    path = Path("params.yaml")
    path.write_text("\n".join(replaced) + "\n\nvocab:" + rest, encoding="utf-8")
    return path


def articles_read(printed: str) -> int:
    counts = obtain(load_params(with_lines(printed)), Path("data/raw"), root=Path.cwd(), mirror=None)
    return counts["train_articles"] + counts["test_articles"]


def csv_lines(*first: str, comma: str = ",") -> bytes:
    rows = [comma.join((("sea", "air")[number % 2], title)) for number, title in zip(NUMBERS, TITLES, strict=True)]
    return ("\n".join([*first, *rows]) + "\n").encode()


def json_lines(**columns: list[Any]) -> bytes:
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


HALF = [number % 2 for number in NUMBERS]
FILES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "header": ("a.csv", csv_lines("label,text"), {"text_columns": ["text"], "class_column": "label"}),
    "unusual header": ("a.csv", csv_lines("v1,v2"), {"text_columns": ["v2"], "class_column": "v1"}),
    "no header": ("a.csv", csv_lines(), {"text_columns": [2], "class_column": 1, "header": "auto"}),
    "header that needs quotes": ("a.csv", csv_lines('null,"a: b"'), {"text_columns": ["a: b"], "class_column": "null"}),
    "a column without a name": ("a.csv", csv_lines("label,"), {"text_columns": [2], "class_column": 1, "header": True}),
    "numbers as header": ("a.csv", csv_lines("0,1"), {"text_columns": ["1"], "class_column": "0"}),
    "byte order mark": ("a.csv", b"\xef\xbb\xbf" + csv_lines("label,text"), {"class_column": "label"}),
    "CR": ("a.csv", csv_lines("label,text").replace(b"\n", b"\r"), {"class_column": "label"}),
    "tsv, compressed": ("a.tsv.gz", gzip.compress(csv_lines("topic\tbody", comma="\t")), {"text_columns": ["body"]}),
    "one column": ("a.csv", "\n".join(TITLES).encode(), {"text_columns": [1], "class_column": None}),
    "name with spaces": ("my [new] a.csv", csv_lines(), {"source": "my [new] a.csv"}),
    "Cyrillic": ("новости.csv", csv_lines("класс,текст"), {"text_columns": ["текст"], "class_column": "класс"}),
    "jsonl": ("a.jsonl", json_lines(id=list(NUMBERS), text=TITLES, label=HALF), {"class_column": "label"}),
    "jsonl, a class is missing": (
        "a.jsonl",
        json_lines(text=TITLES, label=[None, *HALF[1:]]),
        {"text_columns": ["text"], "class_column": None},
    ),
    "parquet": (
        "a.parquet",
        as_parquet({"label": [float(half) for half in HALF], "tags": [["x"]] * 120, "body": TITLES}),
        {"text_columns": ["body"], "class_column": "label"},
    ),
    "parquet, dictionaries": (
        "a.parquet",
        as_parquet({"x": pa.array(["sea", "air"] * 60).dictionary_encode(), "y": TITLES}),
        {"text_columns": ["y"], "class_column": "x"},
    ),
    "one column whose texts contain a comma": (
        "a.csv",
        "\n".join(f'"{title}, again"' for title in TITLES).encode(),
        {"text_columns": [1], "class_column": None},
    ),
    "txt, blank lines": ("a.txt", "\n\n".join(TITLES).encode(), {"article_end": "blank_line"}),
    "txt, lines": ("a.txt", "\n".join(TITLES).encode(), {"article_end": "line"}),
    "txt, one blank line": ("a.txt", ("\n".join(TITLES) + "\n\nThe end\n").encode(), {"article_end": "line"}),
}


@pytest.mark.parametrize("name", FILES)
def test_the_printed_lines_read_the_file(charloom: Charloom, name: str) -> None:
    path, content, expected = FILES[name]
    Path(path).write_bytes(content)
    ended = charloom("data", "--source", path, model=None)
    assert (ended.code, ended.err) == (0, "")
    lines = block(ended.out)
    assert expected.items() <= lines.items()
    assert articles_read(ended.out) == len(TITLES) + (name == "txt, one blank line")


def test_a_text_without_separators_is_cut(charloom: Charloom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charloom.corpus.lines.MAX_LINE_BYTES", 10_000)  # the book is one line, longer than this
    Path("book.txt").write_text(" ".join(TITLES * 30))
    ended = charloom("data", "--source", "book.txt", model=None)
    assert block(ended.out) == {"source": "book.txt", "article_end": 1000}
    assert articles_read(ended.out) > 100


def test_a_separator_is_named_with_the_command_that_makes_blank_lines_of_it(charloom: Charloom) -> None:
    Path("OLD").write_text("<|endoftext|>\r\n".join(f"{title}.\r\n\r\nNo wind.\r\n" for title in TITLES))
    Path("OLD.txt").write_bytes(Path("OLD").read_bytes())
    ended = charloom("data", "--source", "OLD.txt", model=None)
    assert f"The line '<|endoftext|>' occurs {len(TITLES) - 1} times." in ended.out
    command = ended.out.partition("into a blank line: `")[2].partition("`")[0]
    subprocess.run(command, shell=True, check=True)
    again = charloom("data", "--source", "NEW.txt", model=None)
    assert block(again.out) == {"source": "NEW.txt", "article_end": "blank_line"}
    assert articles_read(again.out) == len(TITLES)


def test_short_texts_in_many_files_are_not_cut(charloom: Charloom) -> None:
    Path("mine").mkdir()
    for number, title in zip(NUMBERS, TITLES, strict=True):
        Path(f"mine/{number}.txt").write_text(title)
    ended = charloom("data", "--source", "mine", model=None)
    assert block(ended.out) == {"source": "mine", "article_end": 1_000_000}
    assert articles_read(ended.out) == len(TITLES)


@pytest.mark.parametrize("source", ["mine", "mine/*.csv"])
@pytest.mark.parametrize("first_class", [0, 1])
def test_the_lines_for_a_folder_with_two_splits(
    charloom: Charloom, write_rows: WriteRows, source: str, first_class: int
) -> None:
    rows = [
        (number % 3 + first_class, f"Late ship {number}", title) for number, title in zip(NUMBERS, TITLES, strict=True)
    ]
    write_rows(Path("mine/train.csv"), rows[:100])
    write_rows(Path("mine/test.csv"), rows[100:])
    ended = charloom("data", "--source", source, model=None)
    columns = {"text_columns": [2, 3], "class_column": 1, "header": "auto"}
    assert block(ended.out) == {"source": source if first_class == 1 else "mine/*.csv", **columns}
    assert "class (3: " in ended.out
    assert articles_read(ended.out) == len(rows)


def test_the_table_says_how_each_column_is_used(charloom: Charloom) -> None:
    rows = [[number, f"The ship {number}", "" if number == 3 else number % 2] for number in range(9)]
    Path("a.csv").write_text("id,text,label\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    ended = charloom("data", "--source", "a.csv", model=None)
    assert "a.csv: .csv, UTF-8." in ended.out
    assert "3 columns, with a header line. These are the first 9 rows:" in ended.out
    table = [line.split() for line in ended.out.splitlines()]
    assert ["id", "0", "not", "used"] in table
    assert ["text", "The", "ship", "0", "text"] in table
    assert ["label", "0", "not", "used,", "no", "value", "in", "1", "row(s)"] in table


def test_a_password_is_not_printed(charloom: Charloom, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a.csv").respond_with_data(csv_lines("label,text"))
    url = httpserver.url_for("/a.csv")
    ended = charloom("data", "--source", url.replace("//", "//me:secret@"), model=None)
    assert (ended.code, block(ended.out)["source"]) == (0, url)
    assert "secret" not in ended.out


@pytest.mark.parametrize("source", ["sample", "ag_news", "torchtext:IMDB"])
def test_a_corpus_that_has_a_name_needs_no_other_line(charloom: Charloom, source: str) -> None:
    ended = charloom("data", "--source", source, model=None)
    assert (ended.code, block(ended.out)) == (0, {"source": source})


@pytest.mark.parametrize(
    ("path", "content", "says"),
    [
        ("a.json", b'[\n {"text": "a"}]', "a.json seems to be a JSON array, not JSON lines; convert it: `python -c"),
        ("a.jsonl", b'[{"text": "a"}]\n', "a.jsonl:1: this is a JSON array, not JSON lines; convert it"),
        (
            "a.log",
            b"The ship came late\nNo wind\n",
            "seems to be plain text; rename the file so that its name ends in .t",
        ),
        ("a.zip", b"PK\x03\x04" + bytes(40), "seems to be a ZIP archive; unpack it"),
        ("a.txt", gzip.compress(b"The ship", mtime=0), "a.txt: this is compressed (gzip); rename the file"),
        ("a.txt", "The ship".encode("utf-16"), "a.txt: this is text in UTF-16"),
        ("a.csv", csv_lines("label;text", comma=";"), "';' seems to be between the columns; convert it"),
        ("a.csv", b"", "a.csv: contains no row; name a file with rows"),
        ("a.csv", b"label,text\n", "a.csv: contains no row; name a file with rows"),
        ("a.txt", b" \n", "a.txt: contains no text; name a file with more text"),
        ("a.txt", b"The sea\n", "a.txt: contains 7 characters, too few to learn from; name a file with more text"),
        ("a.csv", b"Date,Open\n19-Sep-03,29.76\n18-Sep-03,28.49\n", "a.csv: only numbers and dates, no column of text"),
        (
            "a.log.gz",
            gzip.compress(b"The ship"),
            "seems to be plain text; rename the file so that its name ends in .txt.gz",
        ),
        ("a.log.gz", gzip.compress(b"The ship")[:-9], "a.log.gz: cannot be unpacked: Compressed file ended before"),
        (
            "a.svg",
            b"<svg>",
            "seems to be HTML or XML; save its text as plain text in UTF-8, or to learn the markup, rename",
        ),
        ("a.jsonl", b'{"a": 1}\n', "a.jsonl: no column contains text, the columns are a; write the texts"),
        ("a.jsonl", b"{}\n", "a.jsonl: contains no column that all rows have"),
        (
            "a.parquet",
            b"sea,The ship\nair,The wind\n",
            "a.parquet: this is a table with commas; rename the file",
        ),
        ("a.jsonl", b'{"a": [1]}\n', "a.jsonl: no column contains text, the columns are a; write the texts"),
        ("a.parquet", as_parquet({"a": [["x"]], "b": [1]}), "a.parquet: no column contains text, the columns are b"),
        ("a.csv", csv_lines("label,text").replace(b"late", b"late,"), "a.csv: 3 columns, but the first row has 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_as_what_it_is(
    charloom: Charloom, path: str, content: bytes, says: str
) -> None:
    Path(path).write_bytes(content)
    ended = charloom("data", "--source", path, model=None)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("names", "other"),
    [
        (("train.csv", "test.csv"), b"text\nThe ship\n"),  # as on Kaggle, where the test split has no classes
        (("train.csv", "test.csv"), csv_lines()),
        (("a.csv", "b.csv"), csv_lines()),
    ],
)
def test_files_that_are_not_alike_are_an_error(charloom: Charloom, names: tuple[str, str], other: bytes) -> None:
    Path("mine").mkdir()
    for name, content in zip(names, (csv_lines("label,text"), other), strict=True):
        (Path("mine") / name).write_bytes(content)
    ended = charloom("data", "--source", "mine", model=None)
    assert ended.code == 2
    assert f"mine/{names[1]}:1: no column 'label'" in ended.err or f"mine/{names[1]}:1: no column 'text'" in ended.err
    remedy = ended.err.rpartition("data.source: ")[2].strip()
    assert articles_read(charloom("data", "--source", remedy, model=None).out) == len(TITLES)


@pytest.mark.parametrize(
    ("source", "says"), [("", "the source is empty"), ("a.csv", "found nothing at"), (".", "b.txt: contains no text")]
)
def test_a_pipe_and_an_empty_name_are_errors(charloom: Charloom, source: str, says: str) -> None:
    """A shell makes an empty name of an unset variable. To open the pipe would wait for its writer."""
    os.mkfifo("a.csv")
    Path("b.txt").write_text(" ")
    ended = charloom("data", "--source", source, model=None)
    assert ended.code == 2
    assert says in ended.err


def test_the_beginning_of_a_large_file_is_enough(charloom: Charloom) -> None:
    Path("a.jsonl").write_bytes(json_lines(text=TITLES * 20, label=HALF * 20) + b"not JSON")
    ended = charloom("data", "--source", "a.jsonl", model=None)
    assert (ended.code, block(ended.out)["class_column"]) == (0, "label")
    assert "the first 1,000 rows" in ended.out


def test_the_stage_itself_reads_the_lines(charloom: Charloom) -> None:
    Path("a.csv").write_bytes(csv_lines("Class Index,Title"))
    with_lines(charloom("data", "--source", "a.csv", model=None).out)
    stage = [sys.executable, str(CHECKOUT / "stages" / "download.py")]
    ended = subprocess.run(stage, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(Path("data/raw/source.json").read_text())["classes"] == ["air", "sea"]
