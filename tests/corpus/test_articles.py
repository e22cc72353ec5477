from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charloom.corpus.articles import Article, read_articles, read_source
from charloom.errors import InputError
from charloom.files import write_json
from tests.conftest import WriteRows

NO_NUL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def read(folder: Path, content: bytes) -> list[Article]:
    path = folder / "train.csv"
    path.write_bytes(content)
    return list(read_articles(path))


@pytest.mark.parametrize(
    ("content", "articles"),
    [
        (b"", []),
        (b'"3","Title","Description"\n', [Article(3, "Title Description")]),
        (b"3,Title,Description", [Article(3, "Title Description")]),
        (b'"3","Title","Description"\r\n"1","a","b"\r\n', [Article(3, "Title Description"), Article(1, "a b")]),
        (b'"1","He said ""no""","a, b"\n', [Article(1, 'He said "no" a, b')]),
        (b'"1","two\nlines","x\r\ny"\n"2","a","b"\n', [Article(1, "two\nlines x\r\ny"), Article(2, "a b")]),
        (rb'"1","AP\Reuters","a\team \""x\"' + b"\n", [Article(1, r"AP\Reuters a\team \"x" + "\\")]),
        (b'"1","",""\n', [Article(1, " ")]),
        (b'"1","a","b"\n\n\n"2","c","d"\n', [Article(1, "a b"), Article(2, "c d")]),
        ('"1","caf\u00e9","\U0001f600"\n'.encode(), [Article(1, "caf\u00e9 \U0001f600")]),
        (b'\xef\xbb\xbf"1","a","b"\n', [Article(1, "a b")]),
        (b'"2","a text"\n\n"1"," "\n', [Article(2, "a text"), Article(1, " ")]),
        (b'"65535","a","b"\n', [Article(65535, "a b")]),
    ],
)
def test_rows_become_articles(tmp_path: Path, content: bytes, articles: list[Article]) -> None:
    assert read(tmp_path, content) == articles


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'"1","a","b"\n"2","c"\n', ":2: 2 columns, expected 3: class, title, description"),
        (b'"1","a"\n"2","c","d"\n', ":2: 3 columns, expected 2: class, text"),
        (b'"1","a","b","c"\n', ":1: 4 columns, expected 3"),
        (b'"1","two\nlines","b"\n"2"\n', ":3: 1 columns"),
        (b'"1","a","b"\n"0","c","d"\n', ":2: class '0', expected a number from 1 to 65535"),
        (b'"1","a","b"\n"65536","c","d"\n', ":2: class '65536', expected"),
        (b'"1","a","b"\n"-1","c","d"\n', ":2: class '-1', expected"),
        (b'"1","a","b"\n"1.0","c","d"\n', ":2: class '1.0', expected"),
        ('"1","a","b"\n"\u0663","c","d"\n'.encode(), ":2: class '\u0663', expected"),
        (b'"1","a","b"\n"' + b"9" * 5000 + b'","c","d"\n', ":2: class '" + "9" * 40 + "', expected"),
        (
            b'class,title,description\n"1","a","b"\n',
            ":1: class 'class', expected a number from 1 to 65535",
        ),
        (b'"1","a","b"\n"2","c","d\n"3","e","f"\n', ":2: not a CSV row"),
        (b'"1","a","b"\n"2","c","d\n', ":2: not a CSV row: unexpected end of data"),
        (b'"1","a","b"\n"2","c"x,"d"\n', ":2: not a CSV row"),
        (b'"1","a","b"\n"2","c\0","d"\n', ":2: "),
        (
            b'"1","a\xc3\xa9","b"\n"2","c","\xff"\n',
            ":2: byte 23 (0xff) is not UTF-8; the text around it is UTF-8; correct this byte, or set data.errors",
        ),
        (b'"1","a","b"\n"2","c","d\xc3', ":2: byte 22 (0xc3) is not UTF-8"),
        (b'"1","a","\xed\xa0\x80"\n', ":1: byte 9 (0xed) is not UTF-8"),
        (b'\xef\xbb\xbf"1","a","\xff"\n', ":1: byte 12 (0xff) is not UTF-8"),
        (b'"1","a","b"\n' * 20_000 + b"\xe9\n", ":20001: byte 240000 (0xe9) is not UTF-8"),
        (
            '"1","a","b"\n'.encode("utf-16"),
            ": this is text in UTF-16 with a byte order mark, not in UTF-8; convert it: `iconv",
        ),
    ],
)
def test_a_wrong_row_is_reported_with_file_and_line(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'train.csv'}{says}")


def test_a_nul_byte_is_rejected_in_every_version_of_python(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NUL"):
        read(tmp_path, b'"1","a\0","b"\n')


def test_the_rows_before_a_wrong_row_are_read(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b'"1","a","b"\nwrong\n')
    articles = read_articles(tmp_path / "train.csv")
    assert next(articles) == Article(1, "a b")
    with pytest.raises(InputError, match=":2: 1 columns"):
        next(articles)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.csv: no such file"):
        list(read_articles(tmp_path / "train.csv"))


def test_an_article_may_be_longer_than_the_default_limit_of_csv(tmp_path: Path) -> None:
    assert read(tmp_path, b'"1","a","' + b"x" * 300_000 + b'"\n')[0].text == "a " + "x" * 300_000


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(1, 65535), NO_NUL, NO_NUL), max_size=5))
def test_any_text_is_read_as_it_was_written(
    tmp_path: Path, write_rows: WriteRows, rows: list[tuple[int, str, str]]
) -> None:
    path = write_rows(tmp_path / "train.csv", rows)
    assert list(read_articles(path)) == [Article(label, f"{title} {text}") for label, title, text in rows]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b'"1","a","b"\n', b'"', b",", b"\n", b"\r", b"2", b"\xff", b"\0", b"x"])).map(
        b"".join
    )
)
def test_any_bytes_are_read_or_rejected_with_file_and_line(tmp_path: Path, content: bytes) -> None:
    message = f"{tmp_path / 'train.csv'}:1: no error"
    try:
        read(tmp_path, content)
    except InputError as error:
        message = str(error)
    assert re.fullmatch(rf"{re.escape(str(tmp_path / 'train.csv'))}:(\d+: | this is ).+", message)


def test_ag_news_has_its_published_number_of_articles(ag_news_26k: Path) -> None:
    for split, count in (("train", 26_364), ("test", 7_600)):
        articles = list(read_articles(ag_news_26k / f"{split}.csv"))
        assert len(articles) == count
        assert {article.label for article in articles} == {1, 2, 3, 4}


def test_source_json_is_read_and_its_version_is_checked(tmp_path: Path) -> None:
    about = {"format": "charloom-source", "version": 1, "source": "sample"}
    write_json(tmp_path / "source.json", about)
    assert read_source(tmp_path) == about
    write_json(tmp_path / "source.json", about | {"version": 2})
    with pytest.raises(InputError, match="version 2"):
        read_source(tmp_path)
