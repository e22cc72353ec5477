"""`charloom runs`: the runs in MLflow, side by side on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from charloom.errors import say
from charloom.params_file import load_params
from charloom.terminal import harmless

if TYPE_CHECKING:
    from charloom.tracking.overview import Row

UNLIMITED = 100_000  # columns of a pipe


@click.command()
def runs() -> None:
    """The runs in MLflow: test bits per character, best first, and the parameters in which they differ."""
    params = load_params().tracking

    from charloom.tracking.overview import differing, list_runs  # MLflow: seconds that --help need not wait
    from charloom.tracking.store import asking, tracking_uri

    with asking():
        rows = list_runs(params)
    if not rows:
        say(f"no runs yet in experiment {params.experiment} of {tracking_uri()}; `dvc repro` makes one")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNLIMITED)
    table = fitting(rows, differing(rows), console)
    if not console.is_terminal:
        table.box = None
    console.print(table)


def fitting(rows: list[Row], names: list[str], console: Console) -> Table:
    """The wide table where the terminal has room for it, else the narrow one."""
    table = wide(rows, names)
    needed = console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
    return table if needed <= console.width else narrow(rows, names)


def wide(rows: list[Row], names: list[str]) -> Table:
    """A column a parameter."""
    table = begin_table()
    for name in names:
        table.add_column(shown(name), no_wrap=True)
    for row in rows:
        table.add_row(*beginning(row), *(shown(row.params.get(name, "–")) for name in names))
    return table


def narrow(rows: list[Row], names: list[str]) -> Table:
    """One column for all parameters, in lines as they fit."""
    table = begin_table()
    table.add_column("differs in", overflow="fold")
    for row in rows:
        cells = [f"{name}\N{NO-BREAK SPACE}{row.params.get(name, '–')}" for name in names]
        table.add_row(*beginning(row), shown(", ".join(cells)))
    return table


def begin_table() -> Table:
    """The columns that every table has."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("test bpc", justify="right", no_wrap=True)
    return table


def beginning(row: Row) -> tuple[Text, Text, Text]:
    """The cells of those columns; a run without an evaluation shows where it stands."""
    score = row.status.lower() if row.bpc is None else f"{row.bpc:.4f}"
    return shown(row.run_id[:8]), shown(row.name), shown(score)


def shown(text: str) -> Text:
    """Text as it is: no markup, no control characters."""
    return Text(harmless(text))
