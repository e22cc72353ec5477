"""Rates on a GPU: training over hidden size, batch size and precision, with and without a memory; scoring; sampling.

`make gpu-check` runs this after the tests that need a GPU. The output is Markdown for BENCHMARKS.md. `--device cpu`
rehearses it on a CPU, with smaller shapes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
import time
from unittest.mock import patch

from charloom.model.device import describe_device, make_deterministic, precisions, set_threads
from charloom.model.memory import Memory
from charloom.model.network import CharModel
from charloom.model.sampling import Sampling, sample
from charloom.model.scoring import score_articles
from charloom.training.loop import Training
from charloom.training.parallel import Group
import torch

from common import Text, encoded_text, machine

SECONDS = 0.25  # how long a rate is measured
SHAPES = [(hidden, batch) for hidden in (256, 512, 1024) for batch in (16, 64, 256, 1024)]
SMALL_SHAPES = [(64, 16), (128, 16)]  # for a CPU


@dataclass(frozen=True)
class Bench:
    """The text and the device, and the memory of the text, which is counted once."""

    text: Text
    device: torch.device
    memory: Memory

    def training(self, hidden: int, batch: int, precision: str, *, memory: bool = False, **model: object) -> Training:
        """A training as in params.yaml, but with these sizes, and without a memory unless `memory` is true."""
        stated = self.text.params.model
        order = stated.memory if memory else 0
        params = stated.model_copy(update={"hidden_size": hidden, "memory": order, **model})
        changes = {"epochs": 1000.0, "device": self.device.type, "batch_size": batch, "precision": precision}
        # Counting the text for each training would take most of the time.
        with patch("charloom.training.recall.make_memory", lambda *_: self.memory):
            return Training(
                CharModel(len(self.text.vocabulary), params),
                self.text.train,
                self.text.valid,
                self.text.params.train.model_copy(update=changes),
                Group(device=self.device),
            )

    def rate(self, training: Training) -> float:
        """Characters per second of training steps."""
        return training.batches.batch_size * training.batches.length / self.seconds(training.train_step)

    def seconds(self, work: Callable[[], object], warm_up: int = 5) -> float:
        """The seconds that a call of `work` takes, after some calls. The first steps of a training are not recorded."""
        for _ in range(warm_up):
            work()
        self.wait()
        began, calls = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            work()
            calls += 1
            if calls % 8 == 0:
                self.wait()
        self.wait()
        return (time.perf_counter() - began) / calls

    def wait(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    set_threads("auto")
    make_deterministic(1)
    with encoded_text() as text:
        began = time.perf_counter()
        model = CharModel(len(text.vocabulary), text.params.model)
        Training(model, text.train, text.valid, text.params.train, Group())
        assert model.memory is not None
        print(f"{describe_device(device)}; {machine()}; {text.name}, windows of {text.params.windows.length}.")
        print(f"Counting the memory took {time.perf_counter() - began:.1f} s on the CPU.\n")
        bench = Bench(text, device, model.memory.to(device))
        for table in (training_rates, memory_rates, recorded_rates, other_rates):
            print(*table(bench), sep="\n", end="\n\n", flush=True)


def shapes(bench: Bench) -> list[tuple[int, int]]:
    """The hidden sizes and batch sizes that are measured."""
    return SHAPES if bench.device.type == "cuda" else SMALL_SHAPES


def training_rates(bench: Bench) -> Iterable[str]:
    """Training without a memory, by precision."""
    names = precisions(bench.device)
    yield f"| hidden size, batch: million characters/s | {' | '.join(names)} |"
    yield "|---|" + "---|" * len(names)
    for hidden, batch in shapes(bench):
        rates = [f"{bench.rate(bench.training(hidden, batch, name)) / 1e6:.3f}" for name in names]
        yield f"| {hidden}, {batch} | {' | '.join(rates)} |"


def memory_rates(bench: Bench) -> Iterable[str]:
    """Training with and without a memory, in the fastest precision for float32 numbers."""
    precision = "tf32" if "tf32" in precisions(bench.device) else "fp32"
    yield f"| hidden size, batch: million characters/s, {precision} | with a memory | without | ratio |"
    yield "|---|---|---|---|"
    for hidden, batch in shapes(bench):
        plain, ours = (
            bench.rate(bench.training(hidden, batch, precision, memory=memory)) / 1e6 for memory in (False, True)
        )
        yield f"| {hidden}, {batch} | {ours:.3f} | {plain:.3f} | {ours / plain:.2f} |"


def recorded_rates(bench: Bench) -> Iterable[str]:
    """How much faster a step is that is recorded as a CUDA graph."""
    hidden = 512 if bench.device.type == "cuda" else 64
    yield f"| {hidden} units, batch: million characters/s | recorded steps | not recorded | ratio |\n|---|---|---|---|"
    for batch in (16, 256):
        training = bench.training(hidden, batch, "fp32")
        recorded = bench.rate(training) / 1e6
        training._learn = training._compute_step
        plain = bench.rate(training) / 1e6
        yield f"| {batch} | {recorded:.3f} | {plain:.3f} | {recorded / plain:.2f} |"


def other_rates(bench: Bench) -> Iterable[str]:
    """Scoring the validation split, and sampling."""
    hidden = 512 if bench.device.type == "cuda" else 64
    yield f"| {hidden} units: characters/s | without a memory | with one |\n|---|---|---|"
    models = [bench.training(hidden, 16, "fp32", memory=memory).model for memory in (False, True)]
    valid, vocabulary = bench.text.valid, bench.text.vocabulary
    scored = [valid.characters / bench.seconds(partial(score_articles, model, valid), warm_up=1) for model in models]
    yield f"| scoring | {scored[0]:,.0f} | {scored[1]:,.0f} |"
    how = Sampling(length=50)
    for number in (1, 64, 512):
        prompts = [""] * number
        drawn = [
            how.length * number / bench.seconds(partial(sample, model, vocabulary, prompts, how), warm_up=1)
            for model in models
        ]
        yield f"| sampling {number} at once | {drawn[0]:,.0f} | {drawn[1]:,.0f} |"


if __name__ == "__main__":
    main()
