"""A small corpus, encoded, and small models and trainings on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from charloom.corpus.articles import read_articles
from charloom.corpus.sources import AG_NEWS_CLASSES, SAMPLE
from charloom.model.network import CharModel
from charloom.model.saved import save_model
from charloom.params import ModelParams, Params, TrainParams
from charloom.params_file import load_params
from charloom.text.encode import encode_splits
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.loop import Training
from charloom.training.parallel import Group

CHECKOUT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Encoded:
    """The embedded sample as windows of 20 symbols."""

    vocabulary: Vocabulary
    train: EncodedSplit
    valid: EncodedSplit
    test: EncodedSplit


def encode_sample(folder: Path, *, scope: str = "stream", stride: int = 20) -> Encoded:
    vocabulary = Vocabulary.build(article.text for article in read_articles(SAMPLE / "train.csv"))
    params = default_params().windows.model_copy(update={"length": 20, "stride": stride, "scope": scope})
    encode_splits(SAMPLE, folder, vocabulary, params, valid_fraction=0.05, seed=1, class_names=AG_NEWS_CLASSES)
    return Encoded(vocabulary, *(EncodedSplit.load(folder / split) for split in ("train", "valid", "test")))


def windows_of(split: EncodedSplit, indices: Iterable[int]) -> list[list[int]]:
    """The ids of the windows with these indices, `length + 1` ids each, cut out one by one."""
    return [split.codes[start : start + split.length + 1].tolist() for start in map(int, split.starts[list(indices)])]


def default_params() -> Params:
    return load_params(CHECKOUT / "params.yaml")


def model_params(**changes: Any) -> ModelParams:
    small = {"cell": "LSTM", "hidden_size": 12, "layers": 1, "dropout": 0.0}
    return ModelParams(**{**default_params().model.model_dump(), **small, **changes})


def train_params(**changes: Any) -> TrainParams:
    small = {"device": "cpu", "batch_size": 8, "epochs": 0.05, "validate_every": 20, "log_every": 5}
    return TrainParams(**{**default_params().train.model_dump(), **small, **changes})


def small_model(symbols: int, *, seed: int = 1, classes: int = 0, **changes: Any) -> CharModel:
    """A model as it begins; one that is told of classes where there are any."""
    torch.manual_seed(seed)
    return CharModel(symbols, model_params(conditioning="class" if classes else "none", **changes), classes)


def save_small_model(folder: Path, windows: Path) -> Path:
    """Save an untrained model with the embedded sample's vocabulary in `folder`; the sample is encoded in `windows`."""
    vocabulary = encode_sample(windows).vocabulary
    save_model(folder, small_model(len(vocabulary)), vocabulary, "t" * 64)
    return folder


def save_conditioned_model(folder: Path, windows: Path) -> Path:
    """The same of a model that is told of classes, whose effects are drawn at random."""
    encoded = encode_sample(windows)
    model = small_model(len(encoded.vocabulary), classes=len(AG_NEWS_CLASSES))
    torch.nn.init.normal_(model.initial)
    torch.nn.init.normal_(model.class_head)
    torch.nn.init.normal_(model.get_parameter("rnn.weight_ih_l0")[:, len(encoded.vocabulary) :])
    save_model(folder, model, encoded.vocabulary, "t" * 64, encoded.train.class_counts)
    return folder


def small_training(encoded: Encoded, model: dict[str, Any] | None = None, **changes: Any) -> Training:
    network = small_model(len(encoded.vocabulary), **(model or {}))
    return Training(network, encoded.train, encoded.valid, train_params(**changes), Group())
