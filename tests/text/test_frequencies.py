"""Several processes count the characters of a file as one process does."""

from __future__ import annotations

from pathlib import Path

import pytest

from charloom.corpus.articles import read_articles
from charloom.errors import InputError
from charloom.text.frequencies import count_file
from charloom.text.vocab import Vocabulary
from tests.text.splits import write_difficult_rows


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("block_bytes", [50, 1000, 1 << 20])
def test_the_counts_do_not_depend_on_the_number_of_processes(tmp_path: Path, processes: int, block_bytes: int) -> None:
    path = write_difficult_rows(tmp_path / "train.csv")
    expected = Vocabulary.build(article.text for article in read_articles(path))
    assert Vocabulary.from_counts(*count_file(path, processes=processes, block_bytes=block_bytes)) == expected


def test_an_empty_file_has_no_characters(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"\n\n")
    counts, order = count_file(tmp_path / "train.csv")
    assert (int(counts.sum()), order) == (0, [])


def test_a_wrong_row_is_reported_with_file_and_line(tmp_path: Path) -> None:
    path = write_difficult_rows(tmp_path / "train.csv", more=b'"2","one column"\n')
    with pytest.raises(InputError) as sequential:
        list(read_articles(path))
    with pytest.raises(InputError, match=r"train\.csv:\d{3}: 2 columns, expected 3") as caught:
        count_file(path, processes=2, block_bytes=50)
    assert str(caught.value) == str(sequential.value)
