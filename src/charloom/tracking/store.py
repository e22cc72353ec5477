"""The store: one experiment of MLflow's, and what is written to its runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charloom.card import Card
from charloom.errors import say
from charloom.files import exclusive, main_checkout
from charloom.history import Record
from charloom.params import TrackingParams

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

SQLITE = "sqlite:///"
BATCH = 1000  # MLflow takes at most so many metrics a call
EVALUATION = ("evaluate.", "baselines.")  # the parameters that an evaluation states, and no training
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's pages for models, not for prompts


class Store:
    """One experiment of an MLflow store."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id

    @classmethod
    def open(cls, params: TrackingParams) -> Store:
        """Connect to the store, made where it is absent, and to the experiment in it."""
        # MLflow's client otherwise tries for minutes, and reports what it is used for
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(params.timeout))))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient

        uri = tracking_uri()
        database = Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None
        lock = database and database.with_name(f"{database.name}.lock")
        # Of three processes that made the tables of an absent SQLite file at once, two crashed.
        with exclusive(lock, f"the MLflow store {database}") if lock else nullcontext():
            client = MlflowClient(uri)
            experiment = client.get_experiment_by_name(params.experiment)
            if experiment is not None:
                return cls(client, experiment.experiment_id)
            artifacts = database.with_name("mlartifacts").as_uri() if database else None
            return cls(client, client.create_experiment(params.experiment, artifacts, EXPERIMENT_TAGS))

    def find(self, **tags: str) -> list[Run]:
        """The runs with these tags, the newest first."""
        wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        return list(self.client.search_runs([self.experiment_id], wanted, order_by=["attributes.start_time DESC"]))

    def begin(self, card: Card) -> str:
        """Make a run that states a card, all but its evaluation; gives its id.

        The tags by which a run is found come last, with the parameters.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run_id = str(self.client.create_run(self.experiment_id, run_name=card.name).info.run_id)
        inputs = [
            DatasetInput(
                Dataset(data.name, data.digest, "local", data.source),
                [InputTag("mlflow.data.context", data.context)],
            )
            for data in card.datasets
        ]
        self.client.log_inputs(run_id, inputs)
        params = {name: value for name, value in card.params.items() if not name.startswith(EVALUATION)}
        self.state(run_id, params, {name: value for name, value in card.tags.items() if name != "evaluate_key"})
        return run_id

    def state(self, run_id: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Add parameters and tags to a run, all or none."""
        from mlflow.entities import Param, RunTag

        self.client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def last_step(self, run_id: str) -> int:
        """The last step of a run's curve, 0 before the first."""
        points = self.client.get_metric_history(run_id, "train/loss_nats")
        return max((point.step for point in points), default=0)

    def log_curve(self, run_id: str, history: Sequence[Record], after: int) -> None:
        """Log the records behind a step; each call holds whole ones, so that the last step of a curve is whole."""
        metrics = [_metrics(record) for record in history if record.step > after]
        at_once = BATCH // len(fields(Record))
        for begin in range(0, len(metrics), at_once):
            self.client.log_batch(run_id, metrics=list(chain(*metrics[begin : begin + at_once])))

    def log_scores(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Log the stages' metrics that a run lacks."""
        known = self.client.get_run(run_id).data.metrics
        self.client.log_batch(run_id, metrics=[metric for metric in metrics if known.get(metric.key) != metric.value])

    def log_files(self, run_id: str, workspace: Path, paths: Iterable[Path]) -> None:
        """Log files as artefacts, each under the folder it has in the workspace."""
        for path in paths:
            folder = path.parent.relative_to(workspace).as_posix()
            self.client.log_artifact(run_id, str(path), None if folder == "." else folder)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db; a relative SQLite file is taken from the main checkout."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return f"{SQLITE}{main_checkout() / uri.removeprefix(SQLITE)}" if uri.startswith(SQLITE) else uri


@contextmanager
def warn_on_failure() -> Iterator[None]:
    """Turn whatever the tracker raises into one warning: no reason to stop a run."""
    try:
        yield
    except Exception as error:  # MLflow raises what its many back ends raise: SQLAlchemy's, requests', its own
        warn(" ".join(str(error).split())[:300] or type(error).__name__)


def warn(reason: str) -> None:
    """Say why the tracker lacks something."""
    say(f"warning: MLflow: {reason}; no result is lost, they are in DVC's files")


def _metrics(record: Record) -> list[Metric]:
    """A record as MLflow's metrics, named by split."""
    values = asdict(record)
    step = values.pop("step")
    now = round(time.time() * 1000)
    return [metric(_metric_name(name), value, now, step) for name, value in values.items() if value is not None]


def _metric_name(column: str) -> str:
    return column.replace("valid_", "valid/", 1) if column.startswith("valid_") else f"train/{column}"


def metric(name: str, value: float, timestamp: int, step: int) -> Metric:
    """One number; `timestamp` in milliseconds since 1970."""
    from mlflow.entities import Metric

    return Metric(name, float(value), timestamp, step)
