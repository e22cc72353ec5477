"""What MLflow costs a training: characters a second with a run being streamed, and with tracking off.

The tracked training and one that is not take turns step by step, in one process: what else the machine does, and what
MLflow's threads do, meets both alike. So the ratio is what the training's own thread pays. The threads' processor time
stands beside it, as if one core had done all of it in the tracked training's half of the time: they stop a training for
that long at most. (Pairs of whole runs of 8 s, which this was before, had ratios from 0.76 to 1.15.) What a training
pays once, for importing MLflow and opening the run beside its first steps and for waiting at its end, is stated apart:
seconds, not a share.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from itertools import count
from pathlib import Path

import psutil

from charloom.model.device import set_threads
from charloom.params import TrackingParams
from charloom.tracking.card import Card
from charloom.tracking.stream import track_training
from charloom.training.checkpoint import Checkpoints
from common import Text, encoded_text, machine
from training import make_training, step_by_step

PAIRS = {64: 99, 512: 13}  # by hidden size: about a minute, in which the stream sends 12 times
TRACKING = TrackingParams(enabled=True, experiment="benchmark", timeout=10.0)
numbers = count()


def main() -> None:
    set_threads("auto")
    with encoded_text() as text, tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        print(f"{machine()}; {text.name}, a record every {text.params.train.log_every} steps\n")
        for what in ("first training of a store: MLflow imported, tables made", "next training"):
            print(f"{what}: {once():.1f} s")
        print("\n| hidden size | tracked | tracking off | ratio | threads | lost at most |\n|---|---|---|---|---|---|")
        for hidden, pairs in PAIRS.items():
            print(row(text, hidden, Checkpoints(Path(folder) / str(hidden)), pairs), flush=True)


def once() -> float:
    """Seconds that a training of no step waits for the tracker."""
    began = time.perf_counter()
    with track_training(TRACKING, next_card(), []):
        pass
    return time.perf_counter() - began


def row(text: Text, hidden: int, checkpoints: Checkpoints, pairs: int) -> str:
    training, other = make_training(text, hidden), make_training(text, hidden)

    def untracked() -> int:
        other.train_step()
        if other.step % other.params.log_every == 0:
            other.record(validate=False)
        return other.batches.batch_size * other.batches.length

    with track_training(TRACKING, next_card(), []) as tracker:
        had, began = threads_seconds(), time.perf_counter()
        rates = step_by_step(training, checkpoints, untracked, [tracker], pairs)
        share = (threads_seconds() - had) / ((time.perf_counter() - began) / 2)
    most = 1 - rates.ratio * (1 - share)
    return f"{rates.row(str(hidden), 'characters/s')} {share:.2%} | **{most:.2%}** |"


def threads_seconds() -> float:
    """Processor time of this process' Python threads but the main one: those that talk to MLflow."""
    others = {thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sum(each.user_time + each.system_time for each in psutil.Process().threads() if each.id in others)


def next_card() -> Card:
    """The card of a training that was not there before."""
    return Card("benchmark", {}, {}, {"train_key": str(next(numbers))}, [])


if __name__ == "__main__":
    main()
