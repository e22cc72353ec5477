"""Where the articles of a text file seem to end."""

from __future__ import annotations

import re

import pytest

from charloom.corpus.article_ends import (
    WHOLE_FILE,
    count_paragraphs,
    find_beginning,
    find_separator,
    guess_article_end,
)

LINES = [f"The ship number {number} came late." for number in range(100)]
PARAGRAPHS = [line for each in LINES for line in (each, "")]


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (PARAGRAPHS, "blank_line"),
        (LINES, "line"),
        ([*LINES, "", "The end"], "line"),  # too few paragraphs
        (PARAGRAPHS[:8] + LINES[50:], "line"),
    ],
)
def test_an_article_ends_at_a_blank_line_or_a_line_end(lines: list[str], end: str) -> None:
    assert guess_article_end(lines) == end


@pytest.mark.parametrize(
    "lines",
    [
        [each for line in LINES for each in (line, "  and left", "")],  # indented, such as code
        [f"\t{line}" for line in LINES],
        [each for line in LINES for each in (line, "</p>")],  # a line that is repeated
        [" ".join(LINES)],
        [" ".join(LINES * 4)] * 40,
    ],
)
def test_other_texts_are_cut_into_a_hundred_articles_or_more(lines: list[str]) -> None:
    assert guess_article_end(lines) == min(1000, sum(map(len, lines)) // 1000 * 10)


def test_the_beginning_of_a_long_text_is_cut_into_long_articles() -> None:
    assert guess_article_end([f"\t{line}" for line in LINES], more=True) == 1000


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (PARAGRAPHS[:8], WHOLE_FILE),
        (LINES[:1], WHOLE_FILE),
        (LINES, "line"),  # such as names, with a file for each language
        (PARAGRAPHS * 10, "blank_line"),  # such as books
    ],
)
def test_each_of_many_short_files_is_an_article(lines: list[str], end: str | int) -> None:
    assert guess_article_end(lines, files=10) == end


def test_paragraphs_have_blank_lines_between_them() -> None:
    assert count_paragraphs(["", "a", "b", " ", "", "c"]) == 2


@pytest.mark.parametrize("line", ['[Event "Blitz"]', ">seq1", "From a@b.org Thu"])
def test_articles_that_begin_with_a_line_of_their_own_are_found(line: str) -> None:
    pattern = find_beginning([line, "a", "", "b", "", line, "c"])
    assert pattern is not None
    assert re.match(pattern, line)
    assert find_beginning([line, "a", "b", "", line, "c"]) is None
    assert find_beginning([line, "a", "", "b"]) is None
    assert find_beginning(["a", line, "b", line]) is None


@pytest.mark.parametrize("line", ["%", "-----", "* * *", "<|endoftext|>", "~~~"])
def test_a_line_of_marks_that_is_repeated_is_a_separator(line: str) -> None:
    lines = [each for number in range(20) for each in (LINES[number], f"{line} ")]
    assert find_separator(lines) == (line, 20)
    assert find_separator([*LINES * 20, line, line, line]) is None


@pytest.mark.parametrize("line", ["[Chorus]", "All:", '"""', "The sea"])
def test_other_repeated_lines_are_no_separators(line: str) -> None:
    assert find_separator([line] * 20) is None
