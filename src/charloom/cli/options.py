"""For the subcommands that use a model: the options --model and --device, and loading the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charloom.errors import InputError
from charloom.files import user_path

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel

ADDRESSES = ("runs:/", "models:/")  # beginnings of the addresses of models in MLflow

Command = TypeVar("Command", bound=Callable[..., Any])


def model_options(command: Command) -> Command:
    """Add the options --model and --device to a command."""
    command = click.option(
        "--device",
        default="auto",
        show_default=True,
        help="Where to compute: cpu, cuda (an NVIDIA GPU), mps (an Apple GPU), or auto (an NVIDIA GPU if torch can use"
        " one, else the CPU).",
    )(command)
    return click.option(
        "--model",
        "model",
        metavar="FOLDER|RUN|ADDRESS",
        default="models/charloom",
        show_default=True,
        help="The model: a folder with the files model.safetensors and model.json, or a model in MLflow. A model in"
        " MLflow is the name of a run, the beginning of its id, or an address: runs:/ID, models:/NAME@best (see"
        " `charloom promote`) or models:/NAME/VERSION.",
    )(command)


def open_model(model: str, device: str) -> SavedModel:
    """Load a model, named as --model names it, onto a device.

    Raises InputError if the model or the device does not exist.
    """
    folder = folder_of(model)
    # These imports load torch, which takes two seconds. --help must not wait for torch.
    from charloom.model.device import choose_device, set_threads
    from charloom.model.saved import load_model

    if not (folder / "model.json").exists():
        raise InputError(
            f"{folder}: no model here (no model.json); train one with `dvc repro`, or give the folder of a model with"
            " --model"
        )
    chosen = choose_device(device, "--device")
    set_threads("auto")
    return load_model(folder, chosen)


def folder_of(model: str) -> Path:
    """The folder with the files of a model, named as --model names it. A model in MLflow is downloaded into a cache."""
    folder = user_path(model)  # a shell does not replace the ~ of --model=~/folder
    if folder.exists() or not (model.startswith(ADDRESSES) or folder.name == model):
        return folder
    from charloom.params_file import load_params
    from charloom.tracking.registry import fetch_model  # loads MLflow; a model in a folder must not wait for it
    from charloom.tracking.store import tracker_needed

    with tracker_needed():
        return fetch_model(load_params().tracking, model)
