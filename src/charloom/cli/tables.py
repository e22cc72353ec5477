"""Tables on the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from charloom.terminal import harmless


def begin_table() -> Table:
    """A table without columns, in the style of all tables here."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False)


def shown(text: str) -> Text:
    """A text on one line, with control characters, newlines and tabs as escapes. rich reads no markup in it."""
    return Text(harmless(text).replace("\n", r"\n").replace("\t", r"\t"))
