"""Facts about the disk: what the next trainings will need, and what earlier trainings have left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from charloom.cells import CELLS
from charloom.corpus.articles import read_source
from charloom.doctor.facts import Fact, fault, ok, warning
from charloom.errors import InputError
from charloom.leftovers import leftovers
from charloom.params import ModelParams, Params
from charloom.terminal import in_bytes
from charloom.text.vocab import Vocabulary

FLOAT_BYTES = 4
GUESSED_SYMBOLS, GUESSED_CLASSES = 200, 4  # before the stages vocab and download have counted them
MEMORY_INPUTS = 12  # as in model/network.py, which needs torch
MEMORY_BYTES = 4  # bytes of the n-gram memory in the model's file for each counted character
CHECKPOINT_COPIES = 4  # the weights, the best weights, and Adam's two averages of each weight
CHECKPOINTS = 3  # `last`, `previous` and, while it is written, `next`
MODELS = 3  # in models/, in DVC's cache and in MLflow


def check_disk(params: Params, root: Path, runs: int = 1) -> Fact:
    """The free space of the disk that has the folder `root`, against what so many trainings will write there."""
    free = shutil.disk_usage(root).free
    needed, estimate = needed_bytes(params, runs)
    found = f"{in_bytes(free)} are free, and about {in_bytes(needed)} are needed ({estimate})"
    remedy = "free some space: `charloom clean` and `dvc gc --workspace` delete what is not needed"
    return ok("disk", found) if free >= needed else fault("disk", found, remedy)


def needed_bytes(params: Params, runs: int = 1) -> tuple[int, str]:
    """The bytes that `runs` trainings will write, one after another, and how this number is estimated.

    The corpus, the windows, the plots and the reports are not counted.
    """
    symbols = len(Vocabulary.load(Path("data/vocab.json"))) if Path("data/vocab.json").exists() else GUESSED_SYMBOLS
    weights = FLOAT_BYTES * parameters(params.model, symbols, class_count())
    memory = MEMORY_BYTES * params.model.memory_characters if params.model.memory else 0
    model, checkpoint = weights + memory, CHECKPOINT_COPIES * weights
    estimate = (
        f"{runs} training{'s' * (runs != 1)}: {MODELS} copies of a model of {in_bytes(model)} each, and {CHECKPOINTS}"
        f" checkpoints of {in_bytes(checkpoint)}; the corpus is not counted"
    )
    return MODELS * model * runs + CHECKPOINTS * checkpoint, estimate


def class_count() -> int:
    """The number of classes of the corpus."""
    try:
        return len(read_source(Path("data/raw"))["classes"])
    except InputError:
        return GUESSED_CLASSES


def parameters(model: ModelParams, symbols: int, classes: int) -> int:
    """The number of parameters of a network, as CharModel.size() counts them."""
    cell, hidden = CELLS[model.cell], model.hidden_size
    slots = classes + 1 if model.conditioning == "class" else 0
    inputs = (
        symbols + slots + (model.class_embedding if slots else 0) + (min(symbols, MEMORY_INPUTS) if model.memory else 0)
    )
    sizes = [inputs, *[hidden] * (model.layers - 1)]
    count = sum(len(cell.gates) * hidden * (size + hidden + 2) for size in sizes) + (hidden + 1) * symbols
    count += slots * (len(cell.state) * model.layers * hidden + symbols * hidden + symbols * model.class_embedding)
    gates = (2 if slots and classes and model.class_memory else 1) if model.memory else 0
    return count + gates * (hidden + 1)


def check_leftovers(root: Path) -> Iterator[Fact]:
    """The checkpoints of trainings that do not run."""
    remedy = "`dvc repro` with the same parameters resumes the training, `charloom clean` removes the checkpoints"
    for each in leftovers(root):
        if each.finished:
            yield warning("checkpoints", str(each), "`dvc repro` or `charloom clean` removes them")
        else:
            yield warning("checkpoints", f"{each}, of a training that was stopped", remedy)
