"""Scoring at hidden size 256: the test split, its padding, one article at a time, and a long text with short ones."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
import time
from typing import Any

from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.scoring import score_articles, surprisals
from charloom.text.vocab import Codes
import numpy as np
import torch
from torch import nn

from common import PAIRS, compare, encoded_text, machine, one_layer, rate_of

HIDDEN = 256
LONG = 300_000  # symbols of the long text
SHORT = 63  # articles that are scored with the long text, in the same batch


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

        articles = [text.test.article(index) for index in range(text.test.articles)]
        each = cycle(articles)
        rates = compare(score_split, lambda: rate_of(lambda: score(model, [next(each)]), 2.0))
        print(f"{machine()}; {text.name}, {PAIRS} pairs\n")
        print("| | charloom | one article at a time | ratio |\n|---|---|---|---|")
        print(rates.row(f"{model.params.in_words}: scored", "symbols/s"))
        print(f"\n{symbols:,} symbols of {text.test.articles:,} articles in {np.median(seconds):.1f} s")
        print(f"padding {100 * padding(model, articles):.2f} % of what is read\n")

        long = np.resize(text.test.codes, LONG)
        mixed = [*articles[:SHORT], long]
        torch.set_num_threads(1)
        rates = compare(lambda: processor_rate(model, mixed), lambda: processor_rate(model, [long]))
        print(f"| a text of {LONG:,} symbols | with {SHORT} articles | alone | ratio |\n|---|---|---|---|")
        print(rates.row("scored by one thread", "symbols per CPU second"))
        print(f"\npadding {100 * padding(model, mixed):.2f} % of what is read")


def processor_rate(model: CharModel, texts: list[Codes]) -> float:
    """Score texts once. Returns the symbols per second of CPU time, which other programs hardly change."""
    began = time.process_time()
    return score(model, texts) / (time.process_time() - began)


def score(model: CharModel, texts: Iterable[Codes]) -> int:
    """Score texts. Returns the number of their symbols."""
    return sum(len(found.nats) for found in surprisals(model, texts))


def padding(model: CharModel, texts: Iterable[Codes]) -> float:
    """The number of padding symbols, divided by the number of all symbols that the model reads."""
    read = 0

    def count(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        nonlocal read
        read += arguments[0].numel()

    with model.register_forward_pre_hook(count):
        symbols = score(model, texts)
    return 1 - symbols / read


if __name__ == "__main__":
    main()
