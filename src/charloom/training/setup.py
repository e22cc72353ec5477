"""Making a training from the parameters and the windows, for the stage train and for `charloom plan`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from charloom.errors import say
from charloom.model.network import CharModel
from charloom.params import Params
from charloom.text.split import ClassCount, EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.loop import Training
from charloom.training.parallel import Group

SHOWN = 5  # name this many classes in a message


class Prepared(NamedTuple):
    """A training at step 0, and what was read for it."""

    training: Training
    vocabulary: Vocabulary
    valid: EncodedSplit


def prepare(params: Params, windows: Path, vocabulary_path: Path, group: Group) -> Prepared:
    """Read the vocabulary and the windows, and make a training with new weights. Nothing is written.

    Before this, the threads and the seed must be set (`set_threads`, `make_deterministic`). Raises InputError if a file
    is missing or damaged, or if the training split is too small.
    """
    vocabulary = Vocabulary.load(vocabulary_path)
    train, valid = (EncodedSplit.load(windows / split, len(vocabulary)) for split in ("train", "valid"))
    model = CharModel(len(vocabulary), params.model, len(train.class_names))
    labelled = train.labelled(params.data.labelled_fraction, params.data.seed)
    return Prepared(Training(model, labelled, valid, params.train, group), vocabulary, valid)


def name_rare_classes(class_counts: Sequence[ClassCount]) -> None:
    """Print the classes with at most one training article that has its class. The model can hardly learn them.

    Such a class occurs in the test split only, or once, or its other articles are held out for validation or unlabelled
    (data.labelled_fraction).
    """
    rare = [f"{each.name} ({each.articles})" for each in class_counts if each.articles < 2]
    if rare:
        names = ", ".join(rare[:SHOWN]) + ", …" * (len(rare) > SHOWN)
        say(f"{len(rare)} class(es) have no labelled training article or only one, too few to learn from: {names}")
