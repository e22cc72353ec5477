"""Characters drawn per second: 64 samples in one batch, compared with the tutorial's `generate`, at hidden size 256.

The tutorial's loop tracks gradients. The last row compares with the tutorial's loop without gradients.
"""

from __future__ import annotations

from charloom.cells import CELLS
from charloom.model.counting import make_memory
from charloom.model.device import set_threads
from charloom.model.network import CharModel
from charloom.model.sampling import Sampling, sample
from charloom.text.vocab import Vocabulary
import torch

from common import PAIRS, Text, compare, encoded_text, machine, one_layer, rate_of
from tutorial_generate import generate
from tutorial_training import Tutorial

HIDDEN, SAMPLES, LENGTH, START = 256, 64, 300, "today "
ORDER = 10  # model.memory
SECONDS = 2.0  # for one measurement


def main() -> None:
    set_threads("auto")
    with encoded_text() as text:
        vocabulary, name = text.vocabulary, text.name
        remembering = with_memory(text)
    tutorial = Tutorial(vocabulary.characters, HIDDEN)
    print(f"{machine()}; {name}, {PAIRS} pairs\n")
    print("| | charloom | tutorial | ratio |\n|---|---|---|---|")
    models = {cell: CharModel(len(vocabulary), one_layer(HIDDEN, cell)) for cell in CELLS}
    for cell, model in models.items():
        row(f"{cell}, {SAMPLES} at once", model, vocabulary, tutorial, SAMPLES)
    cell = "LSTM"  # the cell of the tutorial
    row(f"{cell}, 1 at once", models[cell], vocabulary, tutorial, 1)
    for many in (SAMPLES, 1):
        row(f"{cell} with a memory, {many} at once", remembering, vocabulary, tutorial, many)
    with torch.inference_mode():
        row(f"{cell}, {SAMPLES} at once; tutorial without gradients", models[cell], vocabulary, tutorial, SAMPLES)


def with_memory(text: Text) -> CharModel:
    """An LSTM with an n-gram memory of ORDER that has counted the training text."""
    params = one_layer(HIDDEN).model_copy(update={"memory": ORDER})
    model = CharModel(len(text.vocabulary), params)
    codes = torch.from_numpy(text.train.codes.astype("int64"))
    model.memory = make_memory(codes, len(text.vocabulary), text.vocabulary.eos, ORDER)
    return model


def row(name: str, model: CharModel, vocabulary: Vocabulary, tutorial: Tutorial, many: int) -> None:
    """Measure and print one row: `many` samples of charloom at once, compared with one text of the tutorial."""

    def ours() -> int:
        return sum(map(len, sample(model, vocabulary, [START] * many, Sampling(length=LENGTH))))

    def theirs() -> int:
        return len(generate(tutorial, vocabulary.characters, LENGTH, START)) - len(START)

    rates = compare(lambda: rate_of(ours, SECONDS), lambda: rate_of(theirs, SECONDS))
    print(rates.row(name, "characters/s"), flush=True)


if __name__ == "__main__":
    main()
