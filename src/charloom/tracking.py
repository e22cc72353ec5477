"""MLflow: the only module that imports it, and only when a run is tracked (the import takes three seconds).

A run is found by content: its tags train_key, model_digest and evaluate_key. No output of a stage depends on it, and a
tracker that fails costs one warning and no result.
"""

from __future__ import annotations

import json
import math
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charloom.card import Card
from charloom.files import exclusive, main_checkout
from charloom.history import Record
from charloom.params import TrackingParams

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

SQLITE = "sqlite:///"
BATCH = 1000  # MLflow takes at most so many metrics a call
FLUSH_EVERY_S = 2.0
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's pages for models, not for prompts
ARTEFACTS = ("params.yaml", "dvc.lock", "data/raw/source.json", "models/charloom/*", "plots/*", "reports/*")


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
        params = {name: value for name, value in card.params.items() if not name.startswith("evaluate.")}
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


class TrainingStream:
    """A listener that feeds records to a run from a thread of its own, so that no step waits for the tracker."""

    def __init__(self, params: TrackingParams, card: Card, history: Sequence[Record]) -> None:
        self._params = params
        self._card = card
        self._goes_on = bool(history)
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._model_digest: str | None = None
        self._answered_at = math.inf  # a file is waited for however long its tables take, a server is not
        for record in history:
            self._queue.put(record)
        self._thread = threading.Thread(target=self._run, daemon=True, name="tracking")
        self._thread.start()

    def __call__(self, record: Record) -> None:
        self._queue.put(record)

    def finish(self, model_digest: str) -> None:
        """Say which model came out: without it the run ends as failed."""
        self._model_digest = model_digest

    def close(self) -> None:
        """Send what is left, and wait for it while the tracker answers within its timeout."""
        self._queue.put(None)
        while self._thread.is_alive():
            if time.monotonic() - self._answered_at > self._params.timeout:
                _warn(f"the tracker did not answer within {self._params.timeout:g} s")
                return
            self._thread.join(0.05)

    def _run(self) -> None:
        with warn_on_failure():
            import mlflow  # noqa: F401 - seconds that are not the tracker's

            if not tracking_uri().startswith(SQLITE):
                self._answered_at = time.monotonic()
            store = Store.open(self._params)
            run_id = self._open_run(store)
            if run_id is None:
                return
            sent = store.last_step(run_id)
            going = True
            while going:
                self._answered_at = time.monotonic()
                records, going = self._next_records()
                store.log_curve(run_id, records, after=sent)
            store.client.set_terminated(run_id, "FINISHED" if self._model_digest else "FAILED")
            if self._model_digest:
                store.state(run_id, {}, {"model_digest": self._model_digest})

    def _open_run(self, store: Store) -> str | None:
        """The run of an earlier process that did not finish this training, else a new one.

        None where this process goes on with a training that a run states as finished: dvc was killed at its end.
        """
        earlier = store.find(train_key=self._card.tags["train_key"])
        for run in earlier:
            if "model_digest" not in run.data.tags:
                store.client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        if earlier and self._goes_on:
            return None
        run_id = store.begin(self._card)
        if earlier:
            store.state(run_id, {}, {"rerun_of": earlier[-1].info.run_id})
        return run_id

    def _next_records(self) -> tuple[list[Record], bool]:
        """What has come within a moment, and whether more will."""
        records: list[Record] = []
        until = time.monotonic() + FLUSH_EVERY_S
        while (left := until - time.monotonic()) > 0:
            try:
                record = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if record is None:
                return records, False
            records.append(record)
        return records, True


class Untracked:
    """A listener in a TrainingStream's place that feeds nothing."""

    def __call__(self, record: Record) -> None: ...

    def finish(self, model_digest: str) -> None: ...


@contextmanager
def track_training(
    params: TrackingParams, card: Card, history: Sequence[Record]
) -> Iterator[TrainingStream | Untracked]:
    """Give a listener that streams to this training's run, or to nothing where tracking is off.

    `history` is what an earlier process of the same training recorded; its run goes on where there is one.
    """
    if not params.enabled:
        yield Untracked()
        return
    stream = TrainingStream(params, card, history)
    try:
        yield stream
    finally:
        stream.close()


def track_evaluation(params: TrackingParams, card: Card, history: Sequence[Record], workspace: Path) -> None:
    """Complete the newest run of the card's training and model, or make one and fill it from the files.

    Where a run states this very evaluation of them already, nothing is added.
    """
    if not params.enabled:
        return
    with warn_on_failure():
        store = Store.open(params)
        run_id = _run_to_complete(store, card)
        if run_id is None:
            return
        store.log_curve(run_id, history, after=store.last_step(run_id))
        store.log_scores(run_id, _stage_metrics(workspace / "metrics"))
        store.log_files(run_id, workspace, [path for name in ARTEFACTS for path in sorted(workspace.glob(name))])
        store.client.set_terminated(run_id, "FINISHED")
        # the key last: a run that has one is complete
        evaluation = {name: value for name, value in card.params.items() if name.startswith("evaluate.")}
        store.state(run_id, evaluation, {"evaluate_key": card.tags["evaluate_key"]})


def _run_to_complete(store: Store, card: Card) -> str | None:
    tags = card.tags
    for run in store.find(train_key=tags["train_key"], model_digest=tags["model_digest"]):  # the newest first
        if "evaluate_key" not in run.data.tags:
            return str(run.info.run_id)
        if run.data.tags["evaluate_key"] == tags["evaluate_key"]:
            return None
    return store.begin(card)


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
        _warn(" ".join(str(error).split())[:300] or type(error).__name__)


def _metrics(record: Record) -> list[Metric]:
    """A record as MLflow's metrics, named by split."""
    values = asdict(record)
    step = values.pop("step")
    now = round(time.time() * 1000)
    return [_metric(_metric_name(name), value, now, step) for name, value in values.items() if value is not None]


def _stage_metrics(folder: Path) -> list[Metric]:
    """What the stages measured, as `stage/name`; evaluate's are the test split's."""
    now = round(time.time() * 1000)
    return [
        _metric(f"{'test' if path.stem == 'evaluate' else path.stem}/{name}", value, now, 0)
        for path in sorted(folder.glob("*.json"))
        for name, value in json.loads(path.read_text(encoding="utf-8")).items()
    ]


def _metric_name(column: str) -> str:
    return column.replace("valid_", "valid/", 1) if column.startswith("valid_") else f"train/{column}"


def _metric(name: str, value: float, timestamp: int, step: int) -> Metric:
    from mlflow.entities import Metric

    return Metric(name, float(value), timestamp, step)


def _warn(reason: str) -> None:
    print(f"warning: MLflow: {reason}; no result is lost, they are in DVC's files", flush=True)
