"""The MLflow store: how charloom connects to it, and how it writes to the runs of one experiment."""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charloom.errors import CharloomError, InputError, RunError, say
from charloom.files import exclusive, value_digest
from charloom.params import TrackingParams
from charloom.secrets import without_secrets
from charloom.terminal import harmless
from charloom.tracking.address import store_address
from charloom.tracking.card import Card, checkout
from charloom.tracking.relocation import artifacts_of, follow
from charloom.training.history import Record
from charloom.training.sampler import TrainingSample

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run

PARAM_CHARACTERS = 6000  # the most that MLflow keeps of a parameter's value
BATCH = 1000  # the most metrics that MLflow accepts in one call
EVALUATION = ("evaluate.", "baselines.")  # prefixes of the parameters that a run has only after its evaluation
# MLflow shows its pages about model training, not its pages about generative AI.
MLFLOW_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


class Store:
    """One experiment of an MLflow store."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id

    @classmethod
    def open(cls, params: TrackingParams) -> Store:
        """Connect to the experiment. Make the store and the experiment if they do not exist."""
        uri, database = store_address()
        if database is None:
            client = _client(uri, params.timeout)
            return cls(client, _experiment_id(client, params.experiment, None))
        # Without the lock, two of three processes crashed that made the tables of a new SQLite file at the same time.
        with exclusive(database.with_name(f"{database.name}.lock"), f"the MLflow store {database}"):
            if database.exists():
                follow(database)
            client = _client(uri, params.timeout)
            return cls(client, _experiment_id(client, params.experiment, artifacts_of(database).as_uri()))

    @classmethod
    def read(cls, params: TrackingParams) -> Store | None:
        """Connect to the experiment and make nothing. None if the store or the experiment does not exist."""
        uri, database = store_address()
        if database:
            if not database.exists():
                return None
            follow(database)
        client = _client(uri, params.timeout)
        experiment = client.get_experiment_by_name(params.experiment)
        return cls(client, _active_id(experiment)) if experiment else None

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
        """Whether a run was begun in this checkout.

        The run of another machine or checkout is not continued, because the training may still be running there.
        """
        tags: Mapping[str, str] = run.data.tags
        return (tags.get("host"), tags.get("checkout")) == (platform.node(), checkout())

    def begin(self, card: Card) -> str:
        """Make a run from a card. Returns the id of the run.

        The run is made together with its tags, so that it is found again if the tracker fails at the next call. The key
        of the evaluation is left out.
        """
        tags = {name: value for name, value in card.tags.items() if name != "evaluate_key"}
        run_id = str(self.client.create_run(self.experiment_id, tags=tags, run_name=card.name).info.run_id)
        self.describe(run_id, card)
        return run_id

    def describe(self, run_id: str, card: Card) -> None:
        """Add the datasets and parameters of a card to a run, unless the run has them.

        The parameters come last, so a run with parameters is described. Those of the evaluation are left out.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if self.client.get_run(run_id).data.params:
            return
        inputs = [
            DatasetInput(
                Dataset(data.name, data.digest, "local", data.source),
                [InputTag("mlflow.data.context", data.context)],
            )
            for data in card.datasets
        ]
        if inputs:
            self.client.log_inputs(run_id, inputs)
        self.state(run_id, {name: value for name, value in card.params.items() if not name.startswith(EVALUATION)}, {})

    def state(self, run_id: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Add parameters and tags to a run in one call.

        MLflow writes the parameters before the tags. If the call fails in between, the run has no new tags.
        """
        from mlflow.entities import Param, RunTag

        self.client.log_batch(
            run_id,
            params=[Param(name, param_text(value)) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def last_step(self, run_id: str, name: str = "train/loss_nats") -> int:
        """The last step of the metric `name` of a run. 0 if the run has no such metric."""
        return max((point.step for point in self.client.get_metric_history(run_id, name)), default=0)

    def log_curve(self, run_id: str, steps: Iterable[Sequence[Metric]]) -> None:
        """Log the metrics of several steps. Each item of `steps` has the metrics of one step.

        All metrics of a step are sent in the same call. If a call fails, the last step in MLflow is complete.
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
        """Log metrics. If the call fails, try once more. If the store receives a metric twice, it keeps one copy.

        A server closes a connection that is idle (MLflow's own server after five seconds). A request that is sent at
        that moment is lost. In a test with five seconds between requests, one request in 22 was lost.
        """
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(run_id, metrics=batch)
        except MlflowException:
            self.client.log_batch(run_id, metrics=batch)

    def log_files(self, run_id: str, workspace: Path, paths: Iterable[Path]) -> None:
        """Log files as artefacts. The path of an artefact is the path of the file in the workspace."""
        for path in paths:
            folder = path.parent.relative_to(workspace).as_posix()
            self.client.log_artifact(run_id, str(path), None if folder == "." else folder)

    def log_sample(self, run_id: str, sample: TrainingSample) -> None:
        """Log a sample of the training as a text artefact. The name of the artefact contains the step."""
        text = f"{sample.heading}\n\n{harmless(sample.text)}\n"
        self.client.log_text(run_id, text, f"samples/step-{sample.step:08}.txt")


def param_text(value: object) -> str:
    """The text of a parameter's value in MLflow.

    MLflow would cut a long text. charloom cuts it and appends a digest of the whole text, so that two long values stay
    different.
    """
    text = str(value)
    end = f"… (SHA-256 {value_digest(text)})"
    return text if len(text) <= PARAM_CHARACTERS else text[: PARAM_CHARACTERS - len(end)] + end


def tracking_uri() -> str:
    """The address of the store, for MLflow and for people. Raises InputError as `store_address` does."""
    return store_address().uri


def _client(uri: str, timeout_s: float) -> MlflowClient:
    # Without these settings, MLflow's client retries for minutes, sends usage reports and draws progress bars.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_s))))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # it prints the server's password too
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(max(2, round(timeout_s))))  # for PostgreSQL, which rounds 1 up to 2
    from mlflow import MlflowClient

    if not uri.startswith("http"):
        from mlflow.store.db import utils  # takes a second

        utils.MAX_RETRY_COUNT = 1  # MLflow has no setting for it, and retries for 100 seconds
    return MlflowClient(uri)


