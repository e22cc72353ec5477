"""Evaluate a model: score the test split, draw samples, show some articles symbol by symbol, and find classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charloom.errors import InputError
from charloom.evaluation.arrays import Floats
from charloom.evaluation.baselines import Amount
from charloom.evaluation.breakdown import Breakdown, article_nats, break_down
from charloom.evaluation.classification import Classification, classify_split
from charloom.evaluation.contribution import Contribution, contribution
from charloom.evaluation.samples import SampleGroup, draw_samples
from charloom.evaluation.subsample import pieces_of, subsample
from charloom.model.saved import SavedModel
from charloom.model.scoring import Scores, Surprisal, surprisals
from charloom.params import EvaluateParams
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes

READ_AT_MOST = 600  # the report shows at most this many symbols of an article
PIECE = 1 << 21  # about so many symbols of the split are scored and divided into parts at once
EXPECTED = 5  # the report shows this many of the likeliest symbols at each place


@dataclass(frozen=True)
class Reading:
    """The first symbols of a test article, the cost of each, and the symbols that the model expected there."""

    class_name: str
    bpc: float  # bits per character of the whole article
    easier: float  # the share of the test articles that have fewer bits per character
    codes: Codes  # the ids of the first symbols
    surprisal: Surprisal  # of `codes`
    left_out: int  # the number of symbols that follow in the article
    contribution: Contribution | None  # of the memory and the network to `surprisal`; None for a model without a memory


@dataclass(frozen=True)
class Evaluation:
    """Everything that the stage evaluate measured of a model."""

    scores: Scores  # of the articles of the test split
    characters_in_split: int  # of the whole test split; `scores` may be of a sample
    unknown: int  # characters that were read and that are not in the vocabulary
    breakdown: Breakdown
    samples: Sequence[SampleGroup]
    readings: Sequence[Reading]  # from the easiest article to the hardest
    classification: Classification | None  # None for an unconditioned model

    @property
    def about_sample(self) -> str:
        """Says that a sample of the test split was read. Empty if all of it was read."""
        read = Amount(self.scores.total.characters, self.characters_in_split)
        return "" if read.is_whole else f"This model was tested on a sample of {read} characters."

    def metrics(self) -> dict[str, float]:
        """The few numbers by which a person compares runs, for metrics/evaluate.json."""
        total = self.scores.total
        accuracy = {"accuracy": self.classification.accuracy} if self.classification else {}
        return {"test_bpc": total.bits_per_character, "test_perplexity": total.perplexity} | accuracy

    def details(self) -> dict[str, Any]:
        """Every number, for details/evaluate.json."""
        total = self.scores.total
        return {
            "bpc": total.bits_per_character,
            "perplexity": total.perplexity,
            "loss_nats": total.nats_per_symbol,
            "articles": len(self.scores.characters),
            "characters": total.characters,
            "characters_in_split": self.characters_in_split,
            "unknown_characters": self.unknown,
            "bpc_by_class": {part.name: part.bits for part in self.breakdown.by_class},
        } | (self.classification.details() if self.classification else {})


def evaluate_model(
    saved: SavedModel, test: EncodedSplit, params: EvaluateParams, class_names: Sequence[str]
) -> Evaluation:
    """Evaluate a model on the test split, or on a sample of at most `params.max_characters`.

    Raises InputError if a prediction is not a finite number.

    `class_names` are the classes of the corpus, in the order of the class ids. An unconditioned model has no copy of
    them.
    """
    whole = test.characters
    test = subsample(test, saved.vocabulary, params.max_characters or whole, params.seed)
    of_articles: list[Floats] = []

    def scored_pieces() -> Iterator[tuple[EncodedSplit, Floats]]:
        for piece in pieces_of(test, PIECE):
            nats = symbol_nats(saved, piece)
            of_articles.append(article_nats(piece, nats))
            yield piece, nats

    breakdown = break_down(scored_pieces(), class_names, saved.vocabulary)
    scores = Scores(np.concatenate(of_articles), test.lengths - 1)
    return Evaluation(
        scores=scores,
        characters_in_split=whole,
        unknown=test.unknown,
        breakdown=breakdown,
        samples=draw_samples(saved, params),
        readings=choose_readings(saved, test, scores, class_names, params.articles),
        classification=classify_split(saved, test) if saved.class_counts else None,
    )


def symbol_nats(saved: SavedModel, split: EncodedSplit) -> Floats:
    """The nats of every symbol of a split except its first `<eos>`. Raises InputError if one is not finite."""
    articles = (split.article(index) for index in range(split.articles))
    nats = np.concatenate([each.nats for each in surprisals(saved.model, articles)])
    if not np.isfinite(nats).all():
        raise InputError(
            "the model's predictions are not finite numbers, because its weights are too large; train it again with a"
            " smaller train.learning_rate"
        )
    return nats


def choose_readings(
    saved: SavedModel, test: EncodedSplit, scores: Scores, class_names: Sequence[str], count: int
) -> list[Reading]:
    """Choose `count` articles, and score their first symbols.

    The articles are at equal distances in the ranking by bits per character, the easiest first.
    """
    bpc = scores.nats / math.log(2) / scores.characters
    order = np.argsort(bpc, kind="stable")
    ranks = sorted({int((index + 0.5) / count * test.articles) for index in range(count)})
    articles = [test.article(int(order[rank])) for rank in ranks]
    shown = [codes[: READ_AT_MOST + 1] for codes in articles]
    return [
        Reading(
            class_name=class_names[test.classes[order[rank]]],
            bpc=float(bpc[order[rank]]),
            easier=rank / test.articles,
            codes=codes[1:],
            surprisal=surprisal,
            left_out=len(whole) - len(codes),
            contribution=contribution(saved.model, codes),
        )
        for rank, whole, codes, surprisal in zip(
            ranks, articles, shown, surprisals(saved.model, shown, EXPECTED), strict=True
        )
    ]
