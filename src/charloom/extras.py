"""What an install may lack: torchtext, whose last release loads beside torch 2.3 alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from charloom.errors import InputError


def load_torchtext() -> Any:
    """torchtext with its corpora and vocabularies, without its warning that it is archived.

    Raises InputError, naming the extra, where it is missing or does not load beside this torch.
    """
    try:
        torchtext = import_module("torchtext")
        torchtext.disable_torchtext_deprecation_warning()
        for module in ("datasets", "vocab"):
            import_module(f"torchtext.{module}")
    except (ImportError, OSError) as error:
        raise InputError(
            f"torchtext cannot be loaded ({error}); it runs beside torch 2.3 alone: in an environment of its own,"
            " pip install 'charloom[torchtext]', or `make install-torchtext` in a checkout"
        ) from None
    return torchtext
