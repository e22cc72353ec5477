"""`charloom classify`: which class texts are of."""

from __future__ import annotations

import json
from collections import Counter
from itertools import tee
from pathlib import Path

import click
import numpy as np

from charloom.cli.files import BEGINNING, layout_of, read_texts, text_file
from charloom.cli.model import model_options, open_model, warn
from charloom.errors import InputError
from charloom.terminal import harmless
from charloom.texts import framed, name_unknown, unknown

NARROWEST = 8  # characters of a column


@click.command()
@model_options
@text_file
@click.option(
    "--format",
    "layout",
    type=click.Choice(["lines", "csv"]),
    help="lines: a text a line, blank lines passed over. csv: articles in AG_NEWS' layout.  [default: lines; csv for"
    " FILE.csv]",
)
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON objects, one a line.")
def classify(folder: Path, device: str, file: str, layout: str | None, as_json: bool) -> None:
    """The probability of each class for each text in FILE (UTF-8; - is the standard input), by Bayes' rule.

    The model must have been trained with model.conditioning: class. It scores a text under each class, and the classes
    are as likely beforehand as they were among the articles that it was trained on.
    """
    saved = open_model(folder, device)
    if not saved.topics:
        raise InputError(f"{folder}: the model knows no classes; train one with model.conditioning: class")
    from charloom.classification import log_posteriors, log_priors, nats_by_class

    names, priors = [topic.name for topic in saved.topics], log_priors(saved.topics)
    texts, to_score = tee(read_texts(file, layout_of(file, layout)))
    encoded = (framed(saved.vocabulary, text) for text in to_score)
    costs = nats_by_class(saved.model, encoded, saved.model.head.weight.device)
    lacking: Counter[str] = Counter()
    number = 0
    for number, (text, nats) in enumerate(zip(texts, costs, strict=True), start=1):
        if number == 1 and not as_json:
            print(*(f"{harmless(name):>{NARROWEST}}" for name in names), " text")
        probabilities = np.exp(log_posteriors(nats.sum(1), priors)).round(6).tolist()
        print_row(number, text, dict(zip(names, probabilities, strict=True)), as_json=as_json)
        lacking += unknown(saved.vocabulary, text)
    if not number:
        raise InputError(f"{file}: no text to classify")
    if lacking:
        warn(f"{file}: the vocabulary lacks some characters, read as <unk>: {name_unknown(lacking)}")


def print_row(number: int, text: str, probabilities: dict[str, float], *, as_json: bool) -> None:
    """A row of a text: the likeliest class too, where a program reads it."""
    beginning = text[:BEGINNING]
    if as_json:
        likeliest = max(probabilities, key=probabilities.__getitem__)
        row = {"text": number, "class": likeliest, "probabilities": probabilities, "beginning": beginning}
        print(json.dumps(row, ensure_ascii=False))
        return
    columns = (f"{share:{max(NARROWEST, len(harmless(name)))}.4f}" for name, share in probabilities.items())
    print(*columns, f" {harmless(' '.join(beginning.split()))}")
