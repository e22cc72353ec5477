"""What the subcommands share that use a model: the options --model and --device, and loading the model."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charloom.errors import InputError, say
from charloom.text.texts import name_unknown

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel

Command = TypeVar("Command", bound=Callable[..., Any])


def model_options(command: Command) -> Command:
    """Add the options --model and --device to a command."""
    command = click.option(
        "--device",
        default="auto",
        show_default=True,
        help="The device that computes: cpu, cuda (an NVIDIA GPU) or mps (an Apple GPU). auto takes a GPU if there is"
        " one.",
    )(command)
    return click.option(
        "--model",
        "folder",
        type=click.Path(path_type=Path),
        default=Path("models/charloom"),
        show_default=True,
        help="The folder of the model: it contains model.safetensors and model.json.",
    )(command)


def open_model(folder: Path, device: str) -> SavedModel:
    """Load the model in a folder onto a device. Raises InputError if the model or the device does not exist."""
    from charloom.model.device import choose_device, set_threads
    from charloom.model.saved import load_model  # loads torch, which takes two seconds: --help must not wait for it

    if not (folder / "model.json").exists():
        raise InputError(
            f"{folder}: no model here (no model.json); train one with `dvc repro`, or name its folder with --model"
        )
    chosen = choose_device(device, "--device")
    set_threads("auto")
    return load_model(folder, chosen)


def warn(message: str) -> None:
    """Print a warning to stderr."""
    say(f"warning: {message}", sys.stderr)


def warn_of_unknown(characters: Counter[str], where: str) -> None:
    """Print a warning that names the characters which are not in the vocabulary, if there are any."""
    if characters:
        warn(f"{where}: some characters are not in the vocabulary and are read as <unk>: {name_unknown(characters)}")
