"""Windows per second that a training gets, compared with the tutorial's get_batch.

charloom's windows are read as the training loop reads them: as batches of charloom.training.batches, on the CPU. Stage
windows encodes and writes the text once, before training. This is measured separately. The tutorial encodes an article
and cuts it into windows whenever it reads the article. Both use windows of 100 characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path
import tempfile
from typing import Any

from charloom.corpus.articles import Article, read_articles
from charloom.model.device import choose_device, set_threads
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit, stream_windows
from charloom.training.batches import BATCHING, Batches
import numpy as np

from common import Text, compare, encoded_text, machine, rate_of
from tutorial_training import NCHARS, Tutorial, long_enough

PAIRS = 15  # each measurement takes a second; on a shared machine, one pair in three is disturbed


def main() -> None:
    set_threads("auto")
    with (
        encoded_text(length=NCHARS, stride=1, scope="article") as same,  # the tutorial's windows
        encoded_text(length=NCHARS, scope="stream") as stream,  # lanes need a stream
        tempfile.TemporaryDirectory() as folder,
    ):
        articles = [article for article in read_articles(same.raw / "train.csv") if long_enough(article.text)]
        theirs = work_of_tutorial(Tutorial(same.vocabulary.characters), articles)
        batch_size = same.params.train.batch_size
        print(f"{machine()}; {same.name}, batches of {batch_size}, {PAIRS} pairs\n")
        print("| | charloom | tutorial | ratio |\n|---|---|---|---|")
        print(row("windows read, shuffled", reading(same, "shuffled"), theirs), flush=True)
        print(row("windows read, lanes", reading(stream, "lanes"), theirs), flush=True)
        print(row("windows encoded and written, once", lambda: write(Path(folder), articles, same), theirs))
        for scope, split, count in (
            ("article", same.train, len(same.train)),
            ("stream", stream.train, stream_windows(len(stream.train.codes), NCHARS, stride=1)),
        ):
            print(f"| bytes a window, stride 1, scope {scope} | {size_of(split) / count:.1f} | {2 * NCHARS * 8} | |")


Work = Callable[[], int]  # makes some windows and returns their number


def size_of(split: EncodedSplit) -> int:
    """The bytes of the arrays that a window needs."""
    arrays = [split.codes, split.offsets, *([] if split.starts is None else [split.starts])]
    return sum(array.nbytes for array in arrays)


def row(name: str, ours: Work, theirs: Work) -> str:
    """A row of the table. Both rates are measured in turn."""
    return compare(lambda: rate_of(ours, 1.0), lambda: rate_of(theirs, 1.0), PAIRS).row(name, "windows/s")


def reading(text: Text, batching: str) -> Work:
    """Work that reads the next batch of the training split."""
    batches = BATCHING[batching](text.train, text.params.train.batch_size, 1, choose_device("cpu", "train.device"))
    sizes = batch_sizes(batches)
    return lambda: next(sizes)


def batch_sizes(batches: Batches[Any]) -> Iterator[int]:
    """Read batch after batch, epoch after epoch. Yields the number of windows of each batch."""
    for epoch in count():
        for step in range(batches.steps_per_epoch):
            yield batches.at(epoch, step).shape[1]


def write(folder: Path, articles: Sequence[Article], text: Text) -> int:
    """Encode articles and write their windows. Returns the number of windows."""
    written = write_split(folder, articles, text.vocabulary, text.params.windows, np.dtype(np.uint32))
    return written["windows"]


def work_of_tutorial(tutorial: Tutorial, articles: Sequence[Article]) -> Work:
    """Work that makes the windows of the next article in the tutorial's way."""
    endless = cycle(articles)
    return lambda: len(tutorial.get_batch(next(endless).text)[0])


if __name__ == "__main__":
    main()
