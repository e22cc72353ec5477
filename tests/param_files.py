"""Variants of the checked-in params.yaml, and the message with which charloom rejects a parameter file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charloom.errors import InputError
from charloom.params_file import load_params
from tests.conftest import CHECKOUT

VALID = (CHECKOUT / "params.yaml").read_text(encoding="utf-8")


def with_value(key: str, value: str) -> str:
    """The checked-in file with one value replaced. `key` is section.name."""
    section, _, name = key.partition(".")
    head, _, rest = VALID.partition(f"\n{section}:")
    lines = rest.split("\n")
    index = next(index for index, line in enumerate(lines) if line.startswith(f"  {name}:"))
    lines[index] = f"  {name}: {value}"
    return f"{head}\n{section}:" + "\n".join(lines)


def load_text(folder: Path, text: str) -> dict[str, Any]:
    """The parameters of a file with this text, as `section.name` → value."""
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load_params(path).flat()


def message_of(path: Path) -> str | None:
    """The error message for a parameter file; None if the file is valid."""
    try:
        load_params(path)
    except InputError as error:
        return str(error)
    return None


def reject(folder: Path, content: str | bytes) -> str:
    """The error message for a file with this content, without the path. Asserts that it is one line."""
    path = folder / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = message_of(path)
    assert message is not None
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path))
    return message.removeprefix(str(path))
