"""Articles classified per second, compared with plain scoring, at hidden size 256.

A reading is an article read once. To classify an article takes a reading for each class. To score it takes one reading.
Scoring is measured twice: with the same model without a given class, and with an unconditioned model. params.yaml
decides the size of the class embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import statistics

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.evaluation.classification import costs_by_class
from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.scoring import surprisals
from charloom.text.vocab import Codes
import torch

from common import PAIRS, compare, encoded_text, machine, one_layer, rate_of

HIDDEN, ARTICLES, CLASSES = 256, 512, len(AG_NEWS_CLASSES)
CPU = torch.device("cpu")


def main() -> None:
    set_threads("auto")
    with encoded_text() as text:
        embedding = text.params.model.class_embedding
        with_classes = one_layer(HIDDEN).model_copy(update={"conditioning": "class", "class_embedding": embedding})
        plain = CharModel(len(text.vocabulary), one_layer(HIDDEN))
        conditioned = CharModel(len(text.vocabulary), with_classes, CLASSES)

        def articles() -> Iterator[Codes]:
            return (text.test.article(index) for index in range(min(ARTICLES, text.test.articles)))

        def classify() -> int:
            return CLASSES * sum(1 for _ in costs_by_class(conditioned, articles()))

        def score(model: CharModel) -> int:
            return sum(1 for _ in surprisals(model, articles()))

        print(f"{machine()}; {text.name}, {PAIRS} pairs; {with_classes.in_words}, {CLASSES} classes\n")
        print("| plain scoring by | classification | plain scoring | ratio |\n|---|---|---|---|")
        for name, model in (("the same model", conditioned), ("an unconditioned model", plain)):
            rates = compare(partial(rate_of, classify, 1.0), partial(rate_of, partial(score, model), 1.0))
            print(rates.row(name, "readings/s"))
        print(f"\n{statistics.median(rates.ours) / CLASSES:,.0f} articles classified per second")


if __name__ == "__main__":
    main()
