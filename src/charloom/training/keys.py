"""The keys that name a training and an evaluation: digests of everything that decides their results.

The same inputs give the same keys on every machine.
"""

from __future__ import annotations

from pathlib import Path

from charloom.files import file_digest, value_digest
from charloom.params import Params
from charloom.text.split import ARRAYS


def train_key(params: Params, windows: Path, vocabulary: Path) -> str:
    """The key of a training: a digest of its parameters, its windows and its vocabulary.

    `windows.stride` changes the key, even with `train.batching: lanes`, which ignores the stride. Reason: the files of
    the split contain the stride.
    """
    return value_digest(
        {
            "model": params.model.model_dump(),
            "train": params.train.model_dump(),
            "labelled": [params.data.labelled_fraction, params.data.seed],
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
    """One digest of all files of an encoded split."""
    names = [*(f"{name}.npy" for name in ARRAYS), "windows.json"]
    return value_digest({name: file_digest(folder / name) for name in names})
