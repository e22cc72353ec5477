"""`charloom runs`: a table of the runs in MLflow on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from charloom.cli.tables import begin_table, shown
from charloom.errors import say
from charloom.params_file import load_params

if TYPE_CHECKING:
    from charloom.tracking.overview import RunRow

UNLIMITED = 100_000  # the width of the table in characters if the output is not a terminal: no line is broken


@click.command()
def runs() -> None:
    """List the runs in MLflow, the best first.

    A run is MLflow's record of a training and its evaluation. The best run has the fewest bits per character on the
    test split.

    Each row shows the first characters of the run's id, the name, the bits per character, and the parameters that are
    not the same in all runs. Only runs of the MLflow experiment tracking.experiment (in params.yaml) are listed.
    """
    params = load_params().tracking

    from charloom.tracking.overview import differing, list_runs  # loads MLflow; --help must not wait for it
    from charloom.tracking.store import tracker_needed, tracking_uri

    with tracker_needed():
        rows = list_runs(params)
    if not rows:
        say(f"experiment {params.experiment} in {tracking_uri()} has no runs yet; `dvc repro` makes one")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNLIMITED)
    table = fitting(rows, differing(rows), console)
    if not console.is_terminal:
        table.box = None
    console.print(table)


def fitting(rows: list[RunRow], names: list[str], console: Console) -> Table:
    """The wide table if the terminal has room for it, else the narrow one. `names` are the parameters to show."""
    table = wide(rows, names)
    needed = console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
    return table if needed <= console.width else narrow(rows, names)


def wide(rows: list[RunRow], names: list[str]) -> Table:
    """A table with a column for each parameter."""
    table = table_of_runs()
    for name in names:
        table.add_column(shown(name), no_wrap=True)
    for row in rows:
        table.add_row(*first_cells(row), *(shown(row.params.get(name, "–")) for name in names))
    return table


def narrow(rows: list[RunRow], names: list[str]) -> Table:
    """A table with one column for all parameters. The text in this column is broken into lines."""
    table = table_of_runs()
    table.add_column("parameters that differ", overflow="fold")
    for row in rows:
        cells = [f"{name}\N{NO-BREAK SPACE}{row.params.get(name, '–')}" for name in names]
        table.add_row(*first_cells(row), shown(", ".join(cells)))
    return table


def table_of_runs() -> Table:
    """A table with the first three columns of the wide and of the narrow table: run, name, test bpc."""
    table = begin_table()
    table.add_column("run", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("test bpc", justify="right", no_wrap=True)
    return table


def first_cells(row: RunRow) -> tuple[Text, Text, Text]:
    """The cells of the columns run, name and test bpc. A run without an evaluation shows its status instead of bpc."""
    score = row.status.lower() if row.bpc is None else f"{row.bpc:.4f}"
    return shown(row.run_id[:8]), shown(row.name), shown(score)
