"""Drawing text from a model: `sample` returns whole texts, `stream` yields each character as soon as it is drawn."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.model.network import COLUMNS, CharModel
from charloom.model.states import State
from charloom.text.texts import encode
from charloom.text.vocab import Vocabulary

# At most so many samples are drawn at the same time. On a GPU, a batch always has so many columns, even if some of them
# are unused, and sample i uses column i % TILE. Reason: the rounding of a matrix product depends on its shape and
# column, and one different bit can change a drawn character. On a CPU, CharModel computes COLUMNS columns at a time. So
# there, sample i uses a column whose number has the remainder i % COLUMNS.
TILE = 64
# How many random numbers are fetched at once for each column. This does not change the numbers themselves: NumPy's
# generator gives the same sequence for any number of values in a call.
DRAWS = 256


@dataclass(frozen=True)
class Sampling:
    """How texts are drawn. Raises InputError if a value is out of range."""

    length: int = 400  # maximum number of symbols to draw, not counting the prompt
    temperature: float = 1.0  # 0 is greedy: always the likeliest symbol
    top_k: int | None = None  # draw only from this many likeliest symbols
    top_p: float | None = None  # draw only from the smallest set of likeliest symbols that has this total probability
    until_eos: bool = False  # end a text at the first drawn `<eos>`
    seed: int = 1

    def __post_init__(self) -> None:
        for name, good, allowed in (
            ("length", self.length >= 1, "1 or more"),
            ("temperature", 0 <= self.temperature <= 100, "from 0 (greedy) to 100"),
            ("top-k", self.top_k is None or self.top_k >= 1, "1 or more"),
            ("top-p", self.top_p is None or 0 < self.top_p <= 1, "above 0, and 1 at most"),
            ("seed", 0 <= self.seed < 2**63, "from 0 to 2^63 - 1"),
        ):
            if not good:
                raise InputError(f"{name} = {getattr(self, name.replace('-', '_'))}: must be {allowed}")


def sample(
    model: CharModel,
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    how: Sampling,
    first: int = 0,
    classes: Sequence[int] | None = None,
) -> list[str]:
    """Draw a text for each prompt.

    The model reads an `<eos>` and the prompt. The returned text starts after the prompt. A drawn `<eos>` becomes a
    newline. `<unk>` is never drawn. `classes` contains a class id for each text of a conditioned model. None means
    `no_class`. The texts are numbered from `first`.

    On one machine and with one number of threads, text number i depends only on the model, `how`, its prompt, its class
    and i. The text is the same whether it is drawn alone or with other texts.
    """
    texts: list[list[str]] = [[] for _ in prompts]
    for step in stream(model, vocabulary, prompts, how, first, classes):
        for index, character in step:
            texts[index].append(character)
    return ["".join(text) for text in texts]


def stream(
    model: CharModel,
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    how: Sampling,
    first: int = 0,
    classes: Sequence[int] | None = None,
) -> Generator[list[tuple[int, str]], None, None]:
    """Draw the same texts as `sample`, and yield a list after each step of the model.

    The list has a pair (index of the prompt, character) for each character drawn in this step. A pair (index, "") marks
    the end of a text. While the model reads prompts, the list can be empty.
    """
    class_ids = [model.no_class] * len(prompts) if classes is None else classes
    end = first + len(prompts)
    width = COLUMNS if model.device.type == "cpu" else TILE
    for begin in range(first - first % width, end, TILE):
        numbers = range(max(begin, first), min(begin + TILE, end))
        tile = {number: (prompts[number - first], class_ids[number - first]) for number in numbers}
        columns = range(begin, begin + math.ceil((numbers.stop - begin) / width) * width)
        for step in _draw_tile(model, vocabulary, tile, columns, how):
            yield [(number - first, character) for number, character in step]


@torch.inference_mode()
def _draw_tile(
    model: CharModel, vocabulary: Vocabulary, tile: Mapping[int, tuple[str, int]], numbers: range, how: Sampling
) -> Iterator[list[tuple[int, str]]]:
    """Draw the samples of one tile, given as number → (prompt, class id).

    `numbers` has a number for each column of the batch. The columns whose numbers are not in the tile are unused.
    Yields lists as `stream` does, with the number of the sample in place of the index of the prompt.
    """
    model.eval()
    device = model.device
    characters = [vocabulary.decode([symbol]) for symbol in range(vocabulary.unk)]
    # The samples that have not ended: number → the ids of the prompt.
    running = {number: encode(vocabulary, vocabulary.normalized(text)).tolist() for number, (text, _) in tile.items()}
    class_ids = [tile[number][1] if number in tile else model.no_class for number in numbers]
    classes = torch.tensor(class_ids, device=device)
    draws = _draws(how.seed, numbers)
    symbols = [vocabulary.eos] * len(numbers)  # what each column reads next
    state: State | None = None
    for step in count():
        logits, state = model(torch.tensor([symbols], device=device), state, classes)
        columns = [number - numbers.start for number in running]
        # <unk> is the last id, so the slice leaves it out. cpu() comes before double(): mps has no float64.
        allowed = logits[0, columns, : vocabulary.unk].cpu().double()
        drawn: list[tuple[int, str]] = []
        for number, symbol in zip(list(running), _choose(allowed, how, next(draws)[columns]).tolist(), strict=True):
            prompt = running[number]
            if step < len(prompt):
                symbols[number - numbers.start] = prompt[step]
                continue
            symbols[number - numbers.start] = symbol
            drawn.append((number, characters[symbol]))
            if step + 1 == len(prompt) + how.length or (how.until_eos and symbol == vocabulary.eos):
                drawn.append((number, ""))
                del running[number]
        yield drawn
        if not running:
            return


def _draws(seed: int, numbers: range) -> Iterator[Tensor]:
    """For each step, random numbers (columns) from 0 to below 1, one for each sample number."""
    generators = [np.random.default_rng([seed, number]) for number in numbers]
    while True:
        yield from torch.from_numpy(np.stack([generator.random(DRAWS) for generator in generators], axis=1))


def _choose(logits: Tensor, how: Sampling, draws: Tensor) -> Tensor:
    """Draw an id for each row of logits (texts, symbols). `draws` (texts) contains a random number for each row.

    The ids are ordered from the likeliest to the least likely. The drawn id is the first id whose cumulative
    probability is above the random number.
    """
    if how.temperature == 0:
        return logits.argmax(1)
    scaled = (logits - logits.amax(1, keepdim=True)) / how.temperature
    ordered, order = scaled.sort(dim=1, descending=True, stable=True)
    probabilities = torch.softmax(ordered[:, : how.top_k], 1)
    cumulative = probabilities.cumsum(1)
    if how.top_p is not None:  # drop a symbol if the likelier symbols already sum to top_p
        probabilities[cumulative - probabilities >= how.top_p * cumulative[:, -1:]] = 0
        cumulative = probabilities.cumsum(1)
    # Rounding can make the last sum, `total`, less than 1. `wanted` is always below `total`, so an id is always found.
    total = cumulative[:, -1:]
    wanted = torch.minimum(draws[:, None] * total, total.nextafter(torch.zeros(1, dtype=total.dtype)))
    chosen = torch.searchsorted(cumulative, wanted, right=True)
    return order.gather(1, chosen)[:, 0]
