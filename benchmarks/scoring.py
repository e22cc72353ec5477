"""Scoring the test split at hidden size 256: its time, its padding, and a comparison with one article at a time."""

from __future__ import annotations

from itertools import cycle
import time

from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.scoring import batches_by_length, score_articles, surprisals
from charloom.text.split import EncodedSplit
import numpy as np
import torch

from common import PAIRS, compare, encoded_text, machine, one_layer, rate_of

HIDDEN = 256
CPU = torch.device("cpu")


def main() -> None:
    set_threads("auto")
    with encoded_text() as text:
        symbols = int(text.test.lengths.sum())
        model = CharModel(len(text.vocabulary), one_layer(HIDDEN))
        seconds: list[float] = []

        def score_split() -> float:
            began = time.perf_counter()
            score_articles(model, text.test)
            seconds.append(time.perf_counter() - began)
            return symbols / seconds[-1]

        articles = cycle(text.test.article(index) for index in range(text.test.articles))
        rates = compare(score_split, lambda: rate_of(lambda: score_one(model, next(articles)), 2.0))
        print(f"{machine()}; {text.name}, {PAIRS} pairs\n")
        print("| | charloom | one article at a time | ratio |\n|---|---|---|---|")
        print(rates.row(f"{model.params.in_words}: scored", "symbols/s"))
        print(f"\n{symbols:,} symbols of {text.test.articles:,} articles in {np.median(seconds):.1f} s")
        print(f"padding {100 * padding(text.test):.2f} % of what is read")


def score_one(model: CharModel, article: np.ndarray) -> int:
    """Score one article. Returns the number of its symbols."""
    (found,) = surprisals(model, [article])
    return len(found.nats)


def padding(split: EncodedSplit) -> float:
    """The number of padding symbols, divided by the number of all symbols that are read."""
    lengths = split.lengths
    read = sum(len(batch) * int(lengths[batch].max()) for batch in batches_by_length(lengths.tolist()))
    return 1 - int(lengths.sum()) / read


if __name__ == "__main__":
    main()
