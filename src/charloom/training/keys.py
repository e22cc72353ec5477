"""The keys that name a training and an evaluation: digests of everything that decides their results.

The same inputs give the same keys on every machine.
"""

from __future__ import annotations

from pathlib import Path

from charloom.files import file_digest, value_digest
from charloom.params import Params


def train_key(params: Params, windows: Path, vocabulary: Path) -> str:
    """The key of a training: a digest of the parameters that decide its result, its windows and its vocabulary.

    Parameters that do not change the result are left out, so that a training can continue after they were changed.
    `train.log_every` is in the key, because it decides the history.

    `windows.stride` changes the key, even with `train.batching: lanes`, which ignores the stride. Reason: the files of
    the split contain the stride.
    """
    classes = params.model.conditioning == "class"
    return value_digest(
        {
            "model": params.model.model_dump(),
            "train": params.train.model_dump(exclude={"checkpoint_every", "processes"}),
            "labelled": [params.data.labelled_fraction, params.data.seed] if classes else None,
            "train split": split_digest(windows / "train"),
            "valid split": split_digest(windows / "valid"),
            "vocabulary": file_digest(vocabulary),
        }
    )


def evaluate_key(params: Params, windows: Path, model_digest: str) -> str:
    """The key of an evaluation: a digest of its parameters, the test split and the model."""
    return value_digest(
        {
            "evaluate": params.evaluate.model_dump(),
            "baselines": params.baselines.model_dump(),
            "test split": split_digest(windows / "test"),
            "model": model_digest,
        }
    )


def split_digest(folder: Path) -> str:
    """One digest of an encoded split. windows.json contains the digests of the arrays, so it stands for all files."""
    return file_digest(folder / "windows.json")
