"""`charloom sample`: writing text with a model."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain

import click

from charloom.cli.options import model_options, open_model
from charloom.errors import warn
from charloom.terminal import harmless
from charloom.text.texts import unknown, warn_of_unknown

LENGTH, ARTICLE_LENGTH = 400, 10_000

# The characters of texts one by one: (index of a text, its next character), and (index, "") when the text has ended
Events = Iterator[tuple[int, str]]


@click.command()
@model_options
@click.option("--prompt", default="", help="The text that the model continues. A newline ends an article.")
@click.option("-n", "--samples", type=click.IntRange(1), default=1, show_default=True, help="How many texts to write.")
@click.option(
    "--length",
    type=int,
    help="Write at most this many characters for each text, not counting the prompt."
    f"  [default: {LENGTH}; {ARTICLE_LENGTH} with --until-eos]",
)
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    help="From 0 to 100. Above 1 the text is more random, and below 1 less. At 0 the likeliest character is always"
    " chosen (greedy).",
)
@click.option("--top-k", type=int, help="Choose only among this many of the likeliest characters.")
@click.option(
    "--top-p",
    type=float,
    help="Choose only among the likeliest characters whose probabilities together reach this value, above 0 to 1.",
)
@click.option("--until-eos", is_flag=True, help="End each text where its article ends, at the symbol <eos>.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same random choices.")
@click.option(
    "--first",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The number of the first text to write. The texts of a seed are numbered from 0.",
)
@click.option(
    "--class",
    "class_name",
    help="Write articles of this class. The model must have been trained with model.conditioning: class.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object for each text, one on a line. A JSON parser reads control characters as the model wrote"
    " them.",
)
def sample(
    model: str,
    device: str,
    prompt: str,
    samples: int,
    length: int | None,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    until_eos: bool,
    seed: int,
    first: int,
    class_name: str | None,
    as_json: bool,
) -> None:
    """Write text with a model, character by character.

    Each text starts at the beginning of an article. A newline means that an article ends and the next one begins.
    Control characters are printed as escapes such as \\x1b.

    The texts of a seed are numbered from 0. On the same machine, the same options and the same seed give the same text
    number i, whether it is written alone or with other texts.
    """
    from charloom.model.sampling import Sampling, stream  # loads torch; --help must not wait for it

    if length is None:
        length = ARTICLE_LENGTH if until_eos else LENGTH
    how = Sampling(length, temperature, top_k, top_p, until_eos, seed)
    saved = open_model(model, device)
    prompt = saved.vocabulary.normalized(prompt)
    warn_of_unknown(unknown(saved.vocabulary, prompt), "--prompt")
    if temperature == 0 and samples > 1:
        warn("at temperature 0 all texts are the same, so only one is written")
        samples = 1
    class_ids = None if class_name is None else [saved.class_named(class_name)] * samples
    # Close the generator here: closing it at interpreter shutdown fails, because torch is already gone.
    with closing(stream(saved.model, saved.vocabulary, [prompt] * samples, how, first, class_ids)) as steps:
        if as_json:
            common = {"seed": seed} if class_name is None else {"seed": seed, "class": class_name}
            write_json(in_order(steps), prompt, common, first)
        else:
            write_text(in_order(steps), prompt, "" if until_eos else "\n")


def in_order(steps: Iterable[Iterable[tuple[int, str]]]) -> Events:
    """Order the characters of texts that are drawn at the same time, so that each text comes after the previous one.

    The characters of the first text are passed on at once. The characters of a later text wait until all texts before
    it have ended.
    """
    waiting: defaultdict[int, list[str]] = defaultdict(list)
    current = 0
    for index, character in chain.from_iterable(steps):
        waiting[index].append(character)
        while ready := waiting.pop(current, None):
            yield from ((current, each) for each in ready)
            current += ready[-1] == ""


def write_text(events: Events, prompt: str, between: str) -> None:
    """Print the prompt and each text. Each text ends with a newline, and `between` separates two texts.

    On a terminal each character appears at once.
    """
    at_once = sys.stdout.isatty()
    last = ""
    for index, character in events:
        if not last:
            sys.stdout.write((between if index else "") + harmless(prompt))
        sys.stdout.write(harmless(character) if character else "\n" * (last != "\n"))
        last = character
        if at_once:
            sys.stdout.flush()


def write_json(events: Events, prompt: str, common: Mapping[str, object], first: int) -> None:
    """Print each text as a JSON object on one line. `common` are the fields that are equal in all objects."""
    text: list[str] = []
    for index, character in events:
        text.append(character)
        if not character:
            stated = {**common, "number": first + index, "prompt": prompt, "text": "".join(text)}
            print(json.dumps(stated, ensure_ascii=False))
            text.clear()
