"""Tables on the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from charloom.terminal import harmless


def begin_table() -> Table:
    """A table without columns, in the style that all tables of charloom have."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def shown(text: str) -> Text:
    """A text as one line for a table, with control characters, newlines and tabs as escapes.

    rich does not interpret markup such as `[red]` in it.
    """
    return Text(harmless(text).replace("\n", r"\n").replace("\t", r"\t"))
