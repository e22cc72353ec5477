"""How much of the samples is copied from the training text: `copied.py WORKSPACE`, after `dvc repro` in the workspace.

A character is copied if it belongs to a passage of LENGTH characters that the training text contains.
"""

from __future__ import annotations

from pathlib import Path

from charloom.model.sampling import Sampling, sample
from charloom.model.saved import load_model
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Codes
import click
import numpy as np
import numpy.typing as npt

LENGTH = 40
SAMPLES, CHARACTERS, TEMPERATURES = 64, 300, (0.5, 0.7, 0.8, 1.0)
ARTICLES = 500  # of the test split, for comparison
PRIME = np.uint64(1099511628211)


@click.command()
@click.argument("workspace", type=click.Path(exists=True, path_type=Path))
def main(workspace: Path) -> None:
    """Print a row of a Markdown table for each temperature, and one for the test articles."""
    saved = load_model(workspace / "models/charloom")
    train, test = (
        EncodedSplit.load(workspace / "data/windows" / split, len(saved.vocabulary)) for split in ("train", "test")
    )
    known = np.sort(hashes(train.codes))
    print("| text | copied | longest copied passage |\n|---|---|---|")
    for temperature in TEMPERATURES:
        how = Sampling(length=CHARACTERS, temperature=temperature)
        texts = sample(saved.model, saved.vocabulary, [""] * SAMPLES, how)
        row(f"samples at temperature {temperature:g}", [saved.vocabulary.encode(text) for text in texts], known)
    row("articles of the test split", [test.article(index)[1:-1] for index in range(ARTICLES)], known)


def row(name: str, texts: list[Codes], known: npt.NDArray[np.uint64]) -> None:
    """Print the share of copied characters of texts, and the length of the longest copied passage."""
    copied = [copied_characters(text, known) for text in texts]
    share = sum(int(each.sum()) for each in copied) / sum(map(len, copied))
    print(f"| {name} | {share:.1%} | {max(map(longest_run, copied))} characters |", flush=True)


def hashes(codes: Codes) -> npt.NDArray[np.uint64]:
    """A hash of each passage of LENGTH characters."""
    found = np.zeros(max(0, len(codes) - LENGTH + 1), dtype=np.uint64)
    for place in range(LENGTH if len(found) else 0):
        found = found * PRIME + codes[place : place + len(found)].astype(np.uint64) + np.uint64(1)
    return found


def copied_characters(codes: Codes, known: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Whether each character belongs to a passage whose hash is among the `known` ones, which are sorted."""
    passages = hashes(codes)
    nearest = np.searchsorted(known, passages).clip(max=len(known) - 1)
    copied = np.zeros(len(codes), dtype=bool)
    for begin in np.flatnonzero(known[nearest] == passages):
        copied[begin : begin + LENGTH] = True
    return copied


def longest_run(copied: npt.NDArray[np.bool_]) -> int:
    """The length of the longest run of copied characters. Two neighbouring passages count as one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], copied, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


if __name__ == "__main__":
    main()
