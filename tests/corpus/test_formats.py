"""Files of every format are read as articles, and the errors for files that cannot be read."""

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
from charloom.corpus.formats import READERS
from charloom.corpus.intake import ClassedText
from charloom.corpus.labels import class_name
from charloom.corpus.settings import Column, TableColumns
from charloom.errors import InputError, say

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
# A family of four as one emoji, e with a combining accent, Hebrew and Arabic with marks, an ideograph above U+FFFF,
# and a musical symbol.
UNICODE = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 e\u0301 \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd"
    " \u0645\u0631\u062d\u0628\u064b\u0627 \U00020000 \U0001d11e"
)


def table_columns(
    text: Sequence[Column] = ("text",),
    class_column: Column | None = None,
    end: str | int = "blank_line",
    errors: str = "strict",
) -> TableColumns:
    return TableColumns(text, class_column, end, errors)


def read(content: bytes, kind: str, columns: TableColumns) -> list[ClassedText]:
    return list(READERS[kind](io.BytesIO(content), f"mine{kind}", columns))


def texts(content: bytes, kind: str, columns: TableColumns) -> list[str]:
    return [text for _, text in read(content, kind, columns)]


def error_message(content: bytes, kind: str, columns: TableColumns) -> str:
    with pytest.raises(InputError) as caught:
        read(content, kind, columns)
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
        (b"a\rb\r\rc\r", ["a\nb", "c"], ["a", "b", "c"]),
        (b"a\r\nb\r\r\nc\n\nd", ["a\nb\nc", "d"], ["a", "b", "c", "d"]),
        (b"a\r\r\nb\r\r\n\r\r\nc\r\r\n", ["a\nb", "c"], ["a", "b", "c"]),
        (b"a\r\r\n\r\nb", ["a", "b"], ["a", "b"]),
    ],
)
def test_a_txt_file_is_cut_at_blank_lines_or_at_each_line(
    content: bytes, by_blank_line: list[str], by_line: list[str]
) -> None:
    assert texts(content, ".txt", table_columns()) == by_blank_line
    assert texts(content, ".txt", table_columns(end="line")) == by_line


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        (".csv", ["text,class", '"a\u2028b",1', 'c\x85d,"2"', "", "e\x0cf,3"]),
        (".tsv", ["text\tclass", "a\u2028b\t1", "c\x85d\t2", "e\x0cf\t3"]),
        (
            ".jsonl",
            ['{"text": "a\u2028b", "class": 1}', '{"text": "c\x85d", "class": 2}', '{"text": "e\\ff", "class": 3}'],
        ),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_lines_of_a_table_end_with_any_line_end_and_nothing_else(
    kind: str, lines: list[str], line_end: str
) -> None:
    expected = [("1", "a\u2028b"), ("2", "c\x85d"), ("3", "e\x0cf")]
    for end in ("", line_end):
        content = (line_end.join(lines) + end).encode()
        assert read(content, kind, table_columns(class_column="class")) == expected


def test_a_quoted_cell_keeps_its_line_ends() -> None:
    content = b'text\r"a\rb"\r"c\r\nd"\r'
    assert texts(content, ".csv", table_columns()) == ["a\rb", "c\r\nd"]


def test_a_text_file_is_cut_into_articles_of_at_most_so_many_characters() -> None:
    content = "\ufeffOne two.\r\rThree four.\rCaf\u00e9 six.".encode()
    assert texts(content, ".txt", table_columns(end=12)) == ["One two.", "Three four.", "Caf\u00e9 six."]
    assert texts(content, ".txt", table_columns(end=100)) == ["One two.\n\nThree four.\nCaf\u00e9 six."]
    assert (
        error_message(content + b"\0", ".txt", table_columns(end=12))
        == "mine.txt:4: contains a NUL character; remove it"
    )
    assert error_message(b"a\xff", ".txt", table_columns(end=12)).endswith("or set data.errors: replace")
    assert texts(b"a\xff", ".txt", table_columns(end=12, errors="replace")) == ["a\ufffd"]


@pytest.mark.parametrize(("kind", "comma"), [(".csv", ","), (".tsv", "\t")])
def test_table_columns_are_given_by_name_or_by_number(kind: str, comma: str) -> None:
    rows = [["id", "body", "topic", "title"], ["1", 'He said ""no""', "sea", "T"], ["2", '"two\n\nlines"', "air", ""]]
    content = "\n".join(comma.join(row) for row in rows).replace('""', "'").encode()
    expected = [("sea", "T He said 'no'"), ("air", " two\n\nlines")]
    assert read(content, kind, table_columns(["title", "body"], "topic")) == expected
    data = content.partition(b"\n")[2]
    assert read(data, kind, table_columns([4, 2], 3)) == expected
    assert read(data, kind, table_columns([2])) == [(None, text.partition(" ")[2]) for _, text in expected]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT.filter(lambda name: name != "" and class_name(name) == name)), max_size=5))
