"""Read mutated files in a process that has little memory and watches its own actions.

`python -m tests.faults.hostile KIND COUNT SEED FOLDER`. For each mutated file, reading must raise a CharloomError or
return something usable. Anything else ends the process with an error: an allocation above the bound, a crash, another
exception, an unpickling, a started program, a file opened in an unexpected folder. The last line of the output is JSON
with the counts.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import load, save

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.errors import CharloomError, say
from charloom.files import file_digest
from charloom.model.saved import load_model, save_model
from charloom.params_file import load_params
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.training.state import resume, snapshot
from tests.conftest import CHECKOUT
from tests.faults.mutations import forge_json, forge_yaml, forged_array, forged_json, forged_tensors, mutate
from tests.learning import Encoded, encode_sample, small_model, small_training, windows_of

MAX_DENSE_ROWS = 1 << 16  # of the small memory here, with its counts by class
SLACK_BYTES = 16 << 20  # memory that the interpreter and its heap need for any file
# The audit events of Python (or their prefixes) that end the process.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.")


@dataclass(frozen=True)
class Target:
    """Files of one kind: a function that reads and uses them, and one that forges them, with correct digests."""

    files: list[Path]
    read: Callable[[], None]
    forge: Callable[[Random], None]
    more_bytes: int = 0  # that reading the files needs in addition to twice their size


def vocabulary_target(folder: Path, encoded: Encoded) -> Target:
    path = folder / "vocab.json"
    encoded.vocabulary.save(path)
    return Target([path], lambda: use_vocabulary(Vocabulary.load(path)), lambda random: forge_json(path, random))


def model_target(folder: Path, encoded: Encoded) -> Target:
    model = small_model(len(encoded.vocabulary), hidden_size=512, classes=4)
    save_model(folder, model, encoded.vocabulary, "key", encoded.train.class_counts)
    weights, about = folder / "model.safetensors", folder / "model.json"

    def forge(random: Random) -> None:
        if random.random() < 0.5:
            weights.write_bytes(save(forged_tensors(load(weights.read_bytes()), random)))
        else:
            forge_json(about, random)
        sign_model(folder)

    return Target([weights, about], lambda: use_model(folder), forge)


def memory_target(folder: Path, encoded: Encoded) -> Target:
    """A model whose memory counts the classes."""
    model = small_training(encoded, {"classes": len(AG_NEWS_CLASSES), "memory": 4, "class_memory": 3}).model
    save_model(folder, model, encoded.vocabulary, "key", encoded.train.class_counts)
    weights, about = folder / "model.safetensors", folder / "model.json"

    def forge(random: Random) -> None:
        match random.randrange(4):
            case 0:
                forge_json(about, random)
            case 1:  # changed bytes, which the digest in model.json does not reveal
                weights.write_bytes(mutate(weights.read_bytes(), random))
            case _:
                weights.write_bytes(save(forged_tensors(load(weights.read_bytes()), random)))
        sign_model(folder)

    # The dense probabilities, which are computed from the file, and the pieces that they are joined from.
    dense = 2 * MAX_DENSE_ROWS * len(encoded.vocabulary) * 4
    return Target([weights, about], lambda: use_model(folder), forge, dense)


def windows_target(folder: Path, encoded: Encoded) -> Target:
    train = folder / "data" / "train"
    files = sorted(train.iterdir())

    def forge(random: Random) -> None:
        path = random.choice(files)
        if path.suffix == ".json":
            forge_json(path, random)
        else:
            np.save(path, forged_array(np.load(path), random))

    return Target(files, lambda: use_windows(train, len(encoded.vocabulary)), forge)


def checkpoint_target(folder: Path, encoded: Encoded) -> Target:
    training = small_training(encoded, {"hidden_size": 256}, epochs=2.0)
    training.train_step()
    training.record(validate=False)
    checkpoints = Checkpoints(folder / "key")
    checkpoints.save(snapshot(training))
    checkpoints.finish_saving()
    path = folder / "key" / "last.safetensors"

    def forge(random: Random) -> None:
        honest = Checkpoint.from_bytes(path.read_bytes())
        if random.random() < 0.5:
            path.write_bytes(Checkpoint(forged_tensors(honest.tensors, random), honest.position).to_bytes())
        else:
            path.write_bytes(Checkpoint(honest.tensors, forged_json(honest.position, random)).to_bytes())

    return Target([path], lambda: use_checkpoint(checkpoints, encoded), forge)


def params_target(folder: Path, _encoded: Encoded) -> Target:
    path = folder / "params.yaml"
    shutil.copyfile(CHECKOUT / "params.yaml", path)

    def read() -> None:
        assert len(load_params(path).flat()) > 20

    return Target([path], read, lambda random: forge_yaml(path, random))


TARGETS: dict[str, Callable[[Path, Encoded], Target]] = {
    "vocab": vocabulary_target,
    "model": model_target,
    "memory": memory_target,
    "windows": windows_target,
    "checkpoint": checkpoint_target,
    "params": params_target,
}


def use_vocabulary(vocabulary: Vocabulary) -> None:
    assert vocabulary.decode(vocabulary.encode(vocabulary.normalized("a word"))) is not None
    assert len(vocabulary.decode(range(len(vocabulary)))) >= len(vocabulary) - 2


def use_model(folder: Path) -> None:
    saved = load_model(folder)
    words = saved.vocabulary.encode(saved.vocabulary.normalized("the words of the Reuters")).tolist()
    ids = torch.tensor([0, len(saved.vocabulary) - 1, saved.vocabulary.eos, *words])[:, None]
    for class_id in (0, len(saved.class_counts)):
        classes = torch.tensor([class_id])
        _, state = saved.model(ids, classes=classes)
        saved.model(ids, state, classes)
    use_vocabulary(saved.vocabulary)


def use_windows(folder: Path, symbols: int) -> None:
    split = EncodedSplit.load(folder, symbols)
    for index in range(split.articles):
        assert split.article(index).size >= 2
        assert split.article(index).max() < symbols
        assert split.lengths[index] > 0
    for index in (0, len(split) - 1):
        assert len(windows_of(split, [index])[0]) == split.length + 1


def use_checkpoint(checkpoints: Checkpoints, encoded: Encoded) -> None:
    training = small_training(encoded, {"hidden_size": 256}, epochs=2.0)
    resume(training, checkpoints)
    if training.step < training.steps:
        training.train_step()
        training.record(validate=False)


def sign_model(folder: Path) -> None:
    """Write the digest of the forged weights to model.json, as an attacker would."""
    path = folder / "model.json"
    digest = file_digest(folder / "model.safetensors").encode()
    path.write_bytes(re.sub(rb'"model_digest": "[0-9a-f]*"', b'"model_digest": "' + digest + b'"', path.read_bytes()))


def forbid(folder: Path) -> None:
    """From now on, end this process if it unpickles, starts a program, connects, or opens a file in another folder.

    Allowed folders are `folder`, those of Python and its packages, the checkout, and /proc/self.
    """
    allowed = (str(folder), sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "/proc/self")

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        elsewhere = event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(allowed)
        if elsewhere or event.startswith(FORBIDDEN):
            print(f"forbidden: {event} {arguments}", file=sys.stderr, flush=True)
            os._exit(9)

    sys.addaudithook(hear)


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """In this block, the process can take at most `more` bytes of address space in addition to what it already has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def one_line(error: CharloomError) -> None:
    """Check that `exit_with` would print the error as one readable line, and exit with the code for bad input."""
    output = io.StringIO()
    say(str(error), output)
    assert len(output.getvalue().splitlines()) == 1
    assert len(output.getvalue()) < 2000
    assert output.getvalue().rstrip("\n").isprintable()
    assert error.exit_code == 2


