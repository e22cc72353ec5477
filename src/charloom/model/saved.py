"""Saving and resuming, atomically and without pickle: tensors in safetensors, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor

from charloom.errors import InputError, say
from charloom.files import atomic_path, exclusive, file_digest, read_json, write_json, write_text
from charloom.model.network import CharModel
from charloom.params import ModelParams
from charloom.text.vocab import Vocabulary
from charloom.text.windows import Topic

FORMAT, VERSION = "charloom-model", 1
CHECKPOINT_VERSION = 2
MAX_HEADER_BYTES = 1 << 20  # of a safetensors file
Layout = dict[str, tuple[torch.Size, torch.dtype]]
KEY = re.compile(r"[0-9A-Za-z-]{1,64}")
UNSTATED = {"conditioning": "none", "class_dropout": 0.1, "class_embedding": 0}  # in older files
TOPICS = TypeAdapter(list[Topic])


def save_model(
    folder: Path, model: CharModel, vocabulary: Vocabulary, train_key: str, topics: Sequence[Topic] = ()
) -> str:
    """Write model.safetensors, and model.json that says what it is; gives the SHA-256 of the weights' file.

    `topics` are the classes of a conditioned model's training articles.
    """
    weights = folder / "model.safetensors"
    with atomic_path(weights) as temporary:
        # not save_file, whose errors are not the operating system's: this names a full disk
        temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}))
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
            "classes": [topic.model_dump() for topic in topics],
        },
    )
    return digest


class SavedModel(NamedTuple):
    """A model as it lies in a folder: ready to read or write text, with what model.json says of it."""

    model: CharModel
    vocabulary: Vocabulary
    train_key: str
    digest: str  # SHA-256 of model.safetensors
    topics: Sequence[Topic] = ()  # the classes of a conditioned model

    def class_names(self) -> list[str]:
        """The names of its classes; raises InputError where the model was told of none."""
        if not self.topics:
            raise InputError("the model knows no classes; train one with model.conditioning: class")
        return [topic.name for topic in self.topics]

    def class_named(self, name: str) -> int:
        """The class of that name; raises InputError where the model was told of no such class."""
        names = self.class_names()
        if name not in names:
            raise InputError(f"class {name!r}: must be one of {', '.join(names)}")
        return names.index(name)


def load_model(folder: Path, device: torch.device | str = "cpu") -> SavedModel:
    """The model that `save_model` wrote; raises InputError where the folder does not hold one."""
    about = read_json(folder / "model.json", kind=FORMAT, version=VERSION)
    try:
        params = ModelParams.model_validate(UNSTATED | about["model"])
        vocabulary = Vocabulary.from_json(about["vocabulary"], str(folder / "model.json"))
        topics = TOPICS.validate_python(about.get("classes", []))
    except (ValidationError, KeyError, AttributeError, TypeError):
        raise InputError(f"{folder / 'model.json'}: not a model's description") from None
    with torch.device("meta"):  # shapes only: no memory is taken for sizes that a hostile file claims
        model = CharModel(len(vocabulary), params, len(topics))
    if model.conditioned != bool(topics):
        raise InputError(f"{folder / 'model.json'}: a conditioned model has classes, and no other")
    weights = folder / "model.safetensors"
    tensors = _load_tensors(weights, sum(tensor.nbytes for tensor in model.state_dict().values()))
    if layout_of(tensors) != layout_of(model.state_dict()) or file_digest(weights) != about.get("model_digest"):
        raise InputError(f"{weights}: not the weights that model.json beside it describes")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise InputError(f"{weights}: holds weights that are not finite numbers")
    key = about.get("train_key")
    if not (isinstance(key, str) and KEY.fullmatch(key)):  # it goes into MLflow's queries
        raise InputError(f"{folder / 'model.json'}: its train_key is none")
    model.load_state_dict(tensors, assign=True)
    return SavedModel(model.to(device).eval(), vocabulary, key, about["model_digest"], topics)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training needs to go on: tensors by name, and the rest as JSON values."""

    tensors: dict[str, Tensor]  # named group.name
    state: dict[str, Any]

    def group(self, group: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names in it."""
        prefix = f"{group}."
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """A safetensors file, the JSON values and the digest of it all in tensors of bytes."""
        text = json.dumps({"version": CHECKPOINT_VERSION, **self.state}, allow_nan=False).encode()
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()} | {"json": _bytes_tensor(text)}
        return save({**tensors, "sha256": _bytes_tensor(_tensors_digest(tensors))})

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """What `to_bytes` gave. Raises ValueError where it is damaged or of another version."""
        try:
            tensors = load(data)
            digest = tensors.pop("sha256").numpy().tobytes()
            if digest != _tensors_digest(tensors):
                raise ValueError("a damaged checkpoint")
            state = json.loads(tensors.pop("json").numpy().tobytes())
        except (SafetensorError, KeyError, RecursionError) as error:
            raise ValueError(f"not a checkpoint: {error}") from None
        if not isinstance(state, dict) or state.pop("version", None) != CHECKPOINT_VERSION:
            raise ValueError("a checkpoint of another format version")
        return cls(tensors, state)


class Checkpoints:
    """The checkpoints of one training, in a folder named by its key: the last one and the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finished = folder / "finished"
        self._next = folder / "next.safetensors"
        self._last = folder / "last.safetensors"
        self._previous = folder / "previous.safetensors"

    def __str__(self) -> str:
        return str(self._folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold them against another training with the same key, and clear away what a killed one was writing."""
        with exclusive(self._folder.with_suffix(".lock"), "the checkpoints of this very training"):
            for unfinished in self._folder.glob(".*.tmp"):
                unfinished.unlink()
            yield

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint to disk; until it is whole there, the last one stays what `read` gives."""
        with atomic_path(self._next) as temporary:
            temporary.write_bytes(checkpoint.to_bytes())
        if self._last.exists():
            self._last.replace(self._previous)
        self._next.replace(self._last)

    def read(self) -> bytes | None:
        """The newest whole checkpoint, or None where there is none; damaged ones are passed over with a warning."""
        for path in (self._next, self._last, self._previous):
            if path.exists():
                data = path.read_bytes()
                try:
                    Checkpoint.from_bytes(data)
                except ValueError as error:
                    say(f"warning: {path}: passing over {error}")
                else:
                    return data
        return None

    def note_finished(self, result: Path) -> None:
        """Note which file came out of this training."""
        write_text(self._finished, file_digest(result, "md5"))

    def forget_if_recorded(self, lock: Path) -> None:
        """Remove the checkpoints of a training whose result dvc.lock holds: it is to be done again on purpose.

        Where dvc was killed before it recorded the result, they stay, and the training is over at once.
        """
        if self._finished.exists() and lock.exists() and self._finished.read_text() in lock.read_text():
            shutil.rmtree(self._folder)


def layout_of(tensors: Mapping[str, Tensor]) -> Layout:
    """The shape and type of each tensor."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _bytes_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _tensors_digest(tensors: Mapping[str, Tensor]) -> bytes:
    """The SHA-256 of contiguous tensors with their names, types and shapes: a flipped bit is no checkpoint."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def _load_tensors(path: Path, size: int) -> dict[str, Tensor]:
    try:
        if path.stat().st_size > size + MAX_HEADER_BYTES:
            raise InputError(f"{path}: larger than the weights that model.json beside it describes")
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not readable as safetensors: {error}") from None
