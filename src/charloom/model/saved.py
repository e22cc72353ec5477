"""A trained model in a folder: the weights in model.safetensors, everything else in model.json. Nothing is pickled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from charloom.corpus.articles import AG_NEWS_FORM
from charloom.errors import InputError
from charloom.files import atomic_path, file_digest, read_json, write_json
from charloom.model.memory import Memory
from charloom.model.network import CharModel
from charloom.params import CorpusForm, ModelParams
from charloom.text.split import ClassCount
from charloom.text.vocab import Vocabulary

FORMAT, VERSION = "charloom-model", 1
MAX_HEADER_BYTES = 1 << 20  # the largest header of a safetensors file that is read
TRAIN_KEY = re.compile(r"[0-9A-Za-z-]{1,64}")
# The model parameters that older model.json files do not state, with the values that reproduce the older models.
UNSTATED = {
    "conditioning": "none",
    "class_dropout": 0.1,
    "class_embedding": 0,
    "memory": 0,
    "memory_characters": 1,
    "class_memory": 0,
}
CLASS_COUNTS = TypeAdapter(list[ClassCount])
TEMPERATURE: TypeAdapter[float] = TypeAdapter(Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)])

MEMORY = "memory."  # the names of the memory's tensors begin with this word

TensorSpec = tuple[torch.Size, torch.dtype]


class SavedModel(NamedTuple):
    """A model that was read from a folder, ready to score and to draw text, with the facts in model.json."""

    model: CharModel
    vocabulary: Vocabulary
    train_key: str  # the digest of everything that decided the training
    digest: str  # the SHA-256 of model.safetensors
    class_counts: Sequence[ClassCount] = ()  # of a conditioned model: each class, and its number of training articles
    class_temperature: float = 1.0  # charloom/evaluation/classification.py divides the evidence for a class by it
    corpus_form: CorpusForm = AG_NEWS_FORM  # of the files that the model was trained on

    def class_names(self) -> list[str]:
        """The names of the classes, by class id. Raises InputError if the model is not conditioned."""
        if not self.class_counts:
            raise InputError("this model has no classes; train one with model.conditioning: class")
        return [each.name for each in self.class_counts]

    def class_named(self, name: str) -> int:
        """The id of the class with this name. Raises InputError if the model has no such class."""
        names = self.class_names()
        if name not in names:
            raise InputError(f"class {name!r}: must be one of {', '.join(names)}")
        return names.index(name)


def save_model(
    folder: Path,
    model: CharModel,
    vocabulary: Vocabulary,
    train_key: str,
    class_counts: Sequence[ClassCount] = (),
    class_temperature: float = 1.0,
    corpus_form: CorpusForm = AG_NEWS_FORM,
) -> str:
    """Write model.safetensors, then model.json. Returns the SHA-256 of model.safetensors.

    `class_counts` are the classes of a conditioned model in the order of their ids. `corpus_form` decides nothing in
    the model. It says how the files of its corpus were read.
    """
    weights = folder / "model.safetensors"
    with atomic_path(weights) as temporary:
        # Not safetensors' save_file: if the disk is full it raises no OSError, so the user would not see the reason.
        temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in _tensors(model).items()}))
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
            "classes": [each.model_dump() for each in class_counts],
            "class_temperature": class_temperature,
            "corpus": corpus_form.model_dump(),
        },
    )
    return digest


def load_model(folder: Path | str, device: torch.device | str = "cpu") -> SavedModel:
    """Read a model that `save_model` wrote. Raises InputError if the folder has no model, or a damaged one."""
    about_path, weights = Path(folder, "model.json"), Path(folder, "model.safetensors")
    about = read_json(about_path, kind=FORMAT, version=VERSION)
    try:
        params = ModelParams.model_validate(UNSTATED | about["model"])
        vocabulary = Vocabulary.from_json(about["vocabulary"], str(about_path))
        class_counts = CLASS_COUNTS.validate_python(about.get("classes", []))
        class_temperature = TEMPERATURE.validate_python(about.get("class_temperature", 1.0))
        # A model.json without this entry is older, and so is one that lacks a part of it.
        corpus_form = CorpusForm.model_validate(AG_NEWS_FORM.model_dump() | about.get("corpus", {}))
    except (ValidationError, KeyError, AttributeError, TypeError):
        raise InputError(f"{about_path}: not the description of a model") from None
    with torch.device("meta"):  # shapes without data, so a hostile file that states a huge size takes no memory
        model = CharModel(len(vocabulary), params, len(class_counts))
    if model.conditioned != bool(class_counts):
        raise InputError(f"{about_path}: model.conditioning and the list of classes contradict each other")
    size = None if params.memory else sum(tensor.nbytes for tensor in model.state_dict().values())
    tensors = {_new_name(name): tensor for name, tensor in _load_tensors(weights, size).items()}
    stored = {name.removeprefix(MEMORY): tensors.pop(name) for name in list(tensors) if name.startswith(MEMORY)}
    if tensor_specs(tensors) != tensor_specs(model.state_dict()) or file_digest(weights) != about.get("model_digest"):
        raise InputError(f"{weights}: not the weights that model.json describes")
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise InputError(f"{weights}: some weights are not finite numbers")
    key = about.get("train_key")
    if not (isinstance(key, str) and TRAIN_KEY.fullmatch(key)):  # MLflow queries will contain the key
        raise InputError(f"{about_path}: train_key is missing or malformed")
    model.load_state_dict(tensors, assign=True)
    if stored or params.memory:
        model.memory = _make_memory(stored, model, vocabulary, weights)
    digest = about["model_digest"]
    return SavedModel(model.to(device).eval(), vocabulary, key, digest, class_counts, class_temperature, corpus_form)


def _tensors(model: CharModel) -> dict[str, Tensor]:
    """The tensors of model.safetensors: the weights, and the counts of the memory, if the model has one."""
    stored = {} if model.memory is None else model.memory.stored
    return model.state_dict() | {MEMORY + name: tensor for name, tensor in stored.items()}


def _make_memory(stored: Mapping[str, Tensor], model: CharModel, vocabulary: Vocabulary, path: Path) -> Memory:
    """The memory whose tensors were in the file `path`. Raises InputError if they are not those of such a model."""
    params = model.params
    if not (stored and params.memory):
        found = "has" if stored else "lacks"
        raise InputError(f"{path}: {found} an n-gram memory, but model.json states model.memory: {params.memory}")
    try:
        memory = Memory.from_stored(stored, len(vocabulary), vocabulary.eos, model.classes_in_memory)
    except ValueError as error:
        raise InputError(f"{path}: the n-gram memory is damaged: {error}") from None
    for name, counts in (("memory", memory.counts), ("class_memory", memory.by_class)):
        if counts and counts.order > (stated := getattr(params, name)):  # a short text can have a lower order
            raise InputError(f"{path}: the n-gram memory has order {counts.order}, but model.{name} is {stated}")
    return memory


def _new_name(name: str) -> str:
    """The present name of a tensor. In older files, one module has all layers: `rnn.weight_ih_l1`."""
    return re.sub(r"rnn\.(\w+)_l(\d+)", r"rnn.\2.\1_l0", name)


def tensor_specs(tensors: Mapping[str, Tensor]) -> dict[str, TensorSpec]:
    """The shape and type of each tensor, by its name."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _load_tensors(path: Path, size: int | None) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises InputError if it has more bytes than `size` and a header.

    None means that any size is allowed. The parameters of a model do not decide the size of its memory.
    """
    try:
        if size is not None and path.stat().st_size > size + MAX_HEADER_BYTES:
            raise InputError(f"{path}: larger than the weights that model.json describes")
        return load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not readable as safetensors: {error}") from None
