"""A training's numbers, sent to its run while it goes on."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from charloom.params import TrackingParams
from charloom.tracking.card import Card, note_training
from charloom.tracking.machine import Machine
from charloom.tracking.store import SQLITE, Store, metric, now_ms, on_failure, record_metrics, tracking_uri, warn
from charloom.training.history import Record

if TYPE_CHECKING:
    from mlflow.entities import Metric

FLUSH_EVERY_S = 5.0  # at 2 its thread took 1 % of a core, which small models felt
MACHINE_EVERY_S = 10.0  # as MLflow's own sampler
MACHINE_CURVE = "system/cpu_utilization_percentage"


class TimedRecord(NamedTuple):
    """A record, when it came, and how fast the training was since the one before, where that is known."""

    record: Record
    timestamp: int  # milliseconds since 1970
    chars_per_s: float | None

    def metrics(self) -> list[Metric]:
        """As MLflow takes it."""
        found = record_metrics(self.record, self.timestamp)
        if self.chars_per_s is not None:
            found.append(metric("throughput/chars_per_s", self.chars_per_s, self.record.step, self.timestamp))
        return found


class TrainingStream:
    """A listener that feeds records to a run from a thread of its own, so that no step waits for the tracker."""

    def __init__(self, params: TrackingParams, card: Card, history: Sequence[Record]) -> None:
        self._params = params
        self._card = card
        self._goes_on = bool(history)
        self._queue: queue.SimpleQueue[TimedRecord | None] = queue.SimpleQueue()
        self._model_digest: str | None = None
        self._asked_at = math.inf  # when what the tracker is at was begun; inf: it is at nothing that has a limit
        self._before: tuple[float, int] | None = None  # when the last record came, and the characters read by then
        self._warned = threading.Lock()  # taken by the one warning
        for record in history:
            self._queue.put(TimedRecord(record, now_ms(), None))
        self._thread = threading.Thread(target=self._run, daemon=True, name="tracking")
        self._thread.start()

    def __call__(self, record: Record) -> None:
        now, before = time.monotonic(), self._before
        speed = (record.characters - before[1]) / (now - before[0]) if before and now > before[0] else None
        self._before = now, record.characters
        self._queue.put(TimedRecord(record, now_ms(), speed))

    def finish(self, model_digest: str) -> None:
        """Say which model came out: without it the run ends as failed."""
        self._model_digest = model_digest

    def close(self) -> None:
        """Send what is left, and wait for it while the tracker answers within its timeout."""
        self._queue.put(None)
        while self._thread.is_alive():
            if time.monotonic() - self._asked_at > self._params.timeout:
                self._give_up(f"the tracker did not answer within {self._params.timeout:g} s")
                return
            self._thread.join(0.05)

    def _give_up(self, reason: str) -> None:
        if self._warned.acquire(blocking=False):
            warn(reason)

    def _run(self) -> None:
        with on_failure(self._give_up):
            import mlflow  # noqa: F401 - seconds that are not the tracker's

            machine = Machine()
            if not tracking_uri().startswith(SQLITE):  # a file is waited for however long its tables take
                self._asked_at = time.monotonic()
            store = Store.open(self._params)
            run_id = self._open_run(store)
            if run_id is None:
                return
            self._feed(store, run_id, machine)
            store.client.set_terminated(run_id, "FINISHED" if self._model_digest else "FAILED")
            if self._model_digest:
                store.state(run_id, {}, {"model_digest": self._model_digest})

    def _feed(self, store: Store, run_id: str, machine: Machine) -> None:
        """Send what comes until the training ends."""
        sent, samples = store.last_step(run_id), store.last_step(run_id, MACHINE_CURVE)
        sampled_at = -math.inf
        going = True
        while going:
            self._asked_at = math.inf
            points, going = self._next_points()
            self._asked_at = time.monotonic()
            metrics = [point.metrics() for point in points if point.record.step > sent]
            if not going or time.monotonic() - sampled_at >= MACHINE_EVERY_S:
                sampled_at = time.monotonic()
                samples += 1
                metrics.append([metric(name, value, samples) for name, value in machine.sample().items()])
            store.log_curve(run_id, metrics)

    def _open_run(self, store: Store) -> str | None:
        """The run of an earlier process that did not finish this training, else a new one.

        None where this process goes on with a training that a run states as finished: dvc was killed at its end.
        """
        earlier = store.find(train_key=self._card.keys["train_key"])
        for run in earlier:
            if "model_digest" not in run.data.tags and (self._goes_on or store.is_ours(run)):
                store.client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        finished = [run for run in earlier if "model_digest" in run.data.tags]
        if finished and self._goes_on:
            return None
        run_id = store.begin(self._card)
        if finished:
            store.state(run_id, {}, {"rerun_of": finished[-1].info.run_id})
        return run_id

    def _next_points(self) -> tuple[list[TimedRecord], bool]:
        """What has come within a moment, and whether more will."""
        points: list[TimedRecord] = []
        until = time.monotonic() + FLUSH_EVERY_S
        while (left := until - time.monotonic()) > 0:
            try:
                point = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if point is None:
                return points, False
            points.append(point)
        return points, True


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
    note_training(card)
    if not params.enabled:
        yield Untracked()
        return
    stream = TrainingStream(params, card, history)
    try:
        yield stream
    finally:
        stream.close()
