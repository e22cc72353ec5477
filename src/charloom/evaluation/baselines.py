"""How well simpler models predict the test split: the numbers that measuring.py finds, and the file that has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from charloom.evaluation.breakdown import Breakdown
from charloom.files import read_json, write_json

FORMAT, VERSION = "charloom-baselines", 3


class Amount(NamedTuple):
    """How much the simpler models have read of something."""

    read: int
    total: int

    @property
    def is_whole(self) -> bool:
        """Whether they have read everything."""
        return self.read == self.total

    def __str__(self) -> str:
        """For example `20.0 of 29.1 million`, or `250 of 1,000` if a number is small."""
        if self.read < 1e6:
            return f"{self.read:,} of {self.total:,}"
        return f"{self.read / 1e6:,.1f} of {self.total / 1e6:,.1f} million"


@dataclass(frozen=True)
class Baselines:
    """How well simpler models predict the test split, and how much text they have read."""

    bpc: dict[str, float]  # model's name → bits per character; empty if nothing was measured
    ngram: str  # the name of the longest n-gram
    breakdown: Breakdown  # the cost of the test split under the longest n-gram, divided into parts
    train: Amount  # characters of the training split
    test: Amount  # characters of the test split
    labelled: Amount  # labelled training articles, which the classifiers read; 0 of 0 if the model is unconditioned
    accuracy: dict[str, float]  # classifier's name → accuracy; empty if the model is unconditioned

    @classmethod
    def none(cls, train: int, test: int, labelled: int) -> Baselines:
        """The result if nothing was measured. The arguments are the totals."""
        return cls({}, "", Breakdown([], [], []), Amount(0, train), Amount(0, test), Amount(0, labelled), {})

    @property
    def exist(self) -> bool:
        """Whether any simpler model was measured."""
        return bool(self.bpc)

    def save(self, path: Path) -> None:
        """Write baselines.json."""
        value = {**vars(self), "breakdown": self.breakdown._asdict()}
        write_json(path, {"format": FORMAT, "version": VERSION, **value})

    @classmethod
    def load(cls, path: Path) -> Baselines:
        """Read what `save` wrote. Raises InputError if the file is missing or of another version."""
        value = read_json(path, kind=FORMAT, version=VERSION)
        train, test, labelled = (Amount(*value[name]) for name in ("train", "test", "labelled"))
        breakdown = Breakdown.from_json(value["breakdown"])
        return cls(value["bpc"], value["ngram"], breakdown, train, test, labelled, value["accuracy"])

    def metrics(self) -> dict[str, float]:
        """The few numbers by which a person compares runs, for metrics/baselines.json."""
        if not self.exist:
            return {}
        sample = {} if self.train.is_whole else {"baseline_characters": self.train.read}
        return {"ngram_bpc": self.bpc[self.ngram], "ppmd_bpc": self.bpc["PPMd"], **sample}

    def details(self) -> dict[str, Any]:
        """Every number, for details/baselines.json."""
        amounts = {
            "train_characters": self.train.total,
            "train_characters_read": self.train.read,
            "test_characters": self.test.total,
            "test_characters_read": self.test.read,
        }
        labelled = {"labelled_articles": self.labelled.total, "labelled_articles_read": self.labelled.read}
        return self.bpc | amounts | ({**labelled, "accuracy": self.accuracy} if self.accuracy else {})
