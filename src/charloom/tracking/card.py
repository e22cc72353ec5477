"""The card of a run: its name, its parameters, where its model was trained, and the digests of its data."""

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
from charloom.files import main_checkout, read_json, value_digest, write_json
from charloom.model.device import describe_device
from charloom.model.saved import SavedModel
from charloom.params import Params
from charloom.secrets import without_secrets
from charloom.stage import STATE
from charloom.training.keys import evaluate_key

FORMAT, VERSION = "charloom-card", 1
# Names of tags
DVC_EXPERIMENT = "dvc_experiment"
COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True)
class Dataset:
    """A corpus file that a run read."""

    name: str
    digest: str  # MD5 of the file
    source: str  # where the file came from
    context: str  # MLflow's word for what a dataset was used for: `train` or `test`


@dataclass(frozen=True)
class Card:
    """Everything that a run states except its metrics and files."""

    name: str
    model: str  # the model in words, such as `LSTM, 1 layer of 256 units`
    params: Mapping[str, Any]
    place: Mapping[str, str]  # tags that say where the model was trained: the commit, the machine, DVC's experiment
    keys: Mapping[str, str]  # tags by which the run is found: train_key, then also model_digest and evaluate_key
    datasets: Sequence[Dataset]

    @property
    def tags(self) -> dict[str, str]:
        """All tags of the run."""
        return {**self.place, **self.keys}

    def trained_on(self, device: torch.device) -> Card:
        """The same card with the tags of this machine. `device` is the device that trains."""
        return replace(self, place={**self.place, **_machine(device)})


def make_card(params: Params, raw: Path, keys: Mapping[str, str]) -> Card:
    """The card of a run with these parameters. `raw` is the folder of the corpus. `keys` are as in Card."""
    place = {**_dvc_experiment(), **_git_state()}
    return Card(_name(params), params.model.in_words, params.flat(), place, keys, _datasets(raw))


def evaluation_card(params: Params, saved: SavedModel, data: Path) -> Card:
    """The card of an evaluation of the model `saved`. `data` is the folder with the corpus and the encoded splits."""
    key = evaluate_key(params, data / "windows", saved.digest)
    keys = {"train_key": saved.train_key, "model_digest": saved.digest, "evaluate_key": key}
    return make_card(params, data / "raw", keys)


def note_training(card: Card) -> None:
    """Write a note of the training's name and place into a file of the main checkout. `as_trained` reads the note."""
    noted = {"format": FORMAT, "version": VERSION, "name": card.name, "place": dict(card.place)}
    write_json(_note(card), noted)


def as_trained(card: Card) -> Card:
    """The card of an evaluation, with the name and place of the training that made the model.

    A run that is made after its training gets this card. The name and place come from the note of the training. If the
    current process belongs to an experiment of DVC's, the name of that experiment replaces the name in the note.

    If there is no note, the model was trained in another checkout. The card then has the tag `trained: elsewhere` and
    no tags of a machine.
    """
    if not _note(card).exists():
        return replace(card, place={**card.place, "trained": "elsewhere"})
    noted = read_json(_note(card), kind=FORMAT, version=VERSION)
    experiment = _dvc_experiment()
    return replace(card, name=card.name if experiment else noted["name"], place={**noted["place"], **experiment})


def _note(card: Card) -> Path:
    return main_checkout() / STATE / "cards" / f"{card.keys['train_key']}.json"


def _datasets(raw: Path) -> list[Dataset]:
    """The files of the corpus, as source.json states them. Empty without source.json, which train does not need."""
    try:
        source = read_source(raw)
    except InputError:
        return []
    return [
        Dataset(f"{source['source']}/{split}.csv", source[split]["md5"], source[split]["origin"], split)
        for split in SPLITS
    ]


def _name(params: Params) -> str:
    """The name of DVC's experiment. Outside an experiment, the name consists of the model and the corpus."""
    made = f"{params.model.short_name} {without_secrets(params.data.source)}"
    return _dvc_experiment().get(DVC_EXPERIMENT) or made


def _dvc_experiment() -> dict[str, str]:
    """The tag with the name of DVC's experiment in which this process runs. Empty outside an experiment."""
    name = os.environ.get("DVC_EXP_NAME")
    return {DVC_EXPERIMENT: name} if name else {}


def _machine(device: torch.device) -> dict[str, str]:
    tags = {
        "device": describe_device(device),
        "host": platform.node(),
        "checkout": checkout(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "charloom": _installed_version(),
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version() or "") if torch.version.cuda else None,
    }
    return {name: value for name, value in tags.items() if value}


def checkout() -> str:
    """A short digest of the path of the main checkout. It tells apart two checkouts on one machine."""
    return value_digest(str(main_checkout()))[:12]


def _installed_version() -> str | None:
    """The version of the installed charloom. None if charloom runs from src/ without being installed."""
    try:
        return version("charloom")
    except PackageNotFoundError:
        return None


def _git_state() -> dict[str, str]:
    """Tags with the commit of the checkout, and whether files differ from the commit.

    Empty outside git and before the first commit.
    """
    changes, head = git("status", "--porcelain"), git("rev-parse", "HEAD")
    if changes is None or head is None:
        return {}
    tags = {COMMIT: head.strip(), "git_dirty": str(bool(changes.strip())).lower()}
    return tags | {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL"}  # MLflow's pages show both


def git(*arguments: str) -> str | None:
    """The output of a git command. None if the command fails."""
    try:
        return subprocess.run(
            ["git", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
