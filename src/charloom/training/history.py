"""The history of a training: a record every few steps. Listeners receive each record, and history.csv contains all."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from charloom.errors import InputError
from charloom.files import write_csv

# A checkpoint contains the whole history of the training, so the history is bounded. In a long training, records and
# validations are further apart than params.yaml says.
MAX_RECORDS, MAX_VALIDATIONS = 10_000, 1_000


@dataclass(frozen=True)
class Record:
    """One line of history.csv: a summary of the steps since the previous record, and the validation, if any."""

    step: int
    epoch: float
    characters: int  # symbols read so far, `<eos>` included
    learning_rate: float
    grad_norm: float  # the largest norm of these steps, before clipping
    loss_nats: float  # nats per symbol, the mean over these steps
    bpc: float  # the same loss in bits per character
    valid_loss_nats: float | None = None
    valid_bpc: float | None = None


Listener = Callable[[Record], None]
COLUMNS = [field.name for field in fields(Record)]
OPTIONAL = {field.name for field in fields(Record) if field.default is None}


def interval(stated: int, steps: int, most: int) -> int:
    """The smallest multiple of `stated` that gives at most `most` intervals in `steps`."""
    return stated * max(1, math.ceil(steps / (stated * most)))


def read_history(path: Path) -> list[Record]:
    """The records of history.csv. Raises InputError if the file is not a history."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
            if header != COLUMNS:
                raise ValueError(header)
            return [_record(cells) for cells in rows]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, csv.Error):
        raise InputError(f"{path}: not a history that train wrote; make it again with `dvc repro train`") from None


def write_history(path: Path, history: Sequence[Record]) -> None:
    """Write history.csv, with a column for each field of Record."""
    write_csv(path, COLUMNS, map(astuple, history))


def _record(cells: Sequence[str]) -> Record:
    row = dict(zip(COLUMNS, cells, strict=True))
    # only the two fields of a validation may be empty
    numbers: dict[str, Any] = {
        name: None if not cell and name in OPTIONAL else float(cell) for name, cell in row.items()
    }
    return Record(**numbers | {"step": int(row["step"]), "characters": int(row["characters"])})
