"""`charloom classify`: the probability of each class for each text, and the accuracy if the texts have labels."""

from __future__ import annotations

import json
from collections import Counter
from itertools import tee

import click
import numpy as np

from charloom.cli.columns import column_options
from charloom.cli.confusion import Confusion, Labels
from charloom.cli.options import model_options, open_model
from charloom.cli.reading import BEGINNING, TABLES, TextFile, format_option, text_file, with_costs
from charloom.errors import InputError
from charloom.terminal import harmless
from charloom.text.texts import unknown, warn_of_unknown

MIN_WIDTH = 8  # of a column, in characters


@click.command()
@model_options
@text_file
@format_option("lines", "txt", *TABLES)
@column_options(
    "The column of a table that contains the actual class of each text: a number or a name, as in --text-columns. null:"
    " the file has no classes.  [default: as in the corpus of the model]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON objects instead of tables, one on a line.")
def classify(
    model: str, device: str, file: str, wanted_format: str | None, as_json: bool, **columns: str | None
) -> None:
    """Compute the probability of each class for each text.

    FILE is a text file in UTF-8 or a table, also compressed (.gz, .bz2, .xz). If FILE is -, the standard input is read.

    The command needs a model that was trained with model.conditioning: class. The model scores each text once for
    every class. Bayes' rule turns the scores into probabilities. The prior probability of a class is its share of the
    labelled training articles.

    If a table states the actual class of each text, the command also prints the accuracy: the share of the texts whose
    actual class is the likeliest one. For each actual class, it prints how often each class was the likeliest one. The
    actual class is the name of a class of the model, or its number from 1, as in AG_NEWS. Texts with another class are
    left out of the accuracy, and a warning counts them.
    """
    # This import loads torch, which takes two seconds. --help must not wait for torch.
    from charloom.evaluation.classification import costs_by_class, log_posteriors, log_priors

    saved = open_model(model, device)
    class_names, priors = saved.class_names(), log_priors(saved.class_counts)
    read, again = tee(TextFile.of(file, wanted_format, saved.corpus_form, columns).texts())
    costs = with_costs(saved, (text for _, text in read), costs_by_class)
    labels, confusion = Labels(saved, file), Confusion(class_names)
    unknown_characters: Counter[str] = Counter()
    number = 0
    for number, ((text, of_text), (label, _)) in enumerate(zip(costs, again, strict=True), start=1):
        if number == 1 and not as_json:
            print(*(f"{harmless(name):>{MIN_WIDTH}}" for name in class_names), " text")
        shares = np.exp(log_posteriors(of_text.evidence.sum(1), priors, saved.class_temperature))
        print_row(number, text, label, dict(zip(class_names, shares.round(6).tolist(), strict=True)), as_json=as_json)
        confusion.add(labels.id_of(label), int(shares.argmax()))
        unknown_characters += unknown(saved.vocabulary, text)
    if not number:
        raise InputError(f"{file}: this file has no text to classify")
    if confusion.texts:
        print_accuracy(confusion, as_json=as_json)
    labels.warn_of_unknown("the accuracy leaves them out" if confusion.texts else "so there is no accuracy")
    warn_of_unknown(unknown_characters, file)


def print_accuracy(confusion: Confusion, *, as_json: bool) -> None:
    """Print the accuracy and the confusion."""
    if as_json:
        print(json.dumps(confusion.as_json(), ensure_ascii=False))
    else:
        confusion.print_table()


def print_row(number: int, text: str, label: str | None, probabilities: dict[str, float], *, as_json: bool) -> None:
    """Print the probabilities of a text by class name, and its beginning. JSON also has the label."""
    beginning = text[:BEGINNING]
    if as_json:
        likeliest = max(probabilities, key=probabilities.__getitem__)
        row = {"text": number, "class": likeliest, "probabilities": probabilities, "beginning": beginning}
        print(json.dumps(row if label is None else {**row, "label": label}, ensure_ascii=False))
        return
    columns = (f"{share:{max(MIN_WIDTH, len(harmless(name)))}.4f}" for name, share in probabilities.items())
    print(*columns, f" {harmless(' '.join(beginning.split()))}")
