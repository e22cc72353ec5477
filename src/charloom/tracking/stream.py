"""A training's numbers, sent to its run while it goes on."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from charloom.card import Card
from charloom.history import Record
from charloom.params import TrackingParams
from charloom.tracking.store import SQLITE, Store, tracking_uri, warn, warn_on_failure

FLUSH_EVERY_S = 2.0


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
                warn(f"the tracker did not answer within {self._params.timeout:g} s")
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
