"""What a run states: its parameters, where it ran, and the digests of its data."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from charloom.corpus.articles import SPLITS, read_source
from charloom.errors import InputError
from charloom.files import main_checkout, read_json, write_json
from charloom.model.device import describe_device
from charloom.model.saved import SavedModel
from charloom.params import Params
from charloom.stage import STATE
from charloom.training.keys import evaluate_key

FORMAT, VERSION = "charloom-card", 1
EXPERIMENT = "dvc_experiment"
COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Dataset:
    """A file that a run read: its digest, where it came from, and what for."""

    name: str
    digest: str
    source: str
    context: str


@dataclass(frozen=True)
class Card:
    """All that a run states before its first number."""

    name: str
    params: Mapping[str, Any]
    place: Mapping[str, str]  # where it was trained: the commit, the machine, DVC's experiment
    keys: Mapping[str, str]  # what it is found by: train_key and the like
    datasets: Sequence[Dataset]

    @property
    def tags(self) -> dict[str, str]:
        """All tags of the run."""
        return {**self.place, **self.keys}

    def trained_on(self, device: torch.device) -> Card:
        """The card of a training on this machine."""
        return replace(self, place={**self.place, **_machine(device)})


def make_card(params: Params, raw: Path, keys: Mapping[str, str]) -> Card:
    """The card of a run with these parameters; `keys` are its train_key and the like."""
    return Card(_name(params), params.flat(), {**_experiment(), **_git()}, keys, _datasets(raw))


def evaluation_card(params: Params, saved: SavedModel, data: Path) -> Card:
    """The card of an evaluation of a model on the test split in `data`."""
    evaluation = evaluate_key(params, data / "windows", saved.digest)
    keys = {"train_key": saved.train_key, "model_digest": saved.digest, "evaluate_key": evaluation}
    return make_card(params, data / "raw", keys)


def note_training(card: Card) -> None:
    """Keep in the main checkout where a training took place, for a run that is made when it is over."""
    noted = {"format": FORMAT, "version": VERSION, "name": card.name, "place": dict(card.place)}
    write_json(_note(card), noted)


def as_trained(card: Card) -> Card:
    """The card with its training's name and place, unless DVC's experiment here names it.

    Without a note of that the model was trained in another checkout: the card says so, and of no machine.
    """
    if not _note(card).exists():
        return replace(card, place={**card.place, "trained": "elsewhere"})
    noted = read_json(_note(card), kind=FORMAT, version=VERSION)
    experiment = _experiment()
    return replace(card, name=card.name if experiment else noted["name"], place={**noted["place"], **experiment})


def _note(card: Card) -> Path:
    return main_checkout() / STATE / "cards" / f"{card.keys['train_key']}.json"


def _datasets(raw: Path) -> list[Dataset]:
    """The splits as downloaded; none where a stage's inputs came from a DVC remote without them."""
    try:
        source = read_source(raw)
    except InputError:
        return []
    return [
        Dataset(f"{source['source']}/{split}.csv", source[split]["md5"], source[split]["origin"], split)
        for split in SPLITS
    ]


def _name(params: Params) -> str:
    """DVC's name of the experiment where there is one, else what the model is."""
    model = params.model
    return _experiment().get(EXPERIMENT) or f"{model.cell}-{model.hidden_size}x{model.layers} {params.data.source}"


def _experiment() -> dict[str, str]:
    """DVC's name of the experiment that this process runs in, none outside one."""
    name = os.environ.get("DVC_EXP_NAME")
    return {EXPERIMENT: name} if name else {}


def _machine(device: torch.device) -> dict[str, str]:
    tags = {
        "device": describe_device(device),
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "charloom": _version(),
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version() or "") if torch.version.cuda else None,
    }
    return {name: value for name, value in tags.items() if value}


def _version() -> str | None:
    try:
        return version("charloom")
    except PackageNotFoundError:  # run from src/, not installed
        return None


def _git() -> dict[str, str]:
    """The commit of the checkout and whether it has changes; nothing outside git."""

    changes, head = git("status", "--porcelain"), git("rev-parse", "HEAD")
    if changes is None or head is None:
        return {}
    tags = {COMMIT: head.strip(), "git_dirty": str(bool(changes.strip())).lower()}
    return tags | {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}  # MLflow's pages show it beside


def git(*arguments: str) -> str | None:
    """What git says, None where it fails."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
