"""Drawing text from a model: `sample` returns whole texts, `stream` yields each character as soon as it is drawn."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise

import numpy as np
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.model.network import CharModel, evaluating
from charloom.model.states import State
from charloom.text.texts import encode
from charloom.text.vocab import Vocabulary

# Samples are drawn in tiles of TILE samples. Sample i always uses column i % TILE of its tile, even if other columns
# are unused. Reason: the rounding of a matrix product depends on its shape and column. One different bit can change a
# drawn character.
TILE = 64
# On a CPU, the columns of a tile form groups, which begin with these columns. The network computes each group that has
# samples as one batch. So sample 0, which is often drawn alone, does not wait for 63 unused columns.
GROUPS = (0, 1, 8)
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
    with evaluating(model):
        for begin in range(first - first % TILE, end, TILE):
            numbers = range(max(begin, first), min(begin + TILE, end))
            tile = {number: (prompts[number - first], class_ids[number - first]) for number in numbers}
            for step in _draw_tile(model, vocabulary, tile, how):
                yield [(number - first, character) for number, character in step]


@torch.inference_mode()
def _draw_tile(
    model: CharModel, vocabulary: Vocabulary, tile: Mapping[int, tuple[str, int]], how: Sampling
) -> Iterator[list[tuple[int, str]]]:
    """Draw the samples of one tile, given as number → (prompt, class id).

    Yields lists as `stream` does, with the number of the sample in place of the index of the prompt.
    """
    characters = [vocabulary.decode([symbol]) for symbol in range(vocabulary.unk)]
    groups = _groups(tile, model.device)
    numbers = [number for group in groups for number in group]  # of the columns that are computed
    column_of = {number: column for column, number in enumerate(numbers)}
    # The samples that have not ended: number → the ids of the prompt.
    running = {number: encode(vocabulary, vocabulary.normalized(text)).tolist() for number, (text, _) in tile.items()}
    class_ids = [tile[number][1] if number in tile else model.no_class for number in numbers]
    draws = _draws(how.seed, numbers)
    symbols = [vocabulary.eos] * len(numbers)  # what each column reads next
    network = _Groups(model, [len(group) for group in groups], class_ids)
    for step in count():
        logits = network.read(symbols)
        columns = [column_of[number] for number in running]
        # <unk> is the last id, so the slice leaves it out. cpu() comes before double(): mps has no float64.
        allowed = logits[columns, : vocabulary.unk].cpu().double()
        drawn: list[tuple[int, str]] = []
        for number, symbol in zip(list(running), _choose(allowed, how, next(draws)[columns]).tolist(), strict=True):
            prompt = running[number]
            if step < len(prompt):
                symbols[column_of[number]] = prompt[step]
                continue
            symbols[column_of[number]] = symbol
            drawn.append((number, characters[symbol]))
            if step + 1 == len(prompt) + how.length or (how.until_eos and symbol == vocabulary.eos):
                drawn.append((number, ""))
                del running[number]
        yield drawn
        if not running:
            return


def _groups(tile: Collection[int], device: torch.device) -> list[range]:
    """The groups of columns that contain samples of a tile, by the numbers that these columns have."""
    begin = min(tile) - min(tile) % TILE
    firsts = GROUPS if device.type == "cpu" else GROUPS[:1]
    groups = [range(begin + first, begin + end) for first, end in pairwise((*firsts, TILE))]
    return [group for group in groups if any(number in group for number in tile)]


class _Groups:
    """A model that reads groups of columns, one symbol after the other. Each group is a batch of the network."""

    def __init__(self, model: CharModel, sizes: Sequence[int], class_ids: Sequence[int]) -> None:
        """`sizes` are the sizes of the groups, and `class_ids` has a class id for each column."""
        self._model = model
        self._columns = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
        self._classes = torch.tensor(class_ids, device=model.device)
        self._states: list[State | None] = [None] * len(sizes)
        self._state: State | None = None  # of the memory, which is asked for all groups together

    def read(self, symbols: Sequence[int]) -> Tensor:
        """Read a symbol in each column. Returns the logits (columns, symbols) of the next symbols."""
        ids = torch.tensor([symbols], device=self._model.device)
        remembered, self._state = self._model.remember(ids, self._state, self._classes)
        logits = []
        for group, columns in enumerate(self._columns):
            part = None if remembered is None else remembered.columns(columns)
            state, classes = self._states[group], self._classes[columns]
            found, self._states[group] = self._model(ids[:, columns], state, classes, part)
            logits.append(found[0])
        return torch.cat(logits)


def _draws(seed: int, numbers: Sequence[int]) -> Iterator[Tensor]:
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
