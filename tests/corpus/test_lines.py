"""Bytes are read as UTF-8 text, in lines or in pieces, and a text is cut into articles."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charloom.corpus.lines import cut_text, read_lines, read_pieces
from charloom.errors import InputError


@given(st.text(st.characters(exclude_characters="\0")), st.integers(1, 9))  # a NUL can look like UTF-16
def test_pieces_join_to_the_text_with_unix_line_ends(text: str, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charloom.corpus.lines.PIECE_BYTES", size)
        pieces = list(read_pieces(io.BytesIO(text.encode("utf-8", "replace")), "file"))
    shown = text.encode("utf-8", "replace").decode().removeprefix("\ufeff")
    assert "".join(pieces) == shown.replace("\r\n", "\n").replace("\r", "\n")
    assert all(0 < len(piece) <= size + 4 for piece in pieces)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "place"),
    [(b"ab\xff", "byte 2 (0xff)"), ("aé日".encode() + b"\xe6\x97", "byte 6 (0xe6)"), (b"\r\xc3(", "byte 1 (0xc3)")],
)
def test_the_first_byte_that_is_not_utf_8_is_reported(
    monkeypatch: pytest.MonkeyPatch, data: bytes, place: str, size: int
) -> None:
    monkeypatch.setattr("charloom.corpus.lines.PIECE_BYTES", size)
    with pytest.raises(InputError, match="is not UTF-8") as raised:
        list(read_pieces(io.BytesIO(data), "file"))
    assert str(raised.value).startswith(f"file: {place}")


@given(st.text("ab\r\n\u2028\x85\x0c\ufeff\u00e9", max_size=20))
def test_lines_end_like_those_of_a_file_that_python_opens(text: str) -> None:
    lines = list(read_lines(io.BytesIO(text.encode()), "file"))
    expected = list(io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8-sig", newline=""))
    assert lines == [(number, line) for number, line in enumerate(expected, start=1) if line] or lines == [(1, "")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a\rb\r\xff", "file:3: byte 4 (0xff) is not UTF-8; convert the text to UTF-8, or set data.errors: replace"),
        (b"a\r\nb\r\n\xff", "file:3: byte 6 (0xff)"),
        (b"\xef\xbb\xbfa\xff", "file:1: byte 4 (0xff)"),
        (
            "\u00e9\n".encode() + b"a caf\xe9",
            "file:2: byte 8 (0xe9) is not UTF-8; the text around it is UTF-8; correct",
        ),
        (
            b"a\na caf\xe9",
            "file:2: byte 7 (0xe9) is not UTF-8; the text is probably in WINDOWS-1252; convert it: `iconv",
        ),
    ],
)
def test_a_line_with_a_wrong_byte_is_reported_with_the_remedy_that_helps(data: bytes, says: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_lines(io.BytesIO(data), "file"))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_pieces_of_a_file_that_is_no_utf_8_text_name_what_it_is(errors: str) -> None:
    with pytest.raises(
        InputError, match=r"^file: this is text in UTF-16 with a byte order mark, not in UTF-8; convert it"
    ):
        list(read_pieces(io.BytesIO("text".encode("utf-16")), "file", errors))


def test_pieces_replace_wrong_bytes_if_asked() -> None:
    assert "".join(read_pieces(io.BytesIO(b"a\xffb"), "file", "replace")) == "a\ufffdb"


@given(st.lists(st.text("ab \n\t\u3000", max_size=9)), st.integers(2, 7))
@example(["a" * 9], 2)
def test_a_cut_loses_white_space_only_and_depends_on_the_text_alone(pieces: list[str], longest: int) -> None:
    text = "".join(pieces)
    articles = list(cut_text(pieces, longest))
    assert articles == list(cut_text([text], longest)) == list(cut_text(text, longest))
    rest, line = text, 1
    for first, article in articles:
        assert 0 < len(article) <= longest
        before, _, rest = rest.partition(article)
        assert not before.strip()
        line += before.count("\n")
        assert first == line
        line += article.count("\n")
    assert not rest.strip()


@pytest.mark.parametrize(
    ("text", "articles"),
    [
        ("one two three four", ["one two", "three four"]),  # at white space
        ("one two\nthr fo five", ["one two", "thr fo", "five"]),  # rather at a line end
        ("one 2\n\nthr\nfour", ["one 2", "thr\nfour"]),  # rather at a blank line
        ("1\n\none two\n\nthree", ["1\n\none two", "three"]),  # in the second half only
        ("ACGTACGTACGTACG", ["ACGTACGTAC", "GTACG"]),  # no white space
        ("one  \n  two three", ["one", "two three"]),
        (" \n ", []),
        ("", []),
    ],
)
def test_a_text_is_cut_where_it_harms_least(text: str, articles: list[str]) -> None:
    assert [article for _, article in cut_text([text], 10)] == articles
