"""EncodedSplit a second, made and read back, and bytes a window: ours against the tutorial's get_batch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np

from charloom.corpus.articles import Article, read_articles
from charloom.params import WindowsParams
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from common import compare, encoded_text, machine, rate_of
from tutorial import NCHARS, Tutorial, long_enough

BATCH = 4096  # windows read back at once
PAIRS = 15  # of a second each: one pair in three meets something else at work here
PARAMS = WindowsParams(length=NCHARS, stride=1, scope="article")  # the tutorial's


def main() -> None:
    with encoded_text() as text:
        articles = [article for article in read_articles(text.raw / "train.csv") if long_enough(article.text)]
        vocabulary, name = text.vocabulary, text.name
    tutorial, endless = Tutorial(vocabulary.characters), cycle(articles)
    with tempfile.TemporaryDirectory() as folder:
        rates = compare(
            lambda: rate_of(lambda: made_and_read(Path(folder), articles, vocabulary), 1.0),
            lambda: rate_of(lambda: tutorials(tutorial, endless), 1.0),
            PAIRS,
        )
        windows = EncodedSplit.load(Path(folder))
        size = sum((Path(folder) / name).stat().st_size for name in ("codes.npy", "starts.npy", "offsets.npy"))
    print(f"{machine()}; {name}, {PAIRS} pairs\n")
    print("| | charloom | tutorial | ratio |\n|---|---|---|---|")
    print(rates.row("windows made and read back", "windows/s"))
    print(f"| bytes a window | {size / len(windows):.1f} | {2 * NCHARS * 8} | |")


def made_and_read(folder: Path, articles: list[Article], vocabulary: Vocabulary) -> int:
    """Write all windows to disk, map the files and read every window back in batches."""
    write_split(folder, articles, vocabulary, PARAMS, np.dtype(np.uint32))
    windows = EncodedSplit.load(folder)
    order = np.arange(len(windows))
    return sum(len(windows.gather(order[begin : begin + BATCH])) for begin in range(0, len(order), BATCH))


def tutorials(tutorial: Tutorial, articles: Iterator[Article]) -> int:
    return len(tutorial.get_batch(next(articles).text)[0])


if __name__ == "__main__":
    main()
