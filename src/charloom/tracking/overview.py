"""The runs of an experiment beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charloom.errors import InputError
from charloom.params import TrackingParams
from charloom.tracking.store import Store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Row:
    """A run, its parameters as MLflow holds them, and its test score, None before an evaluation."""

    run_id: str
    name: str
    status: str
    bpc: float | None
    params: Mapping[str, str]


def list_runs(params: TrackingParams) -> list[Row]:
    """The runs of the experiment, the fewest bits per character of the test split first, unevaluated ones last."""
    store = Store.read(params)
    rows = [_row(run) for run in store.find()] if store else []
    return sorted(rows, key=lambda row: math.inf if row.bpc is None else row.bpc)


def differing(rows: Sequence[Row]) -> list[str]:
    """The names of the parameters that are not the same in all these runs."""
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    stated = {name: {row.params[name] for row in rows if name in row.params} for name in names}
    return [name for name in names if len(stated[name]) > 1 and not name.startswith("tracking.")]


def find_run(params: TrackingParams, wanted: str) -> tuple[Store, Run]:
    """The run whose id begins so, or whose name it is; raises InputError where there is none or more than one."""
    store = Store.read(params)
    runs = store.find() if store else []
    found = [run for run in runs if run.info.run_id.startswith(wanted)] or [
        run for run in runs if run.info.run_name == wanted
    ]
    if store is None or not found:
        raise InputError(f"{wanted}: no such run in {tracking_uri()}; `charloom runs` lists them")
    if len(found) > 1:
        raise InputError(f"{wanted}: {len(found)} runs have that name; give more of the id that `charloom runs` shows")
    return store, found[0]


def _row(run: Run) -> Row:
    return Row(run.info.run_id, run.info.run_name, run.info.status, run.data.metrics.get("test/bpc"), run.data.params)
