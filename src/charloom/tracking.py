"""MLflow: the only module that imports it, and only when a run is tracked (the import takes three seconds).

A run is found by content: its tags train_key, model_digest and evaluate_key. No output of a stage depends on it, and a
tracker that fails costs one warning and no result.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from charloom.card import Card
from charloom.files import exclusive, main_checkout
from charloom.history import Record
from charloom.params import TrackingParams

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

BATCH = 1000  # MLflow takes at most so many metrics a call
FLUSH_EVERY_S = 2.0
ARTEFACTS = ("params.yaml", "dvc.lock", "data/raw/source.json", "models/charloom/*", "plots/*", "reports/*")


class Store:
    """One experiment of an MLflow store."""

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id

    @classmethod
    def open(cls, params: TrackingParams) -> Store:
        """Connect to MLFLOW_TRACKING_URI, else to mlflow.db in the main checkout, made where it is absent."""
        root = main_checkout()
        # MLflow's client otherwise tries for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(params.timeout))))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
        from mlflow import MlflowClient

        # Of three processes that made the tables of an absent SQLite file at once, two crashed.
        with exclusive(root / ".charloom" / "mlflow.lock", "the MLflow store"):
            client = MlflowClient(uri)
            experiment = client.get_experiment_by_name(params.experiment)
            if experiment is not None:
                return cls(client, experiment.experiment_id)
            artifacts = (root / "mlartifacts").as_uri() if uri.startswith("sqlite") else None
            return cls(client, client.create_experiment(params.experiment, artifacts))

    def find(self, **tags: str) -> list[Run]:
        """The runs with these tags, the newest first."""
        wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        return list(self.client.search_runs([self.experiment_id], wanted, order_by=["attributes.start_time DESC"]))

    def begin(self, card: Card) -> str:
        """Make a run that states a card; gives its id."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        run_id = self.client.create_run(self.experiment_id, tags=dict(card.tags), run_name=card.name).info.run_id
        self.client.log_batch(run_id, params=[Param(name, str(value)) for name, value in card.params.items()])
        inputs = [
            DatasetInput(
                Dataset(data.name, data.digest, "local", data.source),
                [InputTag("mlflow.data.context", data.context)],
            )
            for data in card.datasets
        ]
        self.client.log_inputs(run_id, inputs)
        return str(run_id)

    def log(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Log metrics, as many a call as MLflow takes."""
        for begin in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[begin : begin + BATCH])

    def last_step(self, run_id: str) -> int:
        """The last step of a run's curve, 0 before the first."""
        points = self.client.get_metric_history(run_id, "train/loss_nats")
        return max((point.step for point in points), default=0)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Add tags to a run."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

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
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._model_digest: str | None = None
        self._status = "FAILED"
        for record in history:
            self._queue.put(record)
        self._clock = time.monotonic()
        self._characters = history[-1].characters if history else 0
        self._thread = threading.Thread(target=self._run, daemon=True, name="tracking")
        self._thread.start()

    def __call__(self, record: Record) -> None:
        self._queue.put(record)

    def finish(self, model_digest: str) -> None:
        """Say which model came out: without it the run ends as failed."""
        self._model_digest = model_digest
        self._status = "FINISHED"

    def close(self) -> None:
        """Send what is left and wait for it, at most the tracker's timeout."""
        self._queue.put(None)
        self._thread.join(self._params.timeout)
        if self._thread.is_alive():
            _warn(f"the tracker did not answer within {self._params.timeout:g} s")

    def _run(self) -> None:
        with warn_on_failure():
            store = Store.open(self._params)
            run_id = self._open_run(store)
            sent = store.last_step(run_id)
            going = True
            while going:
                records, going = self._next_records()
                store.log(run_id, [metric for record in records if record.step > sent for metric in _metrics(record)])
            if self._model_digest:
                store.set_tags(run_id, {"model_digest": self._model_digest})
            store.client.set_terminated(run_id, self._status)

    def _open_run(self, store: Store) -> str:
        """The run of an earlier process that did not finish this training, else a new one."""
        earlier = store.find(train_key=self._card.tags["train_key"])
        for run in earlier:
            if "model_digest" not in run.data.tags:
                store.client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        run_id = store.begin(self._card)
        if earlier:
            store.set_tags(run_id, {"rerun_of": earlier[-1].info.run_id})
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


@contextmanager
def track_training(params: TrackingParams, card: Card, history: Sequence[Record]) -> Iterator[TrainingStream | None]:
    """Give a listener that streams to this training's run, None where tracking is off.

    `history` is what an earlier process of the same training recorded; its run goes on where there is one.
    """
    if not params.enabled:
        yield None
        return
    stream = TrainingStream(params, card, history)
    try:
        yield stream
    finally:
        stream.close()


def track_evaluation(params: TrackingParams, card: Card, history: Sequence[Record], workspace: Path) -> None:
    """Complete the newest run of the card's model that has no evaluation yet, or make one and fill it from the files.

    Where a run states this very pair of training and evaluation already, nothing is added.
    """
    if not params.enabled:
        return
    with warn_on_failure():
        store = Store.open(params)
        runs = store.find(model_digest=card.tags["model_digest"])
        if any(run.data.tags.get("evaluate_key") == card.tags["evaluate_key"] for run in runs):
            return
        unfinished = [run.info.run_id for run in runs if "evaluate_key" not in run.data.tags]
        run_id = unfinished[0] if unfinished else store.begin(card)
        sent = store.last_step(run_id)
        store.log(run_id, [metric for record in history if record.step > sent for metric in _metrics(record)])
        store.log(run_id, _stage_metrics(workspace / "metrics"))
        store.log_files(run_id, workspace, [path for name in ARTEFACTS for path in sorted(workspace.glob(name))])
        store.set_tags(run_id, card.tags)  # the keys last: a run with an evaluate_key is complete
        store.client.set_terminated(run_id, "FINISHED")


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
