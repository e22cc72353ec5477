"""What the subcommands that use a model share: its options, and the model itself."""

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
    """--model and --device."""
    click.option(
        "--device", default="auto", show_default=True, help="auto (cuda, then mps, then cpu), or one of these."
    )(command)
    return click.option(
        "--model",
        "folder",
        type=click.Path(path_type=Path),
        default=Path("models/charloom"),
        show_default=True,
        help="The folder of model.safetensors and model.json.",
    )(command)


def open_model(folder: Path, device: str) -> SavedModel:
    """The model in a folder, on a device; raises InputError where either is not there."""
    from charloom.model.device import choose_device, set_threads
    from charloom.model.saved import load_model  # torch: two seconds that --help need not wait

    if not (folder / "model.json").exists():
        raise InputError(
            f"{folder}: no model here (no model.json); train one with `dvc repro`, or name it with --model"
        )
    chosen = choose_device(device, "--device")
    set_threads("auto")
    return load_model(folder, chosen)


def warn(message: str) -> None:
    """Say on stderr what a user should know."""
    say(f"warning: {message}", sys.stderr)


def warn_of_unknown(characters: Counter[str], where: str) -> None:
    """Name the characters of a text that the vocabulary lacks, if there are any."""
    if characters:
        warn(f"{where}: the vocabulary lacks some characters, read as <unk>: {name_unknown(characters)}")
