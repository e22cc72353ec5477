"""A CSV file is divided into ranges of whole rows, wherever the borders of the blocks are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import Article, read_articles, read_range
from charloom.errors import InputError
from charloom.text.ranges import find_ranges

# Parts of rows. Their order is random, so most files have a wrong row.
PIECES = [
    b'"1","a","b"\n',
    b'"2","a ""q"" b","x\ny"\r\n',
    b"3,e,f\r",
    *(b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"1", b"\xff"),
]
WHOLE_ROWS = [
    b'"1","a","b"\n',
    b'"2","two\nlines","and ""quotes"""\n',
    b'"3","""","\n\n"""\r\n',
    b"4,not quoted,c\r",
    b'5,5" pipe,"6"\n',  # not regular
    b'"6","",""\n',
    b"\n",
    b"\r\n",
    '"7","\u00e9\U0001f600","\r"\n'.encode(),
]


def read_sequentially(path: Path) -> list[Article] | str:
    """The articles of a file, or the message of its error."""
    try:
        return list(read_articles(path))
    except InputError as error:
        return str(error)


def read_by_ranges(path: Path, block_bytes: int) -> list[Article] | str:
    """The same as `read_sequentially`, but range by range. Checks that the ranges fit together."""
    articles: list[Article] = []
    try:
        end = None
        for rows in find_ranges(path, 1, block_bytes):
            assert rows.begin == (rows.begin if end is None else end)
            articles += read_range(rows)
            end = rows.end
    except InputError as error:
        return str(error)
    return articles


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.sampled_from(WHOLE_ROWS), max_size=8).map(b"".join),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    end=st.sampled_from([b"", b'"1","a","no line end"', b"1,a,b"]),
    block_bytes=st.integers(1, 40),
)
def test_the_articles_of_the_ranges_are_those_of_the_file(
    tmp_path: Path, rows: bytes, mark: bytes, end: bytes, block_bytes: int
) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(mark + rows + end)
    expected = read_sequentially(path)
    assert isinstance(expected, list)
    assert read_by_ranges(path, block_bytes) == expected


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join), block_bytes=st.integers(1, 40))
@example(content=b'"1","a","b"\n' * 5 + b'"1","a"b,"c"\n' + b'"1","a","b"\n' * 5, block_bytes=10)
@example(content=b'"1","a","b"\n' * 5 + b'"1","a\n' + b'"1","a","b"\n' * 5, block_bytes=10)
@example(content=b'"1","a","b"\n' * 5 + b'"1","not closed', block_bytes=10)
def test_a_wrong_row_gives_the_same_error_in_every_range(tmp_path: Path, content: bytes, block_bytes: int) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    assert read_by_ranges(path, block_bytes) == read_sequentially(path)


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 1 << 20])
def test_a_row_longer_than_a_block_is_in_one_range(tmp_path: Path, block_bytes: int) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b'"1","a","b"\n"2","' + b'long\n""x"" ' * 100 + b'","c"\n"3","d","e"\n')
    ranges = find_ranges(path, 1, block_bytes)
    assert [article for rows in ranges for article in read_range(rows)] == list(read_articles(path))
    assert len(ranges) == (1 if block_bytes == 1 << 20 else 3 if block_bytes < 100 else 2)


def test_ranges_are_about_as_long_as_a_block(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    for row in (b'"1","a","b"\n', b'1,5" pipe,b\n'):
        path.write_bytes(row * 1000)
        sizes = [rows.end - rows.begin for rows in find_ranges(path, 1, 500)]
        assert sum(sizes) == path.stat().st_size
        assert max(sizes) < 520
        assert min(sizes[:-1]) > 480


def test_a_row_that_cannot_be_read_into_memory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b'"1","a","b"\n"2","not closed' + b"\nx,y" * 5000)
    monkeypatch.setattr("charloom.text.ranges.LONGEST_ROW", 1000)
    with pytest.raises(InputError, match=r"train\.csv:2: not a CSV row: unexpected end of data"):
        find_ranges(path, 1, 100)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.csv: no such file"):
        find_ranges(tmp_path / "train.csv", 1)
