"""Text from a model."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from charloom.errors import InputError
from charloom.model.network import CharModel, State
from charloom.params import EvaluateParams
from charloom.text.texts import encode
from charloom.text.vocab import Vocabulary

# Samples are drawn so many side by side, and sample i always in column i mod TILE, the others idle if need be: the last
# bits of a matrix product depend on its shape and on the column, and one bit can turn a draw. At hidden size 256, 64
# columns take an LSTM twice the time of one.
TILE = 64
DRAWS = 256  # random numbers fetched at once: a stream of them is the same in pieces of any size


@dataclass(frozen=True)
class Sampling:
    """How texts are drawn; raises InputError where a value is out of range."""

    length: int = 400  # symbols drawn at most, the prompt not counted
    temperature: float = 1.0  # 0 is greedy: always the likeliest
    top_k: int | None = None  # draw among so many likeliest symbols
    top_p: float | None = None  # draw among the likeliest that together have this probability
    until_eos: bool = False  # a text ends with its article
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
    """Draw a text for each prompt: what follows the prompt, after `<eos>`, from the state that text begins in.

    An `<eos>` is a newline, `<unk>` is never drawn. A conditioned model writes text i under `classes[i]`, or under no
    class. On one machine and thread count, text i depends on the model, its prompt and class, `how` and first + i
    alone: drawn one by one or together, the texts are the same.
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
    """Draw what `sample` draws, and give it as it comes: (index, character), then (index, "") at a text's end."""
    numbers = range(first, first + len(prompts))
    each = [model.no_class] * len(prompts) if classes is None else classes
    for begin in range(first - first % TILE, numbers.stop, TILE):
        tile = {number: prompts[number - first] for number in range(begin, begin + TILE) if number in numbers}
        told = [model.no_class] * TILE
        for number in tile:
            told[number % TILE] = each[number - first]
        for step in _draw_tile(model, vocabulary, tile, how, told):
            yield [(number - first, character) for number, character in step]


def sample_at_temperatures(model: CharModel, vocabulary: Vocabulary, params: EvaluateParams) -> dict[float, list[str]]:
    """The samples that params.yaml asks for: one greedy text, and some at each temperature."""
    samples = {}
    for temperature in sorted({0.0, *params.temperatures}):
        how = Sampling(params.sample_length, temperature, seed=params.seed)
        samples[temperature] = sample(model, vocabulary, [""] * (params.samples if temperature else 1), how)
    return samples


def sample_by_class(
    model: CharModel, vocabulary: Vocabulary, params: EvaluateParams, names: Sequence[str]
) -> dict[str, list[str]]:
    """Samples under each class of these names, at the first temperature, all of the same random numbers."""
    how = Sampling(params.sample_length, params.temperatures[0], seed=params.seed)
    prompts = [""] * params.samples
    return {
        name: sample(model, vocabulary, prompts, how, classes=[index] * params.samples)
        for index, name in enumerate(names)
    }


@torch.inference_mode()
def _draw_tile(
    model: CharModel, vocabulary: Vocabulary, prompts: Mapping[int, str], how: Sampling, classes: Sequence[int]
) -> Iterator[list[tuple[int, str]]]:
    """The texts of samples whose numbers lie in one tile, by number; `classes` are those of its columns."""
    model.eval()
    device = model.head.weight.device
    characters = [vocabulary.decode([symbol]) for symbol in range(vocabulary.unk)]
    given = {number: encode(vocabulary, vocabulary.normalized(text)).tolist() for number, text in prompts.items()}
    draws = _draws(how.seed, min(prompts) - min(prompts) % TILE)
    symbols, told = [vocabulary.eos] * TILE, torch.tensor(classes, device=device)
    state: State | None = None
    for step in count():
        logits, state = model(torch.tensor([symbols], device=device), state, told)
        busy = [number % TILE for number in given]
        known = logits[0, busy, : vocabulary.unk].cpu().double()  # <unk> is the last id; not all devices have float64
        came: list[tuple[int, str]] = []
        for number, symbol in zip(list(given), _choose(known, how, next(draws)[busy]).tolist(), strict=True):
            prompt = given[number]
            if step < len(prompt):
                symbols[number % TILE] = prompt[step]
                continue
            symbols[number % TILE] = symbol
            came.append((number, characters[symbol]))
            if step + 1 == len(prompt) + how.length or (how.until_eos and symbol == vocabulary.eos):
                came.append((number, ""))
                del given[number]
        yield came
        if not given:
            return


def _draws(seed: int, begin: int) -> Iterator[Tensor]:
    """A random number from 0 to 1 for each column of the tile whose first sample is `begin`, again and again."""
    generators = [np.random.default_rng([seed, number]) for number in range(begin, begin + TILE)]
    while True:
        yield from torch.from_numpy(np.stack([generator.random(DRAWS) for generator in generators], axis=1))


def _choose(logits: Tensor, how: Sampling, draws: Tensor) -> Tensor:
    """An id for each row of logits (texts, symbols), by inverting its distribution function at `draws` (texts)."""
    if how.temperature == 0:
        return logits.argmax(1)
    scaled = (logits - logits.amax(1, keepdim=True)) / how.temperature
    ordered, order = scaled.sort(dim=1, descending=True, stable=True)
    probabilities = torch.softmax(ordered[:, : how.top_k], 1)
    cumulative = probabilities.cumsum(1)
    if how.top_p is not None:  # a symbol stays where those before it have less than top_p
        probabilities[cumulative - probabilities >= how.top_p * cumulative[:, -1:]] = 0
        cumulative = probabilities.cumsum(1)
    total = cumulative[:, -1:]
    wanted = torch.minimum(draws[:, None] * total, total.nextafter(torch.zeros(1, dtype=total.dtype)))
    chosen = torch.searchsorted(cumulative, wanted, right=True)  # the first whose cumulative probability is above
    return order.gather(1, chosen)[:, 0]
