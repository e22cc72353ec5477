"""What MLflow costs a training: characters a second with a run being streamed, and with tracking off.

Each pair is one process's training going on, with the stream and without it. Rates of a few seconds differ by more
than the stream takes, so that its threads' processor time stands beside them: the share of one core that they had. What
a training pays once, for importing MLflow and opening the run beside its first steps and for waiting at its end, is
stated apart: seconds, not a share.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from charloom.card import Card
from charloom.checkpoint import Checkpoints
from charloom.device import set_threads
from charloom.history import Listener
from charloom.params import TrackingParams
from charloom.tracking.stream import track_training
from charloom.training import Interrupted, Training, run_training
from common import PAIRS, Text, compare, encoded_text, machine
from training import make_training

SECONDS = 8.0  # a timing: the stream sends every 2, and samples the machine every 10
SIZES = (64, 512)
TRACKING = TrackingParams(enabled=True, experiment="benchmark", timeout=10.0)
numbers = count()


def main() -> None:
    set_threads("auto")
    with encoded_text() as text, tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        print(f"{machine()}; {text.name}, a record every {text.params.train.log_every} steps, {PAIRS} pairs\n")
        for what in ("first training of a store: MLflow imported, tables made", "next training"):
            print(f"{what}: {once():.1f} s")
        print("\n| hidden size | tracked | tracking off | ratio | of one core |\n|---|---|---|---|---|")
        for hidden in SIZES:
            print(pairs(text, hidden, Checkpoints(Path(folder) / str(hidden))), flush=True)


def once() -> float:
    """Seconds that a training of no step waits for the tracker."""
    began = time.perf_counter()
    with track_training(TRACKING, next_card(), []):
        pass
    return time.perf_counter() - began


def pairs(text: Text, hidden: int, checkpoints: Checkpoints) -> str:
    training = make_training(text, hidden)

    shares: list[float] = []

    def tracked() -> float:
        with track_training(TRACKING, next_card(), []) as tracker:
            had, began = threads_seconds(), time.perf_counter()
            found = rate(training, checkpoints, [tracker])
            shares.append((threads_seconds() - had) / (time.perf_counter() - began))
        return found

    rates = compare(tracked, lambda: rate(training, checkpoints, []))
    return f"{rates.row(str(hidden), 'characters/s')} {statistics.median(shares):.1%} |"


def threads_seconds() -> float:
    """Processor time of this process' Python threads but the main one: those that talk to MLflow."""
    others = {thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sum(each.user_time + each.system_time for each in psutil.Process().threads() if each.id in others)


def rate(training: Training, checkpoints: Checkpoints, listeners: Sequence[Listener]) -> float:
    """Characters a second of some seconds' training, its records and checkpoints too."""
    step, began = training.step, time.perf_counter()
    with suppress(Interrupted):
        run_training(training, checkpoints, listeners, lambda: time.perf_counter() - began > SECONDS)
    elapsed = time.perf_counter() - began
    return (training.step - step) * training.batches.batch_size * training.batches.length / elapsed


def next_card() -> Card:
    """The card of a training that was not there before."""
    return Card("benchmark", {}, {}, {"train_key": str(next(numbers))}, [])


if __name__ == "__main__":
    main()
