"""Characters per second of training: charloom compared with a bare loop, and with the tutorial.

The bare loop is forward, backward and Adam over one fixed batch of the same shape. charloom's training is
`run_training` as the train stage calls it, with batches, clipping, schedule, records and checkpoints. Validation is
measured separately. charloom and the other program take one step each in turn, so that other load on the machine slows
both alike. The steps of one record (train.log_every) give one pair of rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
import tempfile
import time

from charloom.corpus.articles import read_articles
from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.scoring import score_articles
from charloom.training.checkpoint import Checkpoints, Interrupted
from charloom.training.history import Listener, Record
from charloom.training.loop import Training, run_training
from charloom.training.parallel import Group
from charloom.training.sampler import Sampler

from arithmetic import bare_loop, flops_per_character, sgemm_rate
from common import Comparison, Text, encoded_text, machine
from tutorial_training import HIDDEN, Tutorial, long_enough

PAIRS = 9
# Hidden size → the smallest batch size at which the rate is about as high as it can be.
BATCH_AT = {64: 64, 256: 16, 512: 16}
# In the comparison with the tutorial: the batch size of params.yaml, and the fastest one at the tutorial's hidden size.
BATCHES = (16, 64)


def main() -> None:
    set_threads("auto")
    with encoded_text() as text, tempfile.TemporaryDirectory() as folder:
        peak = sgemm_rate()
        print(f"{machine()}; {text.name}, windows of {text.params.windows.length}, {PAIRS} pairs\n")
        print(f"SGEMM: {peak / 1e9:,.0f} GFLOPS\n")
        print("| hidden size, batch | charloom | bare loop | ratio | share of SGEMM |\n|---|---|---|---|---|")
        for hidden, batch_size in BATCH_AT.items():
            checkpoints = Checkpoints(Path(folder) / str(hidden))
            print(against_bare_loop(text, hidden, batch_size, checkpoints, peak), flush=True)
        print("\n| | charloom | tutorial | ratio |\n|---|---|---|---|")
        for batch_size in BATCHES:
            print(against_tutorial(text, batch_size, Checkpoints(Path(folder) / f"tutorial{batch_size}")), flush=True)
        print()
        for hidden, batch_size in BATCH_AT.items():
            print(validation_share(text, hidden, batch_size))


def against_bare_loop(text: Text, hidden: int, batch_size: int, checkpoints: Checkpoints, peak: float) -> str:
    """A row of the first table. `peak` is the machine's rate of matrix products in FLOP/s."""
    training = make_training(text, hidden, batch_size=batch_size)
    model = training.model.params
    bare = bare_loop(model, len(text.vocabulary), batch_size, text.params.windows.length)
    rates = step_by_step(training, checkpoints, bare.step)
    share = max(rates.ours) * flops_per_character(len(text.vocabulary), model) / peak
    return f"{rates.row(f'{hidden}, {batch_size}', 'characters/s')} {share:.2f} |"


def against_tutorial(text: Text, batch_size: int, checkpoints: Checkpoints) -> str:
    """A row of the second table. A step of the tutorial reads one article."""
    tutorial = Tutorial(text.vocabulary.characters)
    articles = cycle(a.text for a in read_articles(text.raw / "train.csv") if long_enough(a.text))
    training = make_training(text, HIDDEN, batch_size=batch_size)
    return step_by_step(training, checkpoints, lambda: step_of_tutorial(tutorial, articles)).row(
        f"new text read, hidden size {HIDDEN}, batch {batch_size}", "characters/s"
    )


def step_by_step(
    training: Training,
    checkpoints: Checkpoints,
    other: Callable[[], int],
    listeners: Sequence[Listener] = (),
    pairs: int = PAIRS,
) -> Comparison:
    """Compare the characters per second of a training and of `other`, which returns how many characters it read."""
    turns: list[tuple[float, float, int]] = []  # seconds of our step, seconds of their step, characters of their step
    steps = training.params.log_every
    other()
    began = 0.0

    def take_turns() -> bool:
        """Call `other` after each step of the training, which calls this function to ask whether to stop."""
        nonlocal began
        ended = time.perf_counter()
        characters = other()
        turns.append((ended - began, time.perf_counter() - ended, characters))
        began = time.perf_counter()
        return len(turns) == (pairs + 1) * steps

    with suppress(Interrupted):
        run_training(training, checkpoints, listeners, take_turns)
    # The first `steps` turns are a warm-up.
    each = [zip(*turns[begin : begin + steps], strict=True) for begin in range(steps, len(turns), steps)]
    read = steps * training.batches.batch_size * training.batches.length
    sums = [(sum(ours), sum(theirs), sum(characters)) for ours, theirs, characters in each]
    return Comparison([read / ours for ours, _, _ in sums], [characters / theirs for _, theirs, characters in sums])


def validation_share(text: Text, hidden: int, batch_size: int) -> str:
    """The time of a validation and of its sample, divided by the time of the steps between two validations."""
    training = make_training(text, hidden, batch_size=batch_size)
    began = time.perf_counter()
    for _ in range(20):
        training.train_step()
    steps_s = (time.perf_counter() - began) / 20 * text.params.train.validate_every
    began = time.perf_counter()
    score_articles(training.model, text.valid)
    validation_s = time.perf_counter() - began
    sampler = Sampler(training, text.vocabulary)  # draws the first sample
    training.samples.clear()
    began = time.perf_counter()
    sampler(Record(1, 0.0, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    sample_s = time.perf_counter() - began
    return (
        f"at hidden size {hidden}, a validation takes {validation_s / steps_s:.1%} of the steps' time, and its sample"
        f" {sample_s / steps_s:.2%} ({validation_s:.2f} s and {sample_s:.2f} s)"
    )


def make_training(text: Text, hidden: int, **changes: object) -> Training:
    """A training as in params.yaml, but with another hidden size and `changes` to the section `train`."""
    model = text.params.model.model_copy(update={"hidden_size": hidden})
    params = text.params.train.model_copy(update={"epochs": 1000.0, "device": "cpu", **changes})
    return Training(CharModel(len(text.vocabulary), model), text.train, text.valid, params, Group())


def step_of_tutorial(tutorial: Tutorial, articles: Iterator[str]) -> int:
    """Train the tutorial on the next article. Returns the number of its characters."""
    article = next(articles)
    tutorial.train_step(article)
    return len(article)


if __name__ == "__main__":
    main()
