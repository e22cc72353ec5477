"""`charloom classify`: the probability of each class for each text."""

from __future__ import annotations

import json
from collections import Counter

import click
import numpy as np

from charloom.cli.options import model_options, open_model
from charloom.cli.reading import BEGINNING, file_format, format_option, read_texts, text_file, with_costs
from charloom.errors import InputError
from charloom.terminal import harmless
from charloom.text.texts import unknown, warn_of_unknown

MIN_WIDTH = 8  # of a column, in characters


@click.command()
@model_options
@text_file
@format_option("lines", "csv")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each text, one on a line.")
def classify(model: str, device: str, file: str, wanted_format: str | None, as_json: bool) -> None:
    """Compute the probability of each class for each text.

    FILE is a text file in UTF-8. If FILE is -, the standard input is read.

    The command needs a model that was trained with model.conditioning: class. The model scores each text once for
    every class. Bayes' rule turns the scores into probabilities. The prior probability of a class is its share of the
    labelled training articles.
    """
    # This import loads torch, which takes two seconds. --help must not wait for torch.
    from charloom.evaluation.classification import costs_by_class, log_posteriors, log_priors

    saved = open_model(model, device)
    class_names, priors = saved.class_names(), log_priors(saved.class_counts)
    costs = with_costs(saved, read_texts(file, file_format(file, wanted_format)), costs_by_class)
    unknown_characters: Counter[str] = Counter()
    number = 0
    for number, (text, of_text) in enumerate(costs, start=1):
        if number == 1 and not as_json:
            print(*(f"{harmless(name):>{MIN_WIDTH}}" for name in class_names), " text")
        shares = np.exp(log_posteriors(of_text.evidence.sum(1), priors, saved.class_temperature))
        print_row(number, text, dict(zip(class_names, shares.round(6).tolist(), strict=True)), as_json=as_json)
        unknown_characters += unknown(saved.vocabulary, text)
    if not number:
        raise InputError(f"{file}: this file has no text to classify")
    warn_of_unknown(unknown_characters, file)


def print_row(number: int, text: str, probabilities: dict[str, float], *, as_json: bool) -> None:
    """Print the probabilities of a text by class name, and its beginning. JSON also states the likeliest class."""
    beginning = text[:BEGINNING]
    if as_json:
        likeliest = max(probabilities, key=probabilities.__getitem__)
        row = {"text": number, "class": likeliest, "probabilities": probabilities, "beginning": beginning}
        print(json.dumps(row, ensure_ascii=False))
        return
    columns = (f"{share:{max(MIN_WIDTH, len(harmless(name)))}.4f}" for name, share in probabilities.items())
    print(*columns, f" {harmless(' '.join(beginning.split()))}")
