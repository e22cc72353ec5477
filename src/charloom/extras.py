"""Loads torchtext, an optional dependency. The last release of torchtext works only with torch 2.3."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from charloom.errors import InputError


def load_torchtext() -> Any:
    """Import torchtext, torchtext.datasets and torchtext.vocab, without the warning that torchtext is archived.

    Raises InputError, which names the extra, if torchtext is missing or does not work with the installed torch.
    """
    try:
        torchtext = import_module("torchtext")
        torchtext.disable_torchtext_deprecation_warning()
        for module in ("datasets", "vocab"):
            import_module(f"torchtext.{module}")
    except (ImportError, OSError) as error:
        raise InputError(
            f"torchtext cannot be loaded ({error}). It works only with torch 2.3, so install it into a separate"
            " environment: pip install 'charloom[torchtext]', or `make install-torchtext` in a checkout"
        ) from None
    return torchtext
