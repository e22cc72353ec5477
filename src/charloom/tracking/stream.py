"""Sending the numbers and the samples of a training to its run while the training is running."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from charloom.errors import say
from charloom.params import TrackingParams
from charloom.tracking.address import store_address
from charloom.tracking.card import Card, note_training
from charloom.tracking.machine import Machine
from charloom.tracking.repository import git_fault
from charloom.tracking.store import Store, metric, now_ms, on_failure, record_metrics, warn
from charloom.training.history import Record
from charloom.training.sampler import TrainingSample, milestones, strip

if TYPE_CHECKING:
    from mlflow.entities import Metric

# Seconds between two calls to the tracker. With 2 seconds the thread took 1 % of a core and slowed small models.
FLUSH_EVERY_S = 5.0
MACHINE_EVERY_S = 10.0  # seconds between two measurements of the load; MLflow's own sampler has the same interval
MACHINE_CURVE = "system/cpu_utilization_percentage"  # the last step of this metric is the number of measurements so far


class TimedRecord(NamedTuple):
    """A record of the history, and when it was made."""

    record: Record
    timestamp: int  # milliseconds since 1970
    chars_per_s: float | None  # the speed of the training since the previous record; None for the first record

    def metrics(self) -> list[Metric]:
        """The record and the speed as MLflow's metrics."""
        found = record_metrics(self.record, self.timestamp)
        if self.chars_per_s is not None:
            found.append(metric("throughput/chars_per_s", self.chars_per_s, self.record.step, self.timestamp))
        return found


