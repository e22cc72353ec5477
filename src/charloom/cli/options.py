"""For the subcommands that use a model: the options --model and --device, loading the model, and warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from charloom.errors import InputError, say

if TYPE_CHECKING:
    from charloom.model.saved import SavedModel

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
        "folder",
        type=click.Path(path_type=Path),
        default=Path("models/charloom"),
        show_default=True,
        help="The folder that contains the model: the files model.safetensors and model.json.",
    )(command)


def open_model(folder: Path, device: str) -> SavedModel:
    """Load the model in a folder onto a device. Raises InputError if the model or the device does not exist."""
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


def warn(message: str) -> None:
    """Print a warning to stderr."""
    say(f"warning: {message}", sys.stderr)
