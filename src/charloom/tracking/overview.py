"""The runs of an experiment in MLflow: the list of all runs, and the search for one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charloom.errors import InputError
from charloom.params import TrackingParams
from charloom.secrets import with_no_secrets
from charloom.tracking.store import Store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class RunRow:
    """A run as `charloom runs` lists it."""

    run_id: str
    name: str
    status: str
    bpc: float | None  # bits per character of the test split; None if the run has no evaluation
    params: Mapping[str, str]


def list_runs(params: TrackingParams) -> list[RunRow]:
    """The runs of the experiment, sorted by bits per character of the test split. Runs without evaluation come last."""
    store = Store.read(params)
    rows = [_row(run) for run in store.find()] if store else []
    return sorted(rows, key=lambda row: math.inf if row.bpc is None else row.bpc)


def differing(rows: Sequence[RunRow]) -> list[str]:
    """The names of the parameters that have different values in these runs, without the section `tracking`."""
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    values = {name: {row.params[name] for row in rows if name in row.params} for name in names}
    return [name for name in names if len(values[name]) > 1 and not name.startswith("tracking.")]


def find_run(params: TrackingParams, wanted: str) -> tuple[Store, Run]:
    """The run whose id begins with `wanted`. If no id begins with `wanted`, the run with the name `wanted`.

    Raises InputError if no run or more than one run matches.
    """
    store = Store.read(params)
    runs = store.find() if store else []
    found = [run for run in runs if run.info.run_id.startswith(wanted)] or [
        run for run in runs if run.info.run_name == wanted
    ]
    if store is None or not found:
        raise InputError(f"{wanted}: no such run in {tracking_uri()}; `charloom runs` lists the runs")
    if len(found) > 1:
        raise InputError(
            f"{wanted}: {len(found)} runs have this name or an id that begins like this; give more characters of the"
            " id, which `charloom runs` shows"
        )
    return store, found[0]


def _row(run: Run) -> RunRow:
    bpc = run.data.metrics.get("test/bpc")
    name, params = with_no_secrets([run.info.run_name, run.data.params])  # an earlier charloom may have logged them
    return RunRow(run.info.run_id, name, run.info.status, bpc, params)
