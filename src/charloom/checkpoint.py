"""Saving and resuming, atomically and without pickle: tensors in safetensors, everything else as JSON."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, read_json, write_json, write_text
from charloom.model import CharModel
from charloom.params import ModelParams
from charloom.vocab import Vocabulary

FORMAT, VERSION = "charloom-model", 1
CHECKPOINT_VERSION = 1


def save_model(folder: Path, model: CharModel, vocabulary: Vocabulary, train_key: str) -> str:
    """Write model.safetensors, and model.json that says what it is; gives the SHA-256 of the weights' file."""
    weights = folder / "model.safetensors"
    _save_tensors(weights, {name: tensor.cpu() for name, tensor in model.state_dict().items()}, {})
    digest = file_digest(weights)
    write_json(
        folder / "model.json",
        {
            "format": FORMAT,
            "version": VERSION,
            "model": model.params.model_dump(),
            "model_digest": digest,
            "train_key": train_key,
            "vocabulary": vocabulary.to_json(),
        },
    )
    return digest


class SavedModel(NamedTuple):
    """A model as it lies in a folder: ready to read or write text, with what model.json says of it."""

    model: CharModel
    vocabulary: Vocabulary
    train_key: str
    digest: str  # SHA-256 of model.safetensors


def load_model(folder: Path, device: torch.device | str = "cpu") -> SavedModel:
    """The model that `save_model` wrote; raises InputError where the folder does not hold one."""
    about = read_json(folder / "model.json", kind=FORMAT, version=VERSION)
    try:
        params = ModelParams.model_validate(about.get("model"))
        vocabulary = Vocabulary.from_json(about["vocabulary"], str(folder / "model.json"))
    except (ValidationError, KeyError, AttributeError):
        raise InputError(f"{folder / 'model.json'}: not a model's description") from None
    with torch.device("meta"):  # shapes only: no memory is taken for sizes that a hostile file claims
        model = CharModel(len(vocabulary), params)
    expected = {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()}
    weights = folder / "model.safetensors"
    tensors, _ = _load_tensors(weights)
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    if found != expected or file_digest(weights) != about.get("model_digest"):
        raise InputError(f"{weights}: not the weights that model.json beside it describes")
    model.load_state_dict(tensors, assign=True)
    return SavedModel(model.to(device).eval(), vocabulary, str(about.get("train_key")), about["model_digest"])


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to go on: tensors by name, and the rest as JSON values."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training, in a folder named by its key: the last one and the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finished = folder / "finished"
        self._next = folder / "next.safetensors"
        self._last = folder / "last.safetensors"
        self._previous = folder / "previous.safetensors"

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint to disk; until it is whole there, the last one stays what `load` gives."""
        with atomic_path(self._next) as temporary:
            metadata = {"version": CHECKPOINT_VERSION, **checkpoint.state}
            _write_tensors(temporary, checkpoint.tensors, {"charloom": json.dumps(metadata)})
        if self._last.exists():
            self._last.replace(self._previous)
        self._next.replace(self._last)

    def load(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None; a damaged one is passed over with a warning."""
        for path in (self._next, self._last, self._previous):
            if path.exists():
                try:
                    tensors, metadata = _load_tensors(path)
                    state = json.loads(metadata["charloom"])
                except (InputError, KeyError, ValueError) as error:
                    print(f"warning: passing over a damaged checkpoint: {error}", flush=True)
                    continue
                if state.pop("version", None) == CHECKPOINT_VERSION:
                    return Checkpoint(tensors, state)
        return None

    def note_finished(self, result: Path) -> None:
        """Note which file came out of this training."""
        write_text(self._finished, file_digest(result, "md5"))

    def forget_if_recorded(self, lock: Path) -> None:
        """Remove the checkpoints of a training whose result dvc.lock holds: it is to be done again on purpose.

        Where dvc was killed before it recorded the result, they stay, and the training is over at once.
        """
        if self._finished.exists() and lock.exists() and self._finished.read_text() in lock.read_text():
            shutil.rmtree(self.folder)


def _save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    with atomic_path(path) as temporary:
        _write_tensors(temporary, tensors, metadata)


def _write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)


def _load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not readable as safetensors: {error}") from None
