"""The options of `charloom score` and `charloom classify` that say which columns of a table they read."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click
import yaml

from charloom.corpus.guesses import Guess, as_yaml
from charloom.corpus.settings import Naming
from charloom.errors import InputError
from charloom.params import CorpusForm

NAMES = ("text_columns", "class_column", "header")  # of the options, and of the parameters in the section `data`

Command = TypeVar("Command", bound=Callable[..., Any])


def column_options(class_help: str) -> Callable[[Command], Command]:
    """Add the options --text-columns, --class-column and --header. `class_help` says what the class is used for."""

    def add(command: Command) -> Command:
        as_in_corpus = "[default: as in the corpus of the model]"
        command = click.option(
            "--header",
            type=click.Choice(["auto", "true", "false"]),
            help="Whether the first line of a .csv or .tsv file is a header. auto: a header if the columns are names,"
            f" otherwise a text, and an error if the line looks like a header.  {as_in_corpus}",
        )(command)
        command = click.option("--class-column", metavar="COLUMN", help=class_help)(command)
        return click.option(
            "--text-columns",
            metavar="COLUMNS",
            help="The columns of a table that contain the text, such as 2,3 or title,body. Their texts are joined by a"
            " space. For .csv and .tsv: numbers from 1 if the file has no header line, or names if it has one. For"
            f" .jsonl and .parquet: names.  {as_in_corpus}",
        )(command)

    return add


class OptionNaming(Naming):
    """What the messages of the readers call the options. A command has none for wrong bytes and for long texts."""

    stated_by = "the command reads"
    replace = ""
    lines = "use --format lines"
    cut = "cut the file into shorter texts"

    def __init__(self, *, with_classes: bool) -> None:
        self._with_classes = with_classes

    def name(self, setting: str) -> str:
        return f"--{setting.replace('_', '-')}"

    def value(self, setting: str, value: object) -> str:
        return f"{self.name(setting)} {shlex.quote(as_yaml(value))}"

    def guess(self, guess: Guess, header: Sequence[str] | None) -> str:
        return super().guess(guess if self._with_classes else replace(guess, class_=None), header)


def changed(form: CorpusForm, options: Mapping[str, str | None]) -> CorpusForm:
    """The form of a corpus (which columns are read), changed by the options. None means that an option is not given.

    Raises InputError if a value is invalid, or if names and numbers of columns are mixed.
    """
    given = {name: _parsed(name, text) for name, text in options.items() if text is not None}
    values = form.model_dump() | ({"header": "auto"} if "text_columns" in given else {}) | given
    try:
        return CorpusForm.model_validate(values)
    except ValueError:
        texts = {name: as_yaml(values[name]) if options.get(name) is None else options[name] for name in NAMES}
        shown = " and ".join(f"--{name.replace('_', '-')} {text}" for name, text in texts.items())
        raise InputError(
            f"{shown:.300}: the columns must be either all names of a file with a header line, or all numbers from 1;"
            " give both columns (--class-column null: the file has no classes); --header false needs numbers"
        ) from None


def _parsed(name: str, text: str) -> object:
    """The value of an option, written as in params.yaml. A list needs no brackets."""
    is_list = name == "text_columns" and not text.strip().startswith("[")
    try:
        return yaml.safe_load(f"[{text}]" if is_list else text)
    except (yaml.YAMLError, ValueError, RecursionError):
        option = f"--{name.replace('_', '-')}"
        raise InputError(f"{option} {text!r:.100}: not a column, such as 2 or title; put a name into quotes") from None