@contextmanager
def on_failure(then: Callable[[str], None]) -> Iterator[None]:
    """If the block raises an error, call `then` with the reason in one line. The error does not leave the block."""
    try:
        yield
    except Exception as error:  # not only MlflowException: errors of SQLAlchemy and requests occur too
        then(_reason(error))


@contextmanager
def tracker_needed() -> Iterator[None]:
    """Turn an error of the tracker into a RunError, for a command that cannot work without the tracker."""
    try:
        yield
    except CharloomError:
        raise
    except Exception as error:
        raise RunError(f"MLflow at {tracking_uri()}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    # The message is cut last, because half a password is a secret too.
    return " ".join(without_secrets(str(error)).split())[:300] or type(error).__name__


def warn(reason: str) -> None:
    """Print why MLflow lacks something, and how to send it later."""
    say(f"warning: MLflow: {reason}; no result is lost; to send the results to MLflow later, run `charloom publish`")


def record_metrics(record: Record, timestamp: int | None = None) -> list[Metric]:
    """A record of the history as MLflow's metrics `train/…` and `valid/…`. `timestamp` is explained in `metric`."""
    values = asdict(record)
    step = values.pop("step")
    named = {_metric_name(name): value for name, value in values.items() if value is not None}
    return [metric(name, value, step, timestamp) for name, value in named.items()]


def metric(
    name: str, value: float, step: int = 0, timestamp: int | None = None, of: Mapping[str, str] | None = None
) -> Metric:
    """A metric of MLflow. `timestamp` is in milliseconds since 1970. The default is the current time.

    `of` says what was measured on what: model_id, dataset_name and dataset_digest. MLflow then shows the metric with
    this model, and can rank models by it.
    """
    from mlflow.entities import Metric

    return Metric(name, float(value), now_ms() if timestamp is None else timestamp, step, **(of or {}))


def now_ms() -> int:
    """The current time in milliseconds since 1970."""
    return round(time.time() * 1000)


def _metric_name(column: str) -> str:
    """The name in MLflow of a column of the history: `bpc` becomes `train/bpc`, `valid_bpc` becomes `valid/bpc`."""
    return column.replace("valid_", "valid/", 1) if column.startswith("valid_") else f"train/{column}"


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of MLflow's experiment with this name. Make the experiment if it does not exist."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifacts, MLFLOW_EXPERIMENT_TAGS))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another process may have made the experiment just now
            if found is None:
                raise
    return _active_id(found)


def _active_id(experiment: Experiment) -> str:
    """The id of an experiment. Raises InputError if the experiment was deleted."""
    if experiment.lifecycle_stage == "active":
        return str(experiment.experiment_id)
    raise InputError(
        f"the MLflow experiment {experiment.name} was deleted; bring it back with `MLFLOW_TRACKING_URI="
        f"{shlex.quote(tracking_uri())} mlflow experiments restore -x {experiment.experiment_id}`, or set another"
        " tracking.experiment in params.yaml"
    )
