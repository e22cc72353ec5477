"""What an n-gram memory costs: training with it against the same training without it, and the size of the files."""

from __future__ import annotations

from pathlib import Path
import statistics
import tempfile
import time

from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.saved import save_model
from charloom.training.checkpoint import Checkpoints
from charloom.training.loop import Training
from charloom.training.parallel import Group
from charloom.training.state import snapshot
import torch

from common import Text, compare, encoded_text, machine, one_layer, rate_of

ORDER, CHARACTERS = 10, 6_000_000  # model.memory and model.memory_characters
PAIRS, SECONDS = 7, 1.5


def main() -> None:
    set_threads("auto")
    with encoded_text(length=50, stride=50) as text:
        print(f"{machine()}; {text.name}, memory of order {ORDER}, batches of 16 windows of 50, {PAIRS} pairs\n")
        print("| hidden size | with a memory | without | ratio |\n|---|---|---|---|")
        for hidden in (256, 512):
            trained = training(text, hidden, ORDER), training(text, hidden, 0)
            ours, theirs = (lambda each=each: rate_of(lambda: step(each), SECONDS) for each in trained)
            print(compare(ours, theirs, PAIRS).row(str(hidden), "characters/s"))
        size = saved_bytes(text, trained[0].model) / 1e6
        print(f"\nThe file of the model of {hidden} units has {size:.1f} MB.")
        size, seconds = checkpoint_cost(trained[0])
        share = seconds / text.params.train.checkpoint_every
        print(f"A checkpoint has {size / 1e6:.1f} MB. Saving it takes {seconds:.2f} s, {share:.2%} of the time.")


def training(text: Text, hidden: int, order: int) -> Training:
    """A training that has done its first steps, whose preparations are not a part of the rate."""
    torch.manual_seed(1)
    params = one_layer(hidden).model_copy(update={"memory": order, "memory_characters": CHARACTERS})
    training = Training(CharModel(len(text.vocabulary), params), text.train, text.valid, text.params.train, Group())
    for _ in range(10):
        training.train_step()
    return training


def step(training: Training) -> int:
    """Train one step. Returns the number of symbols that it read."""
    training.train_step()
    return training.batches.batch_size * training.batches.length


def saved_bytes(text: Text, model: CharModel) -> int:
    """The size of the file that holds the model."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), model, text.vocabulary, "benchmark")
        return (Path(folder) / "model.safetensors").stat().st_size


def checkpoint_cost(training: Training) -> tuple[int, float]:
    """The bytes of a checkpoint, and the seconds for which saving it stops the training (the median)."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, seconds = Checkpoints(Path(folder)), []
        for _ in range(PAIRS):
            began = time.perf_counter()
            checkpoints.save(snapshot(training))
            seconds.append(time.perf_counter() - began)
        return (Path(folder) / "last.safetensors").stat().st_size, statistics.median(seconds)


if __name__ == "__main__":
    main()
