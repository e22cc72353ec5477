"""How much tracking slows a training: characters per second with tracking enabled, and with tracking off.

A tracked and an untracked training take turns, step by step, in one process. Other programs and MLflow's threads slow
both trainings equally. The ratio of their speeds is therefore the cost of tracking in the training's own thread.

The column `threads` adds the cost of the threads that talk to MLflow. It is the processor time of these threads,
divided by the time of the tracked training, which is half of the measured time. If the threads and the training share
one core, the training stands still for this share of its time. With more cores it stands still for less.

The column `lost at most` has both costs together.

A training also pays once: MLflow is imported and the run is opened during the first steps, and the training waits for
MLflow at its end. The script prints this time separately, in seconds.

(An earlier version of this benchmark compared whole trainings of 8 s, in pairs. The ratios varied from 0.76 to 1.15.)
"""

from __future__ import annotations

from itertools import count
import os
from pathlib import Path
import tempfile
import threading
import time

from charloom.model.device import set_threads
from charloom.params import TrackingParams
from charloom.tracking.card import Card
from charloom.tracking.stream import track_training
from charloom.training.checkpoint import Checkpoints
import psutil

from common import Text, encoded_text, machine
from training import make_training, step_by_step

# Pairs of measurements by hidden size. Each hidden size takes about a minute, in which MLflow is called 12 times.
PAIRS = {64: 99, 512: 13}
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
    """The seconds that a training without steps takes. It only waits for MLflow."""
    began = time.perf_counter()
    with track_training(TRACKING, next_card(), []):
        pass
    return time.perf_counter() - began


def row(text: Text, hidden: int, checkpoints: Checkpoints, pairs: int) -> str:
    """A row of the table: the speeds with and without tracking, their ratio, and the two shares."""
    training, other = make_training(text, hidden), make_training(text, hidden)

    def untracked() -> int:
        other.train_step()
        if other.step % other.params.log_every == 0:
            other.record(validate=False)
        return other.batches.batch_size * other.batches.length

    with track_training(TRACKING, next_card(), []) as listener:
        before, began = threads_seconds(), time.perf_counter()
        rates = step_by_step(training, checkpoints, untracked, [listener], pairs)
        share = (threads_seconds() - before) / ((time.perf_counter() - began) / 2)
    most = 1 - rates.ratio * (1 - share)
    return f"{rates.row(str(hidden), 'characters/s')} {share:.2%} | **{most:.2%}** |"


def threads_seconds() -> float:
    """The processor seconds of all Python threads except the main one. These threads talk to MLflow."""
    others = {thread.native_id for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sum(each.user_time + each.system_time for each in psutil.Process().threads() if each.id in others)


def next_card() -> Card:
    """The card of a new training."""
    return Card("benchmark", "a model", {}, {}, {"train_key": str(next(numbers))}, [])


if __name__ == "__main__":
    main()
