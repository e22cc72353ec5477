"""Characters a second: 64 samples of 300 characters in one batch against the tutorial's `generate`, at hidden size 256.

The tutorial's loop tracks gradients; beside it stands the same loop told not to.
"""

from __future__ import annotations

import torch

from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.sampling import Sampling, sample
from charloom.text.vocab import Vocabulary
from common import PAIRS, compare, encoded_text, machine, one_layer, rate_of
from tutorial import Tutorial
from tutorial_generate import generate

HIDDEN, SAMPLES, LENGTH, START = 256, 64, 300, "today "
SECONDS = 2.0  # a measurement


def main() -> None:
    set_threads("auto")
    with encoded_text() as text:
        vocabulary, name = text.vocabulary, text.name
    tutorial = Tutorial(vocabulary.characters, HIDDEN)
    print(f"{machine()}; {name}, {PAIRS} pairs\n")
    print("| | charloom | tutorial | ratio |\n|---|---|---|---|")
    for cell in ("LSTM", "GRU", "RNN"):
        model = CharModel(len(vocabulary), one_layer(HIDDEN, cell))
        for many in (SAMPLES, 1) if cell == "LSTM" else (SAMPLES,):
            row(f"{cell}, {many} at once", model, vocabulary, tutorial, many)
        if cell == "LSTM":
            with torch.inference_mode():
                row(f"{cell}, {SAMPLES} at once; tutorial without gradients", model, vocabulary, tutorial, SAMPLES)


def row(name: str, model: CharModel, vocabulary: Vocabulary, tutorial: Tutorial, many: int) -> None:
    """Measure and print one row: `many` of ours at once, one of the tutorial's."""

    def ours() -> int:
        return sum(map(len, sample(model, vocabulary, [START] * many, Sampling(length=LENGTH))))

    def tutorials() -> int:
        return len(generate(tutorial, vocabulary.characters, LENGTH, START)) - len(START)

    rates = compare(lambda: rate_of(ours, SECONDS), lambda: rate_of(tutorials, SECONDS))
    print(rates.row(name, "characters/s"), flush=True)


if __name__ == "__main__":
    main()
