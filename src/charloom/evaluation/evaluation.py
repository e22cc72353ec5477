"""What an evaluation finds: scores, where the bits go, samples, and articles read symbol by symbol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charloom.errors import InputError
from charloom.evaluation.baselines import Baselines
from charloom.evaluation.breakdown import Breakdown, article_bits, break_down
from charloom.evaluation.classification import Classification, classify_split
from charloom.model.sampling import sample_at_temperatures, sample_by_class
from charloom.model.saved import SavedModel
from charloom.model.scoring import Scores, Surprisal, surprisals
from charloom.params import EvaluateParams
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes, Vocabulary
from charloom.training.history import Record

READ_AT_MOST = 600  # symbols of an article that are shown
EXPECTED = 5  # symbols that the model expected most, at each place


@dataclass(frozen=True)
class Reading:
    """A test article's first symbols: what each cost, and what the model expected in its place."""

    class_name: str
    bpc: float  # of the whole article
    easier: float  # the share of the test articles that cost less a character
    codes: Codes
    surprisal: Surprisal
    left_out: int  # symbols behind those


@dataclass(frozen=True)
class Findings:
    """All that an evaluation found, and what it was an evaluation of."""

    corpus: str
    params: Mapping[str, Mapping[str, Any]]  # by section, those that decided the result
    weights: int
    vocabulary: Vocabulary
    digest: str
    history: Sequence[Record]
    baselines: Baselines
    scores: Scores
    unknown: int
    breakdown: Breakdown
    samples: Mapping[float, Sequence[str]]
    samples_by_class: Mapping[str, Sequence[str]]  # of a conditioned model
    readings: Sequence[Reading]
    classification: Classification | None  # of a conditioned model

    @property
    def model(self) -> str:
        """The model in a few words."""
        model = self.params["model"]
        layers = f"{model['layers']} layer" + "s" * (model["layers"] > 1)
        return f"{model['cell']}, {layers} of {model['hidden_size']} units"

    @property
    def accuracies(self) -> dict[str, float]:
        """The accuracy of all that told the classes of the test split apart, by name."""
        if self.classification is None:
            return {}
        return {"this model": self.classification.accuracy, **self.baselines.accuracy}

    def metrics(self) -> dict[str, Any]:
        """The numbers of metrics/evaluate.json."""
        classes = {part.name: part.bits for part in self.breakdown.by_class}
        told = self.classification.summary() if self.classification else {}
        total = self.scores.total
        counts = {"articles": len(self.scores.characters), "characters": total.characters}
        scores = {"bpc": total.bits_per_character, "perplexity": total.perplexity, "loss_nats": total.nats_per_symbol}
        return scores | counts | {"unknown_characters": self.unknown, "bpc_by_class": classes} | told


def evaluate_model(
    saved: SavedModel,
    valid: EncodedSplit,
    test: EncodedSplit,
    params: EvaluateParams,
    device: torch.device,
    *,
    source: Mapping[str, Any],
    stated: Mapping[str, Mapping[str, Any]],
    history: Sequence[Record],
    baselines: Baselines,
) -> Findings:
    """Score the test split, let the model write, read some of the articles closely, and tell classes apart.

    `source` is what source.json says, `stated` the parameters to show. Raises InputError where a prediction is not
    finite.
    """
    corpus = Path(source["source"]).name  # a user's own folder may lie anywhere
    texts = (test.article(index) for index in range(test.articles))
    bits = np.concatenate([each.bits for each in surprisals(saved.model, texts, device)])
    if not np.isfinite(bits).all():
        raise InputError("the model's predictions are not finite numbers, its weights are too large; train it again")
    costs = article_bits(test, bits)
    return Findings(
        corpus=corpus,
        params={**stated, "data": {**stated["data"], "source": corpus}},
        weights=saved.model.size(),
        vocabulary=saved.vocabulary,
        digest=saved.digest,
        history=history,
        baselines=baselines,
        scores=Scores(costs * math.log(2), test.lengths - 1),
        unknown=test.unknown,
        breakdown=break_down(test, bits, source["classes"], saved.vocabulary),
        samples=sample_at_temperatures(saved.model, saved.vocabulary, params),
        samples_by_class=sample_by_class(
            saved.model, saved.vocabulary, params, [class_name.name for class_name in saved.class_counts]
        ),
        readings=read_closely(saved, test, costs, source["classes"], params.articles, device),
        classification=classify_split(saved, valid, test, device) if saved.class_counts else None,
    )


def read_closely(
    saved: SavedModel,
    test: EncodedSplit,
    bits: npt.NDArray[np.float64],
    classes: Sequence[str],
    count: int,
    device: torch.device,
) -> list[Reading]:
    """Read `count` articles from easy to hard, at equal steps of their rank by bits per character."""
    bpc = bits / (test.lengths - 1)
    order = np.argsort(bpc, kind="stable")
    ranks = sorted({int((index + 0.5) / count * test.articles) for index in range(count)})
    articles = [test.article(int(order[rank])) for rank in ranks]
    shown = [codes[: READ_AT_MOST + 1] for codes in articles]
    return [
        Reading(
            class_name=classes[test.classes[order[rank]]],
            bpc=float(bpc[order[rank]]),
            easier=rank / test.articles,
            codes=codes[1:],
            surprisal=surprisal,
            left_out=len(whole) - len(codes),
        )
        for rank, whole, codes, surprisal in zip(
            ranks, articles, shown, surprisals(saved.model, shown, device, EXPECTED), strict=True
        )
    ]
