"""Divides a CSV file into ranges of whole rows, so that several processes can read it.

A line end ends a row unless it is inside quotes. Whether a byte is inside quotes depends on the number of quotes before
it, counted from the beginning of the file. Therefore the file is cut into blocks of equal size, and `_scan_block`
counts the rows of a block for both cases: the block begins outside quotes, or it begins inside. Several processes do
this with NumPy. Then `_ends_of_blocks` goes through the blocks in order and knows at each block which case is true.

This is right if the file is regular: a quote opens a field, closes a field, or is doubled inside a quoted field. The
csv module also accepts a quote inside an unquoted field, as in `5" pipe`, and that quote opens nothing. The scan
notices such a quote. Then `_parsed_ends` finds the rows with the csv module, in one process.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from charloom.corpus.articles import MAX_CHARACTERS, RowRange, columns_of, csv_rows, first_error, open_csv
from charloom.errors import InputError
from charloom.text.workers import in_order

BLOCK_BYTES = 1 << 20  # enough for fast array operations, and small compared with the memory
LONGEST_ROW = 4 * MAX_CHARACTERS  # in bytes. A longer row is wrong, and the csv module stops at its beginning

LF, CR, QUOTE = b'\n\r"'
BEFORE_OPENING_QUOTE = np.isin(np.arange(256), list(b',\n\r"'))  # a doubled quote closes the field and opens it again


class BlockRows(NamedTuple):
    """The rows that end in a block of a file."""

    articles: int  # the number of rows, without blank lines
    end: int  # the offset in the file after the last of these rows; 0 if no row ends in the block
    regular: bool  # whether all quotes that open a field are at the beginning of a field


class Scan(NamedTuple):
    """The number of quotes in a block, and its rows if it begins outside quotes [0] or inside [1]."""

    quotes: int
    rows: tuple[BlockRows, BlockRows]


RowEnd = tuple[int, int]  # an offset at which a row ends, and the number of articles since the RowEnd before


def find_ranges(path: Path, processes: int, block_bytes: int = BLOCK_BYTES) -> list[RowRange]:
    """Divide a CSV file into ranges of about `block_bytes`. A range is longer only if it ends with a longer row.

    The ranges do not depend on the number of processes. Raises InputError if the file is missing. Most errors in rows
    are not noticed here: `read_range` reports them.
    """
    with open_csv(path) as text:
        _, first_row = next(csv_rows(text, str(path)), (0, []))
    start, size = _start(path), path.stat().st_size
    ends = _ends_of_blocks(path, start, size, processes, block_bytes)
    if ends is None:
        ends = _parsed_ends(path, start, block_bytes)
    ranges: list[RowRange] = []
    begin = start
    for end, articles in ends:
        ranges.append(RowRange(path, begin, end, articles, columns_of(first_row)))
        begin = end
    return ranges


def _start(path: Path) -> int:
    """The offset of the first row. A byte order mark is not part of the row."""
    with path.open("rb") as file:
        return len(codecs.BOM_UTF8) if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else 0


def _ends_of_blocks(path: Path, start: int, size: int, processes: int, block_bytes: int) -> list[RowEnd] | None:
    """The last row end of each block. None if the file is not regular."""
    begins = range(start, size, block_bytes)
    ends: list[RowEnd] = []
    inside = 0
    for scan in in_order(partial(_scan_block, path, start, block_bytes), begins, processes):
        rows = scan.rows[inside]
        if not rows.regular:
            return None
        if rows.end:
            ends.append((rows.end, rows.articles))
        inside = (inside + scan.quotes) % 2
    if size > (ends[-1][0] if ends else start):
        ends.append((size, 1))  # no line end after the last row
    too_long = any(end - begin > LONGEST_ROW + block_bytes for (begin, _), (end, _) in pairwise([(start, 0), *ends]))
    return None if too_long else ends


def _scan_block(path: Path, start: int, block_bytes: int, begin: int) -> Scan:
    """Count the quotes and the rows of the block at offset `begin`. The first row of the file begins at `start`."""
    with path.open("rb") as file:
        file.seek(max(begin - 1, 0))
        previous = file.read(1) if begin > start else b"\n"
        file.seek(begin)
        data = np.frombuffer(previous + file.read(block_bytes), np.uint8)
    before, here = data[:-1], data[1:]
    quotes = np.flatnonzero(here == QUOTE)
    line_ends = np.flatnonzero((here == LF) | (here == CR))
    quotes_before = np.searchsorted(quotes, line_ends)
    blank = np.isin(before[line_ends], (LF, CR))  # also the second byte of a \r\n
    opens_well = BEFORE_OPENING_QUOTE[before[quotes]]
    rows = []
    for inside in (0, 1):
        ends_row = (quotes_before + inside) % 2 == 0
        row_ends = line_ends[ends_row]
        end = begin + int(row_ends[-1]) + 1 if row_ends.size else 0
        rows.append(BlockRows(int((ends_row & ~blank).sum()), end, bool(opens_well[inside::2].all())))
    return Scan(len(quotes), (rows[0], rows[1]))


def _parsed_ends(path: Path, start: int, block_bytes: int) -> list[RowEnd]:
    """The row ends at distances of about `block_bytes`, found with the csv module."""
    ends: list[RowEnd] = []
    offset, articles = start, 0

    def lines(text: IO[str]) -> Iterator[str]:
        nonlocal offset
        for line in text:
            offset += len(line.encode())
            yield line

    try:
        with open_csv(path) as text:
            for _ in csv_rows(lines(text), str(path)):
                articles += 1
                if offset - (ends[-1][0] if ends else start) >= block_bytes:
                    ends.append((offset, articles))
                    articles = 0
    except InputError:
        raise first_error(path) from None
    return [*ends, (offset, articles)] if articles else ends
