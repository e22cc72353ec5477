"""Training characters a second: all of charloom's training against a bare loop, and against the tutorial's.

The bare loop is forward, backward and Adam over one fixed batch of the same shape. Ours is `run_training` as the train
stage calls it: batches, clipping, schedule, records, checkpoints. Scoring the validation split is stated apart.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from arithmetic import bare_loop, flops_per_character, sgemm_rate
from charloom.checkpoint import Checkpoints
from charloom.corpus import read_articles
from charloom.device import set_threads
from charloom.history import Record
from charloom.model import CharModel
from charloom.parallel import Group
from charloom.scoring import score_articles
from charloom.training import Interrupted, Training, run_training
from common import PAIRS, Text, compare, encoded_text, machine, rate_of
from tutorial import HIDDEN, Tutorial, long_enough

SECONDS = 4.0  # a timing
SIZES = (64, 256, 512)


def main() -> None:
    set_threads("auto")
    with encoded_text() as text, tempfile.TemporaryDirectory() as folder:
        peak = sgemm_rate()
        print(f"{machine()}; {text.name}, batch {text.params.train.batch_size}, {PAIRS} pairs\n")
        print(f"SGEMM: {peak / 1e9:,.0f} GFLOPS\n")
        print("| hidden size | charloom | bare loop | ratio | share of SGEMM |\n|---|---|---|---|---|")
        for hidden in SIZES:
            print(against_bare_loop(text, hidden, Checkpoints(Path(folder) / str(hidden)), peak), flush=True)
        print("\n| | charloom | tutorial | ratio |\n|---|---|---|---|")
        print(against_tutorial(text, Checkpoints(Path(folder) / "tutorial")))
        print()
        for hidden in SIZES:
            print(validation_share(text, hidden))


def against_bare_loop(text: Text, hidden: int, checkpoints: Checkpoints, peak: float) -> str:
    training = make_training(text, hidden)
    model = training.model.params
    bare = bare_loop(model, len(text.vocabulary), text.params.train.batch_size, text.params.windows.length)
    rates = compare(lambda: training_rate(training, checkpoints), lambda: rate_of(bare.step, SECONDS))
    share = max(rates.ours) * flops_per_character(len(text.vocabulary), model) / peak
    return f"{rates.row(str(hidden), 'characters/s')} {share:.2f} |"


def against_tutorial(text: Text, checkpoints: Checkpoints) -> str:
    training = make_training(text, HIDDEN)
    tutorial = Tutorial(text.vocabulary.characters)
    articles = cycle(a.text for a in read_articles(text.raw / "train.csv") if long_enough(a.text))
    rates = compare(
        lambda: training_rate(training, checkpoints),
        lambda: rate_of(lambda: tutorials_step(tutorial, articles), SECONDS),
    )
    return rates.row(f"new text read, hidden size {HIDDEN}", "characters/s")


def validation_share(text: Text, hidden: int) -> str:
    """What scoring the validation split costs beside the steps between two of them."""
    training = make_training(text, hidden)
    began = time.perf_counter()
    for _ in range(20):
        training.train_step()
    steps_s = (time.perf_counter() - began) / 20 * text.params.train.validate_every
    began = time.perf_counter()
    score_articles(training.model, text.valid, training.device)
    return f"validation at hidden size {hidden}: {(time.perf_counter() - began) / steps_s:.1%} of the steps' time"


def make_training(text: Text, hidden: int) -> Training:
    """A training as params.yaml has it, at another hidden size."""
    model = text.params.model.model_copy(update={"hidden_size": hidden})
    params = text.params.train.model_copy(update={"epochs": 1000.0, "device": "cpu"})
    return Training(CharModel(len(text.vocabulary), model), text.train, text.valid, params, Group())


def training_rate(training: Training, checkpoints: Checkpoints) -> float:
    """Characters a second between the first and the last record of a few seconds' training."""
    records: list[tuple[float, int]] = []
    began = time.perf_counter()

    def note(record: Record) -> None:
        records.append((time.perf_counter(), record.characters))

    with suppress(Interrupted):
        run_training(training, checkpoints, [note], lambda: time.perf_counter() - began > SECONDS and len(records) > 1)
    (first_s, first), (last_s, last) = records[0], records[-1]
    return (last - first) / (last_s - first_s)


def tutorials_step(tutorial: Tutorial, articles: Iterator[str]) -> int:
    article = next(articles)
    tutorial.train_step(article)
    return len(article)


if __name__ == "__main__":
    main()
