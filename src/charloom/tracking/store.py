"""The MLflow store: how charloom connects to it, and how it writes to the runs of one experiment."""

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
BATCH = 1000  # the most metrics that MLflow accepts in one call
EVALUATION = ("evaluate.", "baselines.")  # prefixes of the parameters that only an evaluation states
MLFLOW_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # selects MLflow's pages for models


class Store:
    """One experiment of an MLflow store."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id

    @classmethod
    def open(cls, params: TrackingParams) -> Store:
        """Connect to the experiment. Make the store and the experiment if they do not exist."""
        uri = tracking_uri()
        database = database_of(uri)
        lock = database and database.with_name(f"{database.name}.lock")
        # The lock is needed: when three processes made the tables of a new SQLite file at once, two of them crashed.
        with exclusive(lock, f"the MLflow store {database}") if lock else nullcontext():
            client = _client(uri, params.timeout)
            artifacts = database.with_name("mlartifacts").as_uri() if database else None
            return cls(client, _experiment_id(client, params.experiment, artifacts))

    @classmethod
    def read(cls, params: TrackingParams) -> Store | None:
        """Connect to the experiment to read it. None if the store or the experiment does not exist."""
        uri = tracking_uri()
        database = database_of(uri)
        if database and not database.exists():
            return None
        client = _client(uri, params.timeout)
        experiment = client.get_experiment_by_name(params.experiment)
        return cls(client, experiment.experiment_id) if experiment else None

    def find(self, **tags: str) -> list[Run]:
        """The runs that have all of these tags, the newest first. Without tags: all runs."""
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
        """Whether a run was begun on this machine. A training on another machine may still be running."""
        return bool(run.data.tags.get("host") == platform.node())

    def begin(self, card: Card) -> str:
        """Make a run that states a card without the card's evaluation. Returns the id of the run.

        The tags by which a run is found are written last, together with the parameters.
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
        """Add parameters and tags to a run in one call, so that either all or none of them are added."""
        from mlflow.entities import Param, RunTag

        self.client.log_batch(
            run_id,
            params=[Param(name, str(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def last_step(self, run_id: str, metric: str = "train/loss_nats") -> int:
        """The last step of a metric of a run. 0 if the run has no value of the metric."""
        return max((point.step for point in self.client.get_metric_history(run_id, metric)), default=0)

    def log_curve(self, run_id: str, steps: Iterable[Sequence[Metric]]) -> None:
        """Log steps, each a list of metrics.

        All metrics of a step go in the same call, so the last logged step is never partial.
        """
        batch: list[Metric] = []
        for metrics in steps:
            if len(batch) + len(metrics) > BATCH:
                self._log_metrics(run_id, batch)
                batch = []
            batch.extend(metrics)
        if batch:
            self._log_metrics(run_id, batch)

    def _log_metrics(self, run_id: str, batch: list[Metric]) -> None:
        """Log metrics. If the call fails, try once more: the store keeps a metric once, even if it gets it twice.

        A server closes an idle connection (MLflow's own server after five seconds). A request that is sent at that
        moment is lost. Of requests five seconds apart, one in 22 was lost.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(run_id, metrics=batch)
        except MlflowException:
            self.client.log_batch(run_id, metrics=batch)

    def log_files(self, run_id: str, workspace: Path, paths: Iterable[Path]) -> None:
        """Log files as artefacts. Each file keeps its folder within the workspace."""
        for path in paths:
            folder = path.parent.relative_to(workspace).as_posix()
            self.client.log_artifact(run_id, str(path), None if folder == "." else folder)


def tracking_uri() -> str:
    """The value of MLFLOW_TRACKING_URI, or else mlflow.db. A relative SQLite path starts in the main checkout."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return f"{SQLITE}{main_checkout() / uri.removeprefix(SQLITE)}" if uri.startswith(SQLITE) else uri


def database_of(uri: str) -> Path | None:
    """The file of a SQLite store. None if the store is a server."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def _client(uri: str, timeout_s: float) -> MlflowClient:
    # Without these settings, MLflow's client retries for minutes, sends usage reports and draws progress bars.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_s))))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    return MlflowClient(uri)


@contextmanager
def on_failure(then: Callable[[str], None]) -> Iterator[None]:
    """If the tracker raises an error, call `then` with the reason in one line, and continue."""
    try:
        yield
    except Exception as error:  # MLflow has many back ends, and lets the errors of SQLAlchemy and requests through
        then(_reason(error))


@contextmanager
def asking() -> Iterator[None]:
    """Turn an error of the tracker into a RunError, for a command that has no result without the tracker."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        raise RunError(f"MLflow at {tracking_uri()}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def warn(reason: str) -> None:
    """Tell the user why something is missing in MLflow."""
    say(f"warning: MLflow: {reason}; no result is lost, and `charloom publish` sends the results to MLflow later")


def record_metrics(record: Record, timestamp: int | None = None) -> list[Metric]:
    """A record of the history as MLflow's metrics `train/…` and `valid/…`. `timestamp` is as in metric()."""
    values = asdict(record)
    step = values.pop("step")
    named = {_metric_name(name): value for name, value in values.items() if value is not None}
    return [metric(name, value, step, timestamp) for name, value in named.items()]


def metric(name: str, value: float, step: int = 0, timestamp: int | None = None) -> Metric:
    """One number. `timestamp` is in milliseconds since 1970; without it, the time is now."""
    from mlflow.entities import Metric

    return Metric(name, float(value), now_ms() if timestamp is None else timestamp, step)


def now_ms() -> int:
    """The current time in milliseconds since 1970."""
    return round(time.time() * 1000)


def _metric_name(column: str) -> str:
    return column.replace("valid_", "valid/", 1) if column.startswith("valid_") else f"train/{column}"


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of MLflow's experiment with this name. Make the experiment if it does not exist."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifacts, MLFLOW_EXPERIMENT_TAGS))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process may have made it just now
            if found is None:
                raise
    return str(found.experiment_id)