class TrainingStream:
    """A listener of a training that sends records to a run. A separate thread sends them, so no step waits for MLflow.

    If this process resumes the training of an earlier process, `history` are the records of the earlier process.
    `samples` are those of the training. The training adds samples to this list while the thread sends them.
    """

    def __init__(
        self, params: TrackingParams, card: Card, history: Sequence[Record], samples: Sequence[TrainingSample]
    ) -> None:
        self._params = params
        self._card = card
        self._resumed = bool(history)
        self._samples = samples
        self._samples_sent = 0  # how many of the chosen ones
        self._queue: queue.SimpleQueue[TimedRecord | None] = queue.SimpleQueue()  # None comes after the last record
        self._model_digest: str | None = None
        # Start time of the request in progress. Infinity while no request is in progress, so that nothing can time out.
        self._request_began = math.inf
        self._previous: tuple[float, int] | None = None  # the last record: its time, and the characters read until then
        self._warned = threading.Lock()  # the first warning keeps the lock, so no second warning follows
        for record in history:
            self._queue.put(TimedRecord(record, now_ms(), None))
        self._thread = threading.Thread(target=self._run, daemon=True, name="tracking")
        self._thread.start()

    def __call__(self, record: Record) -> None:
        """Queue a record of the training for the thread that sends it."""
        now, previous = time.monotonic(), self._previous
        speed = (record.characters - previous[1]) / (now - previous[0]) if previous and now > previous[0] else None
        self._previous = now, record.characters
        self._queue.put(TimedRecord(record, now_ms(), speed))

    def finish(self, model_digest: str) -> None:
        """Note that the training has made a model. Without this call the run gets the status FAILED."""
        self._model_digest = model_digest

    def close(self) -> None:
        """Wait until the remaining records are sent. Give up if a request takes longer than the timeout."""
        self._queue.put(None)
        while self._thread.is_alive():
            if time.monotonic() - self._request_began > self._params.timeout:
                self._give_up(f"the tracker did not answer within {self._params.timeout:g} s")
                return
            self._thread.join(0.05)

    def _give_up(self, reason: str) -> None:
        if self._warned.acquire(blocking=False):
            warn(reason)

    def _run(self) -> None:
        with on_failure(self._give_up):
            import mlflow  # noqa: F401 - import MLflow here, so that the seconds of the import do not count as waiting

            machine = Machine()
            # Opening a SQLite file has no time limit, because making the tables of a new file takes long.
            if store_address().database is None:
                self._request_began = time.monotonic()
            store = Store.open(self._params)
            run_id = self._open_run(store)
            if run_id is None:
                return
            self._feed(store, run_id, machine)
            store.client.set_terminated(run_id, "FINISHED" if self._model_digest else "FAILED")
            if self._model_digest:
                store.state(run_id, {}, {"model_digest": self._model_digest})

    def _feed(self, store: Store, run_id: str, machine: Machine) -> None:
        """Send records, and measurements of the machine's load, until the training ends."""
        sent, measurements = store.last_step(run_id), store.last_step(run_id, MACHINE_CURVE)
        measured_at = -math.inf
        ended = False
        while not ended:
            self._request_began = math.inf
            records, ended = self._next_records()
            self._request_began = time.monotonic()
            metrics = [each.metrics() for each in records if each.record.step > sent]
            if ended or time.monotonic() - measured_at >= MACHINE_EVERY_S:
                measured_at = time.monotonic()
                measurements += 1
                metrics.append([metric(name, value, measurements) for name, value in machine.measure().items()])
            store.log_curve(run_id, metrics)
            self._send_samples(store, run_id)

    def _send_samples(self, store: Store, run_id: str) -> None:
        """Send the few samples that the report will show too. If it fails, the next call tries again.

        Only the milestones are known before the end. The store of the artefacts can fail when the rest of MLflow works.
        Then the curve is still sent.
        """
        chosen = strip if self._model_digest else milestones
        with on_failure(self._give_up):
            for sample in chosen(self._samples)[self._samples_sent :]:
                self._request_began = time.monotonic()
                store.log_sample(run_id, sample)
                self._samples_sent += 1

    def _open_run(self, store: Store) -> str | None:
        """The id of the run for this training. None if nothing is left to send.

        If an earlier process left a run without a model, this process continues that run. Otherwise it makes a new run.

        Nothing is left to send if this process resumes a training whose run is finished. This happens if dvc was killed
        just after the training ended.
        """
        earlier = store.find(train_key=self._card.keys["train_key"])
        unfinished = [run for run in earlier if "model_digest" not in run.data.tags]
        # A resumed training may have been moved here with its checkpoint.
        for run in [*filter(store.is_ours, unfinished), *(unfinished if self._resumed else ())]:
            store.client.update_run(run.info.run_id, status="RUNNING")
            store.describe(run.info.run_id, self._card)
            return str(run.info.run_id)
        finished = [run for run in earlier if "model_digest" in run.data.tags]
        if finished and self._resumed:
            return None
        run_id = store.begin(self._card)
        if finished:
            store.state(run_id, {}, {"rerun_of": finished[-1].info.run_id})
        return run_id

    def _next_records(self) -> tuple[list[TimedRecord], bool]:
        """Wait FLUSH_EVERY_S, or until the training ends. Returns the new records, and whether it has ended."""
        records: list[TimedRecord] = []
        until = time.monotonic() + FLUSH_EVERY_S
        while (left := until - time.monotonic()) > 0:
            try:
                record = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if record is None:
                return records, True
            records.append(record)
        return records, False


class Untracked:
    """A listener that takes the place of a TrainingStream if tracking is off. It sends nothing."""

    def __call__(self, record: Record) -> None: ...

    def finish(self, model_digest: str) -> None: ...


@contextmanager
def track_training(
    params: TrackingParams, card: Card, history: Sequence[Record], samples: Sequence[TrainingSample] = ()
) -> Iterator[TrainingStream | Untracked]:
    """Give a listener that sends records and samples of a training to its run. If tracking is off, it sends nothing.

    `history` are the records of an earlier process of the same training. If that process had a run, this process
    continues the run. `samples` is the list to which the training adds its samples.
    """
    note_training(card)
    if fault := git_fault():
        say(f"warning: the run will not state its git commit: {fault}")
    if not params.enabled:
        yield Untracked()
        return
    stream = TrainingStream(params, card, history, samples)
    try:
        yield stream
    finally:
        stream.close()
