"""The embedded sample, encoded, and small models and trainings on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from charloom.corpus.articles import read_articles
from charloom.corpus.sources import AG_NEWS_CLASSES, SAMPLE
from charloom.model.counting import make_memory
from charloom.model.network import CharModel
from charloom.model.saved import save_model
from charloom.params import ModelParams, Params, TrainParams
from charloom.params_file import load_params
from charloom.text.encode import encode_splits
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.checkpoint import Checkpoints
from charloom.training.history import Record
from charloom.training.loop import Training, run_training
from charloom.training.parallel import Group
from tests.conftest import CHECKOUT


@dataclass(frozen=True)
class Encoded:
    """The vocabulary of the embedded sample, and its splits with windows of 20 symbols."""

    vocabulary: Vocabulary
    train: EncodedSplit
    valid: EncodedSplit
    test: EncodedSplit


def encode_sample(folder: Path, *, scope: str = "stream", stride: int = 20, characters: int | None = None) -> Encoded:
    """Encode the embedded sample with a vocabulary of all its characters, or of so many."""
    texts = (article.text for article in read_articles(SAMPLE / "train.csv"))
    vocabulary = Vocabulary.build(texts, max_size=characters)
    params = default_params().windows.model_copy(update={"length": 20, "stride": stride, "scope": scope})
    encode_splits(SAMPLE, folder, vocabulary, params, valid_fraction=0.05, seed=1, class_names=AG_NEWS_CLASSES)
    return Encoded(vocabulary, *(EncodedSplit.load(folder / split) for split in ("train", "valid", "test")))


def windows_of(split: EncodedSplit, indices: Iterable[int]) -> list[list[int]]:
    """The ids of the windows with these indices, `length + 1` ids each, cut out one by one."""
    starts = split.starts_of(list(indices))
    return [split.codes[start : start + split.length + 1].tolist() for start in starts.tolist()]


def default_params() -> Params:
    return load_params(CHECKOUT / "params.yaml")


def model_params(**changes: Any) -> ModelParams:
    small = {"cell": "LSTM", "hidden_size": 12, "layers": 1, "dropout": 0.0, "memory": 0, "class_embedding": 64}
    return ModelParams(**{**default_params().model.model_dump(), **small, **changes})


def train_params(**changes: Any) -> TrainParams:
    small = {"device": "cpu", "batch_size": 8, "epochs": 0.05, "validate_every": 20, "log_every": 5}
    return TrainParams(**{**default_params().train.model_dump(), **small, **changes})


def small_model(symbols: int, *, seed: int = 1, classes: int = 0, **changes: Any) -> CharModel:
    """A small model with its initial weights, conditioned if `classes` is not 0. `changes` are other parameters."""
    torch.manual_seed(seed)
    return CharModel(symbols, model_params(conditioning="class" if classes else "none", **changes), classes)


def remembering_model(encoded: Encoded, *, memory: int = 4, **changes: Any) -> CharModel:
    """A small model whose memory of this order has counted the training split. Order 0 gives a model without a memory.

    The output layer and the gate of the memory begin at zero. Here they are random, so that the hidden state matters.
    """
    model = small_model(len(encoded.vocabulary), memory=memory, **changes)
    if memory:
        codes = torch.from_numpy(encoded.train.codes.astype(np.int64))
        model.memory = make_memory(codes, model.symbols, encoded.vocabulary.eos, memory)
        torch.nn.init.normal_(model.head.weight, std=0.5)
        torch.nn.init.normal_(model.memory_gate.weight, std=0.1)
    return model


def save_small_model(folder: Path, windows: Path, *, memory: int = 0) -> Path:
    """Encode the sample into `windows`, and save an untrained model with the sample's vocabulary in `folder`."""
    encoded = encode_sample(windows)
    save_model(folder, remembering_model(encoded, memory=memory), encoded.vocabulary, "t" * 64)
    return folder


