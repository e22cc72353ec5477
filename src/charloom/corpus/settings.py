"""The settings of the readers: which columns they read and how, and what their messages call these settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from charloom.corpus.guesses import Guess, as_yaml
from charloom.corpus.lines import REPLACE
from charloom.corpus.shortage import CUT, cut_advice

Column = int | str  # a number, from 1, or a name
Header = bool | Literal["auto"]  # data.header


class Naming:
    """What messages call the settings. Here they are the parameters of params.yaml. Commands have options instead."""

    stated_by = "params.yaml gives"
    replace = REPLACE  # the setting that replaces wrong bytes; "" if there is none
    lines = "set data.article_end: line"
    cut = cut_advice(CUT)

    def name(self, setting: str) -> str:
        """What a setting is called."""
        return f"data.{setting}"

    def value(self, setting: str, value: object) -> str:
        """How a value is given to a setting."""
        return f"{self.name(setting)}: {as_yaml(value):.200}"

    def guess(self, guess: Guess, header: Sequence[str] | None) -> str:
        """How the guessed columns are given, as part of a sentence."""
        return " and ".join(self.value(name, value) for name, value in guess.in_params(header).items())


@dataclass(frozen=True)
class TableColumns:
    """Which columns are read, and how: data.text_columns, class_column, article_end, errors and header."""

    text_columns: Sequence[Column]
    class_column: Column | None
    article_end: str | int
    errors: str
    header: Header = "auto"
    naming: Naming = field(default_factory=Naming)

    @property
    def all(self) -> list[Column]:
        """The text columns, and after them the class column if there is one."""
        return [*self.text_columns, *([] if self.class_column is None else [self.class_column])]

    @property
    def begin_with_header(self) -> bool:
        """Whether the first line of a CSV table is a header. Named columns need one."""
        return self.header is True or isinstance(self.text_columns[0], str)