def test_any_text_can_be_read_from_every_format(rows: list[tuple[str, str]]) -> None:
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_ALL).writerows([("text", "class"), *rows])
    lines = "".join(json.dumps({"text": text, "class": name}) + "\n" for text, name in rows)
    columns = {"text": [text for text, _ in rows], "class": [name for _, name in rows]}
    schema = {column: pa.array(values, pa.string()) for column, values in columns.items()}
    expected = [(name, text) for text, name in rows]
    for kind, content in (
        (".csv", table.getvalue().encode()),
        (".jsonl", lines.encode()),
        (".parquet", as_parquet(schema)),
    ):
        assert read(content, kind, table_columns(class_column="class")) == expected


@pytest.mark.parametrize("kind", [".txt", ".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_script_can_be_read_from_every_format(kind: str) -> None:
    content = {
        ".jsonl": json.dumps({"text": UNICODE}).encode(),
        ".parquet": as_parquet({"text": [UNICODE]}),
        ".txt": UNICODE.encode(),
    }.get(kind, f"text\n{UNICODE}\n".encode())
    assert texts(content, kind, table_columns()) == [UNICODE]


def test_parquet_with_dictionaries_and_many_row_groups_is_read() -> None:
    column = pa.array([f"text {number % 7}" for number in range(5000)]).dictionary_encode()
    sink = io.BytesIO()
    parquet.write_table(pa.table({"text": column, "other": range(5000)}), sink, row_group_size=900, compression="zstd")
    assert texts(sink.getvalue(), ".parquet", table_columns()) == [f"text {number % 7}" for number in range(5000)]


NAMED, NUMBERED = table_columns(class_column="class"), table_columns([2, 3], 1)


@pytest.mark.parametrize(
    ("kind", "content", "columns", "says"),
    [
        (
            ".txt",
            b"good\n\nb\xffad",
            NAMED,
            "mine.txt:3: byte 7 (0xff) is not UTF-8; convert the text to UTF-8, or set",
        ),
        (".txt", b"\xef\xbb\xbfa\xff", NAMED, "mine.txt:1: byte 4 (0xff)"),
        (".txt", b"a\n\nb\0", NAMED, "mine.txt:3: contains a NUL character"),
        (".csv", b"text,class\na,b\nc\xe9,d\n", NAMED, "mine.csv:3: byte 16 (0xe9) is not UTF-8"),
        (".csv", b"body,topic\n", NAMED, "mine.csv:1: no column 'text', the columns are body, topic; correct"),
        (
            ".csv",
            b"text,class\na\n",
            NAMED,
            "mine.csv:2: 1 columns, but the first row has 2; remove lines that are no rows",
        ),
        (".csv", b'text,class\n"a\n\nb,c\n', NAMED, "mine.csv:2: not a CSV row: unexpected end of data"),
        (".csv", b"text,class\na\0,b\n", NAMED, "mine.csv:2: "),
        (".jsonl", b'{"text": "a", "class": 1}\nno\n', NAMED, "mine.jsonl:2: not JSON: Expecting value"),
        (".jsonl", b"\n" + b"[" * 100_000, NAMED, "mine.jsonl:2: not JSON: "),
        (".jsonl", b"9" * 5000, NAMED, "mine.jsonl:1: not JSON: Exceeds the limit"),
        (".jsonl", b"5\n", NAMED, 'mine.jsonl:1: not an object such as {"text": "…"}'),
        (".jsonl", b"[\n  1", NAMED, "mine.jsonl:1: this is a JSON array, not JSON lines; convert it: `python -c "),
        (".jsonl", b'{"body": "a"}\n', NAMED, "mine.jsonl:1: no column 'text', the columns are body; correct"),
        (".jsonl", b'{"\\u0000": "a"}\n', NAMED, "mine.jsonl:1: no column 'text', the columns are \0; correct"),
        (".jsonl", b'{"text": "a"}\n', NUMBERED, "mine.jsonl:1: no column 2, the columns are text; correct"),
        (".jsonl", b"{}\n", NAMED, "mine.jsonl:1: no column 'text', and no other column; add the columns"),
        (".jsonl", b'{"text": ["a"], "class": 1}\n', NAMED, "mine.jsonl:1: column 'text' contains list, not text"),
        (".jsonl", b'{"text": "a\\ud800", "class": 1}\n', NAMED, "mine.jsonl:1: contains a lone surrogate"),
        (".jsonl", b'{"text": "a\\u0000", "class": 1}\n', NAMED, "mine.jsonl:1: contains a NUL character"),
        (".parquet", b"", NAMED, "mine.parquet: not readable as Parquet: "),
        (".parquet", b"PAR1" * 9, NAMED, "mine.parquet: not readable as Parquet: "),
        (
            ".parquet",
            as_parquet({"body": ["a"]}),
            NAMED,
            "mine.parquet: no column 'text', the columns are body; correct",
        ),
        (".parquet", as_parquet({"text": [1], "class": [1]}), NAMED, "mine.parquet: row 1: column 'text' contains int"),
        (
            ".parquet",
            as_parquet({"text": [["a"]], "class": [1]}),
            NAMED,
            "mine.parquet: row 1: column 'text' contains l",
        ),
        (".parquet", as_parquet({"text": ["a", "b\0"], "class": [1, 1]}), NAMED, "mine.parquet: row 2: contains a NUL"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_in_one_line(
    kind: str, content: bytes, columns: TableColumns, says: str
) -> None:
    message = error_message(content, kind, columns)
    assert message.startswith(says)
    assert len(message.splitlines()) == 1


def test_a_parquet_row_that_is_not_utf_8_is_reported_or_replaced() -> None:
    bad = pa.array([b"a", b"b\xff"]).view(pa.string())
    content = as_parquet({"text": bad})
    assert error_message(content, ".parquet", table_columns()).startswith(
        "mine.parquet: row 2: byte 1 (0xff) is not UTF-8"
    )
    assert texts(content, ".parquet", table_columns(errors="replace")) == ["a", "b\ufffd"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (".txt", b"a\xff\xc3b"),
        (".csv", b"text\na\xff\xc3b\n"),
        (".jsonl", b'{"text": "a\xff\xc3b"}'),
        (".jsonl", b'{"text": "a\\udfff\\ud800b"}'),
    ],
)
def test_bytes_that_are_not_utf_8_are_replaced_if_asked(kind: str, content: bytes) -> None:
    (text,) = texts(content, kind, table_columns(errors="replace"))
    assert (text[0], text[-1], set(text[1:-1])) == ("a", "b", {"\ufffd"})


@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        (".txt", b"a" * 1001, ":1: the line has more than 1000 bytes, too many for an article"),
        (".txt", b"\n" + b"a\n" * 1001, ":2: no blank line in 1001 characters; set data.article_end: line"),
        (".csv", b'text\n"' + b"a\n" * 1001, ":2: not a CSV row: field larger than field limit"),
        (".jsonl", b'{"text": "' + b"a" * 1001, ":1: the line has more than 1000 bytes, too many for an article"),
        (
            ".parquet",
            as_parquet({"text": ["a" * 1001]}),
            ": row 1: 1001 characters, but an article may have at most 1000",
        ),
    ],
)
def test_an_endless_article_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, kind: str, content: bytes, says: str
) -> None:
    monkeypatch.setattr(formats, "MAX_CHARACTERS", 1000)
    monkeypatch.setattr("charloom.corpus.lines.MAX_LINE_BYTES", 1000)
    monkeypatch.setattr("charloom.corpus.articles.MAX_CHARACTERS", 1000)
    limit = csv.field_size_limit(1000)
    try:
        assert error_message(content, kind, table_columns()).startswith(f"mine{kind}{says}")
    finally:
        csv.field_size_limit(limit)


def test_the_limit_of_an_article_does_not_count_blank_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_CHARACTERS", 10)
    assert texts(b"a\n" + b"\n" * 100 + b"12345\n\n67890\n", ".txt", table_columns()) == ["a", "12345", "67890"]


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(sorted(READERS)), content=st.binary(max_size=60), columns=st.sampled_from([NAMED, NUMBERED])
)
@example(kind=".csv", content=b"\0", columns=NAMED)
def test_any_bytes_are_read_or_rejected_in_one_line(kind: str, content: bytes, columns: TableColumns) -> None:
    try:
        shown = "".join(text for _, text in read(content, kind, columns))
    except InputError as error:
        say(str(error), printed := io.StringIO())
        shown = printed.getvalue().removesuffix("\n").removeprefix(f"mine{kind}:")
        assert shown.isprintable()
    assert "\0" not in shown
    assert f"mine{kind}" not in shown
