"""The runs of an experiment in MLflow: the list of all runs, their groups, and the search for one run."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charloom.errors import InputError
from charloom.params import TrackingParams
from charloom.secrets import with_no_secrets
from charloom.tracking.store import Store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run


SEED = "train.seed"
TEST_DATA = "test data"  # stands among the parameters: the digest of the data on which the model was tested


@dataclass(frozen=True)
class RunRow:
    """A run as `charloom runs` lists it."""

    run_id: str
    name: str
    status: str
    bpc: float | None  # bits per character of the test split; None if the run has no evaluation
    params: Mapping[str, str]


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ in their seed only, the best first."""

    rows: Sequence[RunRow]

    @property
    def best(self) -> RunRow:
        """The run with the fewest bits per character."""
        return self.rows[0]

    @property
    def scores(self) -> list[float]:
        """The bits per character of each seed. A training that was repeated with the same seed counts once."""
        return list({row.params.get(SEED): row.bpc for row in reversed(self.rows) if row.bpc is not None}.values())

    @property
    def mean(self) -> float | None:
        """The mean over the seeds. None if no run has an evaluation."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds (with n - 1). None if there are fewer than two seeds."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None


def list_runs(params: TrackingParams) -> list[RunRow]:
    """The runs of the experiment, sorted by bits per character of the test split. Runs without evaluation come last."""
    store = Store.read(params)
    rows = [_row(run) for run in store.find()] if store else []
    return sorted(rows, key=lambda row: math.inf if row.bpc is None else row.bpc)


def grouped(rows: Sequence[RunRow]) -> list[RunGroup]:
    """The groups of runs that differ in their seed only, sorted by their mean. `rows` are sorted as by `list_runs`."""
    groups = defaultdict(list)
    for row in rows:
        # A run without an evaluation lacks the parameters of the evaluation, so it is never among evaluated runs.
        groups[json.dumps(_shared(row), sort_keys=True), row.bpc is None].append(row)
    return sorted(map(RunGroup, groups.values()), key=lambda group: math.inf if group.mean is None else group.mean)


def _shared(row: RunRow) -> dict[str, str]:
    """The parameters that all runs of a group have in common."""
    return {name: value for name, value in row.params.items() if name != SEED and not name.startswith("tracking.")}


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


def tested_on(run: Run) -> str | None:
    """The digest of the data on which the model of a run was tested. None if the run does not state it."""
    for each in run.inputs.dataset_inputs if run.inputs else []:
        if any(tag.key == "mlflow.data.context" and tag.value == "test" for tag in each.tags):
            return str(each.dataset.digest)
    return None


def _row(run: Run) -> RunRow:
    bpc = run.data.metrics.get("test/bpc")
    name, params = with_no_secrets([run.info.run_name, run.data.params])  # an earlier charloom may have logged them
    data = tested_on(run)
    return RunRow(run.info.run_id, name, run.info.status, bpc, params if data is None else {**params, TEST_DATA: data})
