"""The history of a training: one record every few steps, in history.csv and to whoever listens."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from charloom.errors import InputError
from charloom.files import write_csv


@dataclass(frozen=True)
class Record:
    """One line of history.csv: the steps since the record before it, and a validation where there was one."""

    step: int
    epoch: float
    characters: int  # symbols read so far, `<eos>` included
    learning_rate: float
    grad_norm: float  # the largest, before clipping
    loss_nats: float  # per symbol, mean over these steps
    bpc: float
    valid_loss_nats: float | None = None
    valid_bpc: float | None = None


Listener = Callable[[Record], None]
COLUMNS = [field.name for field in fields(Record)]


def read_history(path: Path) -> list[Record]:
    """The records of history.csv. Raises InputError where it is not one."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_record(row) for row in csv.DictReader(file)]
    except (KeyError, ValueError, TypeError, FileNotFoundError):
        raise InputError(f"{path}: not a history as train writes it") from None


def write_history(path: Path, history: Sequence[Record]) -> None:
    """Write history.csv, a column a field of Record."""
    write_csv(path, COLUMNS, map(astuple, history))


def _record(row: dict[str, str]) -> Record:
    numbers: dict[str, Any] = {name: float(row[name]) if row[name] else None for name in COLUMNS}
    return Record(**numbers | {"step": int(row["step"]), "characters": int(row["characters"])})
