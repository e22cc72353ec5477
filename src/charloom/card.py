"""What a run states: its parameters, where it ran, and the digests of its data."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from charloom.corpus import SPLITS, read_source
from charloom.device import describe_device
from charloom.errors import InputError
from charloom.params import Params


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
    tags: Mapping[str, str]
    datasets: Sequence[Dataset]


def make_card(params: Params, raw: Path, device: torch.device, keys: Mapping[str, str]) -> Card:
    """The card of a run on this machine with these parameters; `keys` are its train_key and the like."""
    return Card(_name(params), params.flat(), {**_environment(device), **_git(), **keys}, _datasets(raw))


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
    return os.environ.get("DVC_EXP_NAME") or f"{model.cell}-{model.hidden_size}x{model.layers} {params.data.source}"


def _environment(device: torch.device) -> dict[str, str]:
    tags = {
        "device": describe_device(device),
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "charloom": _version(),
        "mlflow.source.name": "dvc.yaml",  # MLflow's pages show the commit beside it
        "mlflow.source.type": "LOCAL",
        "cuda": torch.version.cuda,
        "dvc_experiment": os.environ.get("DVC_EXP_NAME"),
    }
    return {name: value for name, value in tags.items() if value}


def _version() -> str | None:
    try:
        return version("charloom")
    except PackageNotFoundError:  # run from src/, not installed
        return None


def _git() -> dict[str, str]:
    """The commit of the checkout and whether it has changes; nothing outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        dirty = bool(git("status", "--porcelain"))
        return {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git_dirty": str(dirty).lower()}
    except (OSError, subprocess.CalledProcessError):
        return {}
