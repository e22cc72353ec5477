"""The store: one experiment of MLflow's, and what is written to its runs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charloom.errors import CharloomError, RunError, say
from charloom.files import exclusive, main_checkout
from charloom.params import TrackingParams
from charloom.tracking.card import Card
from charloom.training.history import Record

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
        uri = tracking_uri()
        database = database_of(uri)
        lock = database and database.with_name(f"{database.name}.lock")
        # Of three processes that made the tables of an absent SQLite file at once, two crashed.
        with exclusive(lock, f"the MLflow store {database}") if lock else nullcontext():
            client = _client(uri, params.timeout)
            artifacts = database.with_name("mlartifacts").as_uri() if database else None
            return cls(client, _experiment(client, params.experiment, artifacts))

    @classmethod
    def read(cls, params: TrackingParams) -> Store | None:
        """Connect to the experiment to read it; None where the store or the experiment is absent."""
        uri = tracking_uri()
        database = database_of(uri)
        if database and not database.exists():
            return None
        client = _client(uri, params.timeout)
        experiment = client.get_experiment_by_name(params.experiment)
        return cls(client, experiment.experiment_id) if experiment else None

    def find(self, **tags: str) -> list[Run]:
        """The runs with these tags, all where none is named, the newest first."""
        wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        found: list[Run] = []
        token = None
        while page := self.client.search_runs(
            [self.experiment_id], wanted, order_by=["attributes.start_time DESC"], page_token=token
        ):
            found += page
            token = page.token
            if not token:
                break
        return found

    def is_ours(self, run: Run) -> bool:
        """Whether a run was begun on this machine: on another one its training may be going on."""
        return bool(run.data.tags.get("host") == platform.node())

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
        if inputs:
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

    def last_step(self, run_id: str, metric: str = "train/loss_nats") -> int:
        """The last step of one of a run's curves, 0 before the first."""
        return max((point.step for point in self.client.get_metric_history(run_id, metric)), default=0)

    def log_curve(self, run_id: str, points: Iterable[Sequence[Metric]]) -> None:
        """Log points of several numbers; no call holds a part of one, so that the last step of a curve is whole."""
        batch: list[Metric] = []
        for point in points:
            if len(batch) + len(point) > BATCH:
                self._log_metrics(run_id, batch)
                batch = []
            batch.extend(point)
        if batch:
            self._log_metrics(run_id, batch)

    def _log_metrics(self, run_id: str, batch: list[Metric]) -> None:
        """Log numbers, and once more where that fails: the store keeps one that it is given twice as one.

        A server closes a connection that was idle, MLflow's own after five seconds. A request that is just on its way
        is lost with it: one in 22 was, of requests five seconds apart.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(run_id, metrics=batch)
        except MlflowException:
            self.client.log_batch(run_id, metrics=batch)

    def log_files(self, run_id: str, workspace: Path, paths: Iterable[Path]) -> None:
        """Log files as artefacts, each under the folder it has in the workspace."""
        for path in paths:
            folder = path.parent.relative_to(workspace).as_posix()
            self.client.log_artifact(run_id, str(path), None if folder == "." else folder)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db; a relative SQLite file is taken from the main checkout."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return f"{SQLITE}{main_checkout() / uri.removeprefix(SQLITE)}" if uri.startswith(SQLITE) else uri


def database_of(uri: str) -> Path | None:
    """The file of a SQLite store, None for a server."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def _client(uri: str, timeout_s: float) -> MlflowClient:
    # MLflow's client otherwise tries for minutes, reports what it is used for, and draws bars
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_s))))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    return MlflowClient(uri)


@contextmanager
def on_failure(then: Callable[[str], None]) -> Iterator[None]:
    """Hand the reason to `then`, in one line, where the tracker raises: no reason to stop a run."""
    try:
        yield
    except Exception as error:  # MLflow raises what its many back ends raise: SQLAlchemy's, requests', its own
        then(_reason(error))


@contextmanager
def asking() -> Iterator[None]:
    """Turn whatever the tracker raises into a RunError, for a command that has no result without it."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        raise RunError(f"MLflow at {tracking_uri()}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def warn(reason: str) -> None:
    """Say why the tracker lacks something."""
    say(f"warning: MLflow: {reason}; no result is lost, and `charloom publish` brings it there")


def record_metrics(record: Record, timestamp: int | None = None) -> list[Metric]:
    """A record as MLflow's metrics, named by split; `timestamp` as in metric()."""
    values = asdict(record)
    step = values.pop("step")
    named = {_metric_name(name): value for name, value in values.items() if value is not None}
    return [metric(name, value, step, timestamp) for name, value in named.items()]


def metric(name: str, value: float, step: int = 0, timestamp: int | None = None) -> Metric:
    """One number; `timestamp` in milliseconds since 1970, else it is of now."""
    from mlflow.entities import Metric

    return Metric(name, float(value), now_ms() if timestamp is None else timestamp, step)


def now_ms() -> int:
    """The time in milliseconds since 1970."""
    return round(time.time() * 1000)


def _metric_name(column: str) -> str:
    return column.replace("valid_", "valid/", 1) if column.startswith("valid_") else f"train/{column}"


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of an experiment, made where it is absent."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifacts, EXPERIMENT_TAGS))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process made it on the same server
            if found is None:
                raise
    return str(found.experiment_id)
