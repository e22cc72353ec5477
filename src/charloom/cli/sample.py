"""`charloom sample`: text from a model."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path

import click

from charloom.cli.options import model_options, open_model, warn, warn_of_unknown
from charloom.terminal import harmless
from charloom.text.texts import unknown

LENGTH, ARTICLE_LENGTH = 400, 10_000

Events = Iterator[tuple[int, str]]  # (text, character), and (text, "") where it has ended


@click.command()
@model_options
@click.option("--prompt", default="", help="Text to go on from; a newline in it ends an article.")
@click.option("-n", "--samples", type=click.IntRange(1), default=1, show_default=True, help="Texts, drawn together.")
@click.option(
    "--length",
    type=int,
    help=f"Characters a text at most, the prompt not counted.  [default: {LENGTH}; {ARTICLE_LENGTH} with --until-eos]",
)
@click.option("--temperature", default=1.0, show_default=True, help="0 (greedy: always the likeliest) to 100.")
@click.option("--top-k", type=int, help="Draw among so many likeliest characters.")
@click.option("--top-p", type=float, help="Draw among the likeliest that together have this probability.")
@click.option("--until-eos", is_flag=True, help="End each text where its article ends.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same texts.")
@click.option(
    "--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first text; --seed 1 has many."
)
@click.option("--class", "class_name", help="Write articles of this class: for a model with model.conditioning: class.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and text, its characters as they are.")
def sample(
    folder: Path,
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

    It begins where an article begins, and a newline is where one ends and the next begins. Text number i depends on
    the seed and i alone, however many are drawn. Control characters are written as escapes.
    """
    from charloom.model.sampling import Sampling, stream  # torch: seconds that --help need not wait

    if length is None:
        length = ARTICLE_LENGTH if until_eos else LENGTH
    how = Sampling(length, temperature, top_k, top_p, until_eos, seed)
    saved = open_model(folder, device)
    prompt = saved.vocabulary.normalized(prompt)
    warn_of_unknown(unknown(saved.vocabulary, prompt), "--prompt")
    if temperature == 0 and samples > 1:
        warn("greedy texts are all the same: writing one")
        samples = 1
    classes = None if class_name is None else [saved.class_named(class_name)] * samples
    # closed here where the output ends early: by the interpreter's end torch lacks what its generators close with
    with closing(stream(saved.model, saved.vocabulary, [prompt] * samples, how, first, classes)) as steps:
        if as_json:
            about = {"seed": seed} if class_name is None else {"seed": seed, "class": class_name}
            write_json(in_order(steps), prompt, about, first)
        else:
            write_text(in_order(steps), prompt, "" if until_eos else "\n")


def in_order(steps: Iterable[Iterable[tuple[int, str]]]) -> Events:
    """Texts that are drawn together one after another: the first as it comes, then what the next has by then."""
    held: defaultdict[int, list[str]] = defaultdict(list)
    turn = 0
    for index, character in chain.from_iterable(steps):
        held[index].append(character)
        while came := held.pop(turn, None):
            yield from ((turn, each) for each in came)
            turn += came[-1] == ""


def write_text(events: Events, prompt: str, between: str) -> None:
    """Texts behind their prompts, each ending in a newline; on a terminal every character at once."""
    at_once = sys.stdout.isatty()
    last = ""
    for index, character in events:
        if not last:
            sys.stdout.write((between if index else "") + harmless(prompt))
        sys.stdout.write(harmless(character) if character else "\n" * (last != "\n"))
        last = character
        if at_once:
            sys.stdout.flush()


def write_json(events: Events, prompt: str, about: Mapping[str, object], first: int) -> None:
    """A line of JSON a text; `about` is what all have in common."""
    text: list[str] = []
    for index, character in events:
        text.append(character)
        if not character:
            stated = {**about, "number": first + index, "prompt": prompt, "text": "".join(text)}
            print(json.dumps(stated, ensure_ascii=False))
            text.clear()