def save_conditioned_model(folder: Path, windows: Path) -> Path:
    """Do the same as `save_small_model`, but with a conditioned model whose classes have random effects.

    Its memory counts the classes.
    """
    encoded = encode_sample(windows)
    changes = {"classes": len(AG_NEWS_CLASSES), "memory": 4, "class_memory": 3}
    model = small_training(encoded, changes).model
    torch.nn.init.normal_(model.initial)
    torch.nn.init.normal_(model.class_head)
    torch.nn.init.normal_(model.get_parameter("rnn.0.weight_ih_l0")[:, len(encoded.vocabulary) :])
    save_model(folder, model, encoded.vocabulary, "t" * 64, encoded.train.class_counts)
    return folder


def small_training(encoded: Encoded, model: dict[str, Any] | None = None, **changes: Any) -> Training:
    """A short training of a small model. `model` are changes to its model, `changes` to its train parameters."""
    network = small_model(len(encoded.vocabulary), **(model or {}))
    return Training(network, encoded.train, encoded.valid, train_params(**changes), Group())


# Changes to a small model and to its train parameters, chosen so that the variants take different paths in the code.
VARIANTS = [
    pytest.param({}, {}, id="lstm-lanes"),
    pytest.param({"cell": "GRU"}, {"batching": "shuffled"}, id="gru-shuffled"),
    pytest.param({"layers": 2, "dropout": 0.3}, {}, id="two-layers-dropout"),
    pytest.param({"cell": "RNN", "dropout": 0.1}, {"schedule": "constant"}, id="rnn-dropout"),
    pytest.param({"classes": 4, "layers": 2}, {}, id="conditioned-lanes"),
    pytest.param({"classes": 4, "cell": "GRU"}, {"batching": "shuffled"}, id="conditioned-gru-shuffled"),
    pytest.param({"memory": 4, "dropout": 0.1}, {}, id="memory-lanes"),
    pytest.param(
        {"memory": 3, "classes": 4, "cell": "GRU"}, {"batching": "shuffled"}, id="memory-conditioned-shuffled"
    ),
]


def never() -> bool:
    return False


def run(training: Training, folder: Path, *, stop_after: int | None = None) -> list[Record]:
    """Train to the end, or stop after the step `stop_after`. Returns the records that a listener received."""
    heard: list[Record] = []
    stopping = never if stop_after is None else lambda: training.step >= stop_after
    run_training(training, Checkpoints(folder), [heard.append], stopping)
    return heard


def same_weights(a: Training, b: Training) -> bool:
    pairs = zip(a.model.state_dict().values(), b.model.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def check_gradients(model: CharModel, classes: Tensor | None) -> None:
    """Compare the gradient of each parameter, at its largest entry, with the slope of the loss (a finite difference).

    The loss is that of two random texts, each with five inputs. `classes` are the class ids of these inputs.
    """
    model = model.double()
    ids = torch.randint(model.symbols, (6, 2))

    def loss() -> Tensor:
        return F.cross_entropy(model(ids[:-1], classes=classes)[0].flatten(0, 1), ids[1:].flatten())

    loss().backward()
    for weights in model.parameters():
        assert weights.grad is not None
        place = int(weights.grad.abs().argmax())
        slope = (loss_with(place, 1e-5, weights, loss) - loss_with(place, -1e-5, weights, loss)) / 2e-5
        assert weights.grad.view(-1)[place].item() == pytest.approx(slope, rel=1e-5)


def loss_with(place: int, change: float, weights: Tensor, loss: Callable[[], Tensor]) -> float:
    """The loss while the weight at index `place` is increased by `change`."""
    with torch.no_grad():
        before = weights.view(-1)[place].item()
        weights.view(-1)[place] = before + change
        changed = loss().item()
        weights.view(-1)[place] = before
    return changed


def history(records: int) -> list[Record]:
    """A falling curve. Every other record and the last one have a validation."""
    return [
        Record(step, step / 10, step * 1000, 0.01, 1.0, 3 / step, 4 / step, *((3.1 / step, 4.1 / step) * validated))
        for step in range(1, records + 1)
        for validated in [int(step % 2 == 0 or step == records)]
    ]