def main(kind: str, count: int, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    target = TARGETS[kind](folder, encode_sample(folder / "data"))
    honest = {path: path.read_bytes() for path in target.files}
    for _ in range(3):  # import everything and let the heap grow before the memory is bounded
        target.read()
    gc.collect()
    gc.freeze()  # later collections skip all objects that exist now, which makes them fast
    forbid(folder)
    bound = 2 * sum(map(len, honest.values())) + SLACK_BYTES + target.more_bytes
    random = Random(seed)
    refused, slowest_s = 0, 0.0
    for number in range(count):
        if number % 2:
            target.forge(random)
        else:
            path = random.choice(target.files)
            path.write_bytes(mutate(honest[path], random))
        began = time.perf_counter()
        try:
            with at_most(bound):
                target.read()
        except CharloomError as error:
            refused += 1
            if kind == "params":
                one_line(error)
        except BaseException:
            print(f"mutation {number} of {kind}; its files are in {folder}", file=sys.stderr, flush=True)
            raise
        slowest_s = max(slowest_s, time.perf_counter() - began)
        for path, data in honest.items():
            path.write_bytes(data)
        gc.collect()  # a torch module refers to itself, so only a collection frees it
    target.read()
    counts = {"kind": kind, "mutations": count, "refused": refused, "bound_bytes": bound, "slowest_s": slowest_s}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
