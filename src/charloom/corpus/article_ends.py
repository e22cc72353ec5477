"""Guesses where the articles of a text file end, by its first lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from charloom.corpus.shortage import CUT, cut_length

ENOUGH = 10  # articles: fewer cannot be split into train, validation and test
LONGEST_MEAN = 10_000  # characters: longer pieces of a text are chapters, not articles
WHOLE_FILE = 1_000_000  # the largest number for data.article_end: each shorter file is one article

# Kinds of text in which an article begins with a special line. The keys are patterns of this line for awk and Python.
BEGINNINGS = {r"\[Event ": "chess games (PGN)", ">": "sequences (FASTA)", "From ": "e-mails (mbox)"}

_SEPARATOR = re.compile(r"[^\w'\"\\]+|<\|\w+\|>")  # such as %, ---- and <|endoftext|>


def guess_article_end(lines: Sequence[str], more: bool = False, files: int = 1) -> str | int:
    """The value of data.article_end that seems to fit.

    `lines` are the first lines of a file, `more` says whether other lines follow, and `files` is the number of files.

    - A text with many indented lines, such as code or XML, is cut, because blank lines do not separate its parts.
    - Each of many files is an article, if the first file is short and has several paragraphs or few lines.
    - Otherwise an article ends at a blank line, or else at a line end, if this gives enough articles that are not too
      long. If the same line occurs again and again, it is markup, so lines are not articles.
    - Otherwise the text is cut.
    """
    full = [line for line in lines if line.strip()]
    characters, paragraphs = sum(map(len, full)), count_paragraphs(lines)
    cut = CUT if more else cut_length(characters)
    if 4 * sum(line.startswith(("  ", "\t")) for line in full) > len(full):
        return cut
    if files >= ENOUGH and not more and characters < LONGEST_MEAN and (paragraphs > 1 or len(full) < ENOUGH):
        return WHOLE_FILE
    counts = {"blank_line": paragraphs, "line": 0 if _repeats(full) else len(full)}
    fitting = (end for end, count in counts.items() if count >= max(2, len(full) / 50) and count * files >= ENOUGH)
    return next((end for end in fitting if characters / counts[end] < LONGEST_MEAN), cut)


def count_paragraphs(lines: Sequence[str]) -> int:
    """The number of groups of lines with blank lines between them."""
    return sum(bool(line.strip()) and not before.strip() for before, line in zip(["", *lines], lines, strict=False))


def find_beginning(lines: Sequence[str]) -> str | None:
    """The key of BEGINNINGS that matches the first line. None if there is no such key, or blank lines are enough."""
    first = next(filter(None, lines), "")
    for pattern in BEGINNINGS:
        if re.match(pattern, first):
            articles = sum(re.match(pattern, line) is not None for line in lines)
            return pattern if articles > 1 and articles != count_paragraphs(lines) else None
    return None


def find_separator(lines: Sequence[str]) -> tuple[str, int] | None:
    """The most frequent line of marks, and how often it occurs. None if no line of marks occurs again and again."""
    marks = Counter(line.strip() for line in lines if _SEPARATOR.fullmatch(line.strip()))
    return next((found for found in marks.most_common(1) if found[1] >= max(3, len(lines) / 50)), None)


def _repeats(lines: Sequence[str]) -> bool:
    """Whether more than a twentieth of the lines are the same line."""
    return any(count > max(2, len(lines) / 20) for _, count in Counter(lines).most_common(1))
