"""What a report shows in addition to the evaluation: the corpus, the model, its training and the simpler models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charloom.evaluation.baselines import Amount, Baselines
from charloom.evaluation.breakdown import BreakdownPart
from charloom.evaluation.evaluation import Evaluation
from charloom.model.saved import SavedModel
from charloom.params import Params
from charloom.report.memory_table import MemorySize
from charloom.text.vocab import Vocabulary
from charloom.training.history import Record
from charloom.training.sampler import TrainingSample

THIS_MODEL = "this model"  # its name in comparisons
NOT_MEASURED = "No simpler models were measured, because baselines.max_characters is 0."


@dataclass(frozen=True)
class Context:
    """What a report shows in addition to the evaluation."""

    corpus: str  # its name
    model: str  # in words, such as `LSTM, 1 layer of 512 units`
    weights: int  # the number of the model's weights
    params: Mapping[str, Mapping[str, Any]]  # section → name → value: the parameters that decided the result
    history: Sequence[Record]
    samples: Sequence[TrainingSample]  # what the model wrote while it learned
    baselines: Baselines
    vocabulary: Vocabulary
    digest: str  # the SHA-256 of the weights
    memory: MemorySize | None  # None for a model without a memory

    def all_bpc(self, evaluation: Evaluation) -> dict[str, float]:
        """The bits per character of this model and of the simpler models, by name."""
        return {THIS_MODEL: evaluation.scores.total.bits_per_character, **self.baselines.bpc}

    def all_train_characters(self) -> dict[str, int]:
        """How many characters of the training split each model in `all_bpc` has read, by name."""
        total = self.baselines.train.total
        ours = min(total, round(total * self.history[-1].epoch))
        return {THIS_MODEL: ours, **dict.fromkeys(self.baselines.bpc, self.baselines.train.read)}

    @property
    def same_training_text(self) -> bool:
        """Whether all models in `all_bpc` have read equally much of the training split."""
        return len(set(self.all_train_characters().values())) == 1

    def about_baselines(self) -> str:
        """Why there are no simpler models, or on which samples their figures are based. Empty if they read all text."""
        train = self.baselines.train
        return self._about("The simpler models", f"a sample of {train} characters", train)

    def about_classifiers(self) -> str:
        """The same as `about_baselines`, for the other classifiers."""
        labelled = self.baselines.labelled
        return self._about("The other classifiers", f"{labelled} labelled articles", labelled)

    def _about(self, models: str, trained_on: str, amount: Amount) -> str:
        """Why these models were not measured, or what they were trained on (`amount`) and tested on, if not on all."""
        test = self.baselines.test
        if not self.baselines.exist:
            return NOT_MEASURED
        trained = [] if amount.is_whole else [f"{models} were trained on {trained_on}."]
        tested = [] if test.is_whole else [f"{models} were tested on a sample of {test} characters."]
        return " ".join(trained + tested)

    def all_accuracy(self, evaluation: Evaluation) -> dict[str, float]:
        """The accuracy of this model and of the other classifiers, by name. Empty for an unconditioned model."""
        if evaluation.classification is None:
            return {}
        return {THIS_MODEL: evaluation.classification.accuracy, **self.baselines.accuracy}


def paired(
    ours: Sequence[BreakdownPart], others: Sequence[BreakdownPart]
) -> list[tuple[BreakdownPart, BreakdownPart | None]]:
    """Each part with the part of the same name in `others`, which are in the same order. A sample can lack a part."""
    left = list(others)[::-1]
    return [(part, left.pop() if left and left[-1].name == part.name else None) for part in ours]


def make_context(
    params: Params,
    saved: SavedModel,
    source: str,
    history: Sequence[Record],
    baselines: Baselines,
    samples: Sequence[TrainingSample] = (),
) -> Context:
    """Collect the context of a report.

    `source` is the source that source.json states. `samples` are those that were drawn during the training.
    """
    corpus = Path(source).name  # the report names no folder of this machine
    deciding = params.deciding()
    return Context(
        corpus=corpus,
        model=params.model.in_words,
        weights=saved.model.size(),
        params={**deciding, "data": {**deciding["data"], "source": corpus}},
        history=history,
        samples=samples,
        baselines=baselines,
        vocabulary=saved.vocabulary,
        digest=saved.digest,
        memory=None if saved.model.memory is None else MemorySize.of(saved.model.memory),
    )
