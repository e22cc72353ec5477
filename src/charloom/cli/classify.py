"""`charloom classify`: which class texts are of."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click
import numpy as np

from charloom.cli.options import model_options, open_model, warn_of_unknown
from charloom.cli.reading import BEGINNING, layout_of, read_texts, text_file, with_costs
from charloom.errors import InputError
from charloom.terminal import harmless
from charloom.text.texts import unknown

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
    from charloom.evaluation.classification import log_posteriors, log_priors, nats_by_class  # torch: seconds

    saved = open_model(folder, device)
    names, priors = saved.class_names(), log_priors(saved.class_counts)
    costs = with_costs(saved, read_texts(file, layout_of(file, layout)), nats_by_class)
    lacking: Counter[str] = Counter()
    number = 0
    for number, (text, nats) in enumerate(costs, start=1):
        if number == 1 and not as_json:
            print(*(f"{harmless(name):>{NARROWEST}}" for name in names), " text")
        probabilities = np.exp(log_posteriors(nats.sum(1), priors)).round(6).tolist()
        print_row(number, text, dict(zip(names, probabilities, strict=True)), as_json=as_json)
        lacking += unknown(saved.vocabulary, text)
    if not number:
        raise InputError(f"{file}: no text to classify")
    warn_of_unknown(lacking, file)


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
