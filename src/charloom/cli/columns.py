"""The options of `charloom score` and `charloom classify` that say which columns of a table they read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import yaml

from charloom.errors import InputError
from charloom.params import CorpusForm

NAMES = ("text_columns", "class_column", "header")  # of the options, and of the parameters in the section `data`

# A parameter in an error of a reader, perhaps with its value in YAML: data.text_columns: [title, body]
_VALUE = (
    r'\[[^\]]*\]|"(?:[^"\\]|\\.)*"|(?:null|true|false|\d+)\b'  # a list, a quoted name, a word or a number
    r"|[\w./-]+(?:[ .-][\w./-]+)*?(?=[,;]| and data\.| if |$)"  # a name without quotes, up to the end of the clause
)
_PARAMETER = re.compile(rf"data\.({'|'.join(NAMES)})\b(?:: ({_VALUE}))?")

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


def changed(form: CorpusForm, options: Mapping[str, str | None]) -> CorpusForm:
    """The form of a corpus (which columns are read), changed by the options. None means that an option is not given.

    Raises InputError if a value is invalid, or if names and numbers of columns are mixed.
    """
    given = {name: _parsed(name, text) for name, text in options.items() if text is not None}
    values = form.model_dump() | ({"header": "auto"} if "text_columns" in given else {}) | given
    try:
        return CorpusForm.model_validate(values)
    except ValueError:
        texts, class_ = values["text_columns"], values["class_column"]
        shown = f"--text-columns {texts} and --class-column {'null' if class_ is None else class_}"
        raise InputError(
            f"{shown:.300}: must be either all names of a file with a header line, or all numbers from 1; give both"
            " options (--class-column null: the file has no classes)"
        ) from None


def _parsed(name: str, text: str) -> object:
    """The value of an option, written as in params.yaml. A list needs no brackets."""
    is_list = name == "text_columns" and not text.strip().startswith("[")
    try:
        return yaml.safe_load(f"[{text}]" if is_list else text)
    except (yaml.YAMLError, ValueError, RecursionError):
        option = f"--{name.replace('_', '-')}"
        raise InputError(f"{option} {text!r:.100}: not a column, such as 2 or title; put a name into quotes") from None


@contextmanager
def errors_name_options() -> Iterator[None]:
    """In the block, the errors of the corpus readers recommend the options, and not the parameters of params.yaml."""
    try:
        yield
    except InputError as error:
        raise InputError(_in_options(str(error))) from None


def _in_options(message: str) -> str:
    message = message.replace(", or set data.errors: replace", "").replace("params.yaml gives", "the command reads")
    message = re.sub(r"set data\.article_end: line.*", "use --format lines", message)
    message = re.sub(r"set data\.article_end: .*", "cut the file into shorter texts", message)
    message = message.replace(
        "correct data.text_columns or data.class_column",
        "correct data.text_columns or data.class_column (null: no classes)",
    )
    return _PARAMETER.sub(_as_option, message)


def _as_option(found: re.Match[str]) -> str:
    value = f" {shlex.quote(found[2])}" if found[2] else ""
    return f"--{found[1].replace('_', '-')}{value}"
