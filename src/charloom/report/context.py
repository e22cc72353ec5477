"""What a report shows in addition to the evaluation: the corpus, the model, its training and the simpler models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charloom.evaluation.baselines import Baselines
from charloom.evaluation.evaluation import Evaluation
from charloom.model.saved import SavedModel
from charloom.params import Params
from charloom.report.memory_table import MemorySize
from charloom.text.vocab import Vocabulary
from charloom.training.history import Record

THIS_MODEL = "this model"  # its name in comparisons


@dataclass(frozen=True)
class Context:
    """What a report shows in addition to the evaluation."""

    corpus: str  # its name
    model: str  # in words, such as `LSTM, 1 layer of 512 units`
    weights: int  # the number of the model's weights
    params: Mapping[str, Mapping[str, Any]]  # section → name → value: the parameters that decided the result
    history: Sequence[Record]
    baselines: Baselines
    vocabulary: Vocabulary
    digest: str  # the SHA-256 of the weights
    memory: MemorySize | None  # None for a model without a memory

    def all_bpc(self, evaluation: Evaluation) -> dict[str, float]:
        """The bits per character of this model and of the simpler models, by name."""
        return {THIS_MODEL: evaluation.scores.total.bits_per_character, **self.baselines.bpc}

    def all_accuracy(self, evaluation: Evaluation) -> dict[str, float]:
        """The accuracy of this model and of the other classifiers, by name. Empty for an unconditioned model."""
        if evaluation.classification is None:
            return {}
        return {THIS_MODEL: evaluation.classification.accuracy, **self.baselines.accuracy}


def make_context(
    params: Params, saved: SavedModel, source: str, history: Sequence[Record], baselines: Baselines
) -> Context:
    """Collect the context of a report. `source` is the source that source.json states."""
    corpus = Path(source).name  # the report names no folder of this machine
    deciding = params.deciding()
    return Context(
        corpus=corpus,
        model=params.model.in_words,
        weights=saved.model.size(),
        params={**deciding, "data": {**deciding["data"], "source": corpus}},
        history=history,
        baselines=baselines,
        vocabulary=saved.vocabulary,
        digest=saved.digest,
        memory=None if saved.model.memory is None else MemorySize.of(saved.model.memory),
    )
