"""Files of every format as articles, and what is said of those that are none."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from charloom.corpus import formats
from charloom.corpus.formats import READERS, Column, TableColumns
from charloom.corpus.intake import Labelled
from charloom.errors import InputError, say

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
# a family of four, e and a combining accent, Hebrew and Arabic with marks, an ideograph beyond 65,535, a musical symbol
UNICODE = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 e\u0301 \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd"
    " \u0645\u0631\u062d\u0628\u064b\u0627 \U00020000 \U0001d11e"
)


def layout(
    text: Sequence[Column] = ("text",), label: Column | None = None, end: str = "blank_line", errors: str = "strict"
) -> TableColumns:
    return TableColumns(text, label, end, errors)


def read(content: bytes, kind: str, how: TableColumns) -> list[Labelled]:
    return list(READERS[kind](io.BytesIO(content), f"mine{kind}", how))


def texts(content: bytes, kind: str, how: TableColumns) -> list[str]:
    return [text for _, text in read(content, kind, how)]


def refusal(content: bytes, kind: str, how: TableColumns) -> str:
    with pytest.raises(InputError) as caught:
        read(content, kind, how)
    return str(caught.value)


def as_parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "by_blank_line", "by_line"),
    [
        (b"", [], []),
        (b"\n\n \n", [], []),
        (b"a", ["a"], ["a"]),
        (b"a\nb\n\nc\n", ["a\nb", "c"], ["a", "b", "c"]),
        (b"\n\na\r\nb\r\n \t\r\n\r\nc", ["a\nb", "c"], ["a", "b", "c"]),
        (b"\xef\xbb\xbfa\n\n\xef\xbb\xbfb", ["a", "\ufeffb"], ["a", "\ufeffb"]),
        ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"], ["a\u2028b\x0bc\x85d"]),
        (b"  a \n\n", ["  a "], ["  a "]),
    ],
)
def test_a_txt_is_cut_at_blank_lines_or_at_each(content: bytes, by_blank_line: list[str], by_line: list[str]) -> None:
    assert texts(content, ".txt", layout()) == by_blank_line
    assert texts(content, ".txt", layout(end="line")) == by_line


@pytest.mark.parametrize(("kind", "comma"), [(".csv", ","), (".tsv", "\t")])
def test_columns_of_a_table_are_named_by_its_first_line_or_numbered(kind: str, comma: str) -> None:
    rows = [["id", "body", "topic", "title"], ["1", 'He said ""no""', "sea", "T"], ["2", '"two\n\nlines"', "air", ""]]
    content = "\n".join(comma.join(row) for row in rows).replace('""', "'").encode()
    expected = [("sea", "T He said 'no'"), ("air", " two\n\nlines")]
    assert read(content, kind, layout(["title", "body"], "topic")) == expected
    data = content.partition(b"\n")[2]
    assert read(data, kind, layout([4, 2], 3)) == expected
    assert read(data, kind, layout([2])) == [(None, text.partition(" ")[2]) for _, text in expected]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT.map(str.strip).filter(bool)), max_size=5))
def test_any_text_comes_back_from_every_format(rows: list[tuple[str, str]]) -> None:
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_ALL).writerows([("text", "class"), *rows])
    lines = "".join(json.dumps({"text": text, "class": label}) + "\n" for text, label in rows)
    columns = {"text": [text for text, _ in rows], "class": [label for _, label in rows]}
    schema = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    expected = [(label, text) for text, label in rows]
    for kind, content in (
        (".csv", table.getvalue().encode()),
        (".jsonl", lines.encode()),
        (".parquet", as_parquet(schema)),
    ):
        assert read(content, kind, layout(label="class")) == expected


@pytest.mark.parametrize("kind", [".txt", ".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_script_is_read_by_code_points(kind: str) -> None:
    content = {
        ".jsonl": json.dumps({"text": UNICODE}).encode(),
        ".parquet": as_parquet({"text": [UNICODE]}),
        ".txt": UNICODE.encode(),
    }.get(kind, f"text\n{UNICODE}\n".encode())
    assert texts(content, kind, layout()) == [UNICODE]


def test_classes_are_words_or_numbers() -> None:
    lines = b'{"text": "a", "class": 3}\n\n{"class": " sea ", "text": null, "more": [1]}\n{"class": true, "text": "b"}'
    assert read(lines, ".jsonl", layout(label="class")) == [("3", "a"), ("sea", ""), ("True", "b")]
    columns = {"text": ["a", None], "class": [0, 1]}
    assert read(as_parquet(columns), ".parquet", layout(label="class")) == [("0", "a"), ("1", "")]


def test_columns_of_parquet_may_be_dictionaries_and_come_in_many_row_groups() -> None:
    column = pa.array([f"text {number % 7}" for number in range(5000)]).dictionary_encode()
    sink = io.BytesIO()
    parquet.write_table(pa.table({"text": column, "other": range(5000)}), sink, row_group_size=900, compression="zstd")
    assert texts(sink.getvalue(), ".parquet", layout()) == [f"text {number % 7}" for number in range(5000)]


NAMED, NUMBERED = layout(label="class"), layout([2, 3], 1)


@pytest.mark.parametrize(
    ("kind", "content", "how", "says"),
    [
        (
            ".txt",
            b"good\n\nb\xffad",
            NAMED,
            "mine.txt:3: byte 7 (0xff) is not UTF-8; convert the file to UTF-8, or set",
        ),
        (".txt", b"\xef\xbb\xbfa\xff", NAMED, "mine.txt:1: byte 4 (0xff)"),
        (".txt", "a\n".encode("utf-16"), NAMED, "mine.txt:1: byte 0 (0xff) is not UTF-8"),
        (".txt", b"a\n\nb\0", NAMED, "mine.txt:3: holds a NUL character"),
        (".csv", b"text,class\na,b\nc\xe9,d\n", NAMED, "mine.csv:3: byte 16 (0xe9) is not UTF-8"),
        (".csv", b"body,topic\n", NAMED, "mine.csv:1: no column 'text', there are body, topic; name it in"),
        (".csv", b"text,class\na\n", NAMED, "mine.csv:2: 1 columns, the first row has 2"),
        (".csv", b'text,class\n"a\n\nb,c\n', NAMED, "mine.csv:2: not a CSV row: unexpected end of data"),
        (".csv", b"text,class\na,\n", NAMED, "mine.csv:2: column 'class' holds '', which names no class"),
        (".csv", b"text,class\na\0,b\n", NAMED, "mine.csv:2: "),
        (".csv", b"text,class\na,b\n", NUMBERED, "mine.csv:1: 2 columns, but params.yaml asks for column 3; where the"),
        (".jsonl", b'{"text": "a", "class": 1}\nno\n', NAMED, "mine.jsonl:2: not JSON: Expecting value"),
        (".jsonl", b"[" * 100_000, NAMED, "mine.jsonl:1: not JSON: "),
        (".jsonl", b"9" * 5000, NAMED, "mine.jsonl:1: not JSON: Exceeds the limit"),
        (".jsonl", b'["a"]\n', NAMED, 'mine.jsonl:1: not an object, as in {"text": "…"}'),
        (".jsonl", b'{"body": "a"}\n', NAMED, "mine.jsonl:1: no column 'text', there are body; name it in"),
        (".jsonl", b'{"\\u0000": "a"}\n', NAMED, "mine.jsonl:1: no column 'text', there are \0; name it in"),
        (".jsonl", b'{"text": "a"}\n', NUMBERED, "mine.jsonl:1: no column 2, there are text; name it in"),
        (".jsonl", b'{"text": ["a"], "class": 1}\n', NAMED, "mine.jsonl:1: column 'text' holds list, not text"),
        (".jsonl", b'{"text": "a", "class": null}\n', NAMED, "mine.jsonl:1: column 'class' holds None, which names no"),
        (".jsonl", b'{"text": "a", "class": 1.5}\n', NAMED, "mine.jsonl:1: column 'class' holds 1.5, which names no"),
        (".jsonl", b'{"text": "a\\ud800", "class": 1}\n', NAMED, "mine.jsonl:1: holds a lone surrogate"),
        (".jsonl", b'{"text": "a\\u0000", "class": 1}\n', NAMED, "mine.jsonl:1: holds a NUL character"),
        (".parquet", b"", NAMED, "mine.parquet: not readable as Parquet: "),
        (".parquet", b"PAR1" * 9, NAMED, "mine.parquet: not readable as Parquet: "),
        (".parquet", as_parquet({"body": ["a"]}), NAMED, "mine.parquet: no column 'text', there are body; name it"),
        (".parquet", as_parquet({"text": [1], "class": [1]}), NAMED, "mine.parquet: row 1: column 'text' holds int"),
        (".parquet", as_parquet({"text": ["a", "b\0"], "class": [1, 1]}), NAMED, "mine.parquet: row 2: holds a NUL"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(kind: str, content: bytes, how: TableColumns, says: str) -> None:
    said = refusal(content, kind, how)
    assert said.startswith(says)
    assert len(said.splitlines()) == 1


def test_text_that_is_not_utf8_in_parquet_is_named_by_its_row() -> None:
    bad = pa.array([b"a", b"b\xff"]).view(pa.string())
    content = as_parquet({"text": bad})
    assert refusal(content, ".parquet", layout()).startswith("mine.parquet: row 2: byte 1 (0xff) is not UTF-8")
    assert texts(content, ".parquet", layout(errors="replace")) == ["a", "b\ufffd"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (".txt", b"a\xff\xc3b"),
        (".csv", b"text\na\xff\xc3b\n"),
        (".jsonl", b'{"text": "a\xff\xc3b"}'),
        (".jsonl", b'{"text": "a\\udfff\\ud800b"}'),
    ],
)
def test_bytes_that_are_no_text_are_replaced_where_asked(kind: str, content: bytes) -> None:
    (text,) = texts(content, kind, layout(errors="replace"))
    assert (text[0], text[-1], set(text[1:-1])) == ("a", "b", {"\ufffd"})


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        (".txt", b"a" * 1001, ":1: a line of more than 1000 bytes"),
        (".txt", b"\n" + b"a\n" * 1001, ":2: no blank line for 1001 characters; set data.article_end: line"),
        (".csv", b'text\n"' + b"a\n" * 1001, ":2: not a CSV row: field larger than field limit"),
        (".jsonl", b'{"text": "' + b"a" * 1001, ":1: a line of more than 1000 bytes"),
        (
            ".parquet",
            as_parquet({"text": ["a" * 1001]}),
            ": row 1: 1001 characters, more than 1000, which is no article",
        ),
    ],
)
def test_an_article_without_end_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, kind: str, content: bytes, says: str
) -> None:
    monkeypatch.setattr(formats, "MAX_CHARACTERS", 1000)
    monkeypatch.setattr("charloom.corpus.articles.MAX_CHARACTERS", 1000)
    limit = csv.field_size_limit(1000)
    try:
        assert refusal(content, kind, layout()).startswith(f"mine{kind}{says}")
    finally:
        csv.field_size_limit(limit)


def test_blank_lines_do_not_add_up_to_an_article(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_CHARACTERS", 10)
    assert texts(b"a\n" + b"\n" * 100 + b"12345\n\n67890\n", ".txt", layout()) == ["a", "12345", "67890"]


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(sorted(READERS)), content=st.binary(max_size=60), how=st.sampled_from([NAMED, NUMBERED]))
@example(kind=".csv", content=b"\0", how=NAMED)
def test_any_bytes_are_articles_or_refused_in_one_line(kind: str, content: bytes, how: TableColumns) -> None:
    try:
        said = "".join(text for _, text in read(content, kind, how))
    except InputError as error:
        say(str(error), shown := io.StringIO())
        said = shown.getvalue().removesuffix("\n").removeprefix(f"mine{kind}:")
        assert said.isprintable()
    assert "\0" not in said
    assert f"mine{kind}" not in said
