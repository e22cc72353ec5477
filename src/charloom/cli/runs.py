"""`charloom runs`: the runs in MLflow, as a table on the terminal or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from charloom.cli.tables import begin_table, shown
from charloom.errors import say
from charloom.params_file import load_params

if TYPE_CHECKING:
    from charloom.tracking.overview import RunGroup

UNLIMITED = 100_000  # the width of the table in characters if the output is not a terminal: no line is broken
NOTE = (
    "A row with more than one seed shows the id of the best run, and the mean and the standard deviation over the"
    " seeds. `charloom runs --each` lists each run."
)


@click.command()
@click.option("--each", is_flag=True, help="List each run in a separate row, also runs that differ only in the seed.")
@click.option("--json", "as_json", is_flag=True, help="Print the groups, their runs and all parameters as JSON.")
def runs(*, each: bool, as_json: bool) -> None:
    """List the runs in MLflow, the best first.

    A run is MLflow's record of a training and its evaluation. The best run has the fewest bits per character (bpc) on
    the test split. Only runs of the MLflow experiment tracking.experiment (in params.yaml) are listed.

    Runs that differ only in train.seed share one row. The row shows the mean of their bits per character, and the
    spread, which is the standard deviation. The other columns are the number of seeds, the first characters of the id
    of the best run, the name of the best run, and the parameters that are not the same in all runs.
    """
    params = load_params().tracking

    from charloom.tracking.overview import RunGroup, grouped, list_runs  # loads MLflow; --help must not wait for it
    from charloom.tracking.store import tracker_needed, tracking_uri

    with tracker_needed():
        rows = list_runs(params)
    groups = [RunGroup([row]) for row in rows] if each else grouped(rows)
    if as_json:
        print(json.dumps([as_object(group) for group in groups], indent=2, ensure_ascii=False))
    elif groups:
        show(groups)
    else:
        say(f"experiment {params.experiment} in {tracking_uri()} has no runs yet; `dvc repro` makes one")


def as_object(group: RunGroup) -> dict[str, object]:
    """A group as an object for JSON. A spread of null means that there are fewer than two seeds."""
    return {
        "seeds": len(group.scores),
        "test_bpc": group.mean,
        "spread": group.spread,
        "runs": [
            {"run_id": row.run_id, "name": row.name, "status": row.status, "test_bpc": row.bpc, "params": row.params}
            for row in group.rows
        ],
    }


def show(groups: list[RunGroup]) -> None:
    """Print the table. On a terminal it has the terminal's width."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=UNLIMITED)
    table = fitting(groups, console)
    if not console.is_terminal:
        table.box = None
    console.print(table)
    if console.is_terminal and with_seeds(groups):
        console.print(NOTE)


def fitting(groups: list[RunGroup], console: Console) -> Table:
    """The wide table if the terminal has room for it, else the narrow one."""
    from charloom.tracking.overview import SEED, differing

    names = differing([row for group in groups for row in group.rows])
    if with_seeds(groups):
        names = [name for name in names if name != SEED]
    table = wide(groups, names)
    needed = console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
    return table if needed <= console.width else narrow(groups, names)


def with_seeds(groups: Iterable[RunGroup]) -> bool:
    """Whether a group has more than one seed, so that the table needs the columns seeds and spread."""
    return any(len(group.rows) > 1 for group in groups)


def wide(groups: list[RunGroup], names: list[str]) -> Table:
    """A table with a column for each parameter in `names`."""
    table = begin(groups)
    for name in names:
        table.add_column(shown(name), no_wrap=True)
    for group in groups:
        values = [group.best.params.get(name, "–") for name in names]
        table.add_row(*map(shown, [*first_cells(group, groups), *values]))
    return table


def narrow(groups: list[RunGroup], names: list[str]) -> Table:
    """A table with one column for all parameters in `names`. The text in this column is broken into lines."""
    table = begin(groups)
    table.add_column("parameters that differ", overflow="fold")
    for group in groups:
        values = [f"{name}\N{NO-BREAK SPACE}{group.best.params.get(name, '–')}" for name in names]
        table.add_row(*map(shown, [*first_cells(group, groups), ", ".join(values)]))
    return table


def begin(groups: list[RunGroup]) -> Table:
    """A table with the first columns of the wide and of the narrow table."""
    table = begin_table()
    table.add_column("run", no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("test bpc", justify="right", no_wrap=True)
    if with_seeds(groups):
        table.add_column("spread", justify="right", no_wrap=True)
        table.add_column("seeds", justify="right", no_wrap=True)
    return table


def first_cells(group: RunGroup, groups: list[RunGroup]) -> list[str]:
    """The cells of the first columns. A run without an evaluation shows its status instead of bits per character."""
    best = group.best
    score = best.status.lower() if group.mean is None else f"{group.mean:.4f}"
    spread = "–" if group.spread is None else f"{group.spread:.4f}"
    return [best.run_id[:8], best.name, score, *([spread, str(len(group.scores))] if with_seeds(groups) else [])]
