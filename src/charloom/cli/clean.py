"""`charloom clean`: removing the checkpoints of abandoned trainings."""

from __future__ import annotations

import click

from charloom.errors import say
from charloom.leftovers import leftovers, remove
from charloom.stage import checkpoints_root
from charloom.terminal import in_bytes


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
def clean(dry_run: bool) -> None:
    """Remove the checkpoints of trainings that do not run.

    DVC keeps the results of a finished training, so its checkpoints are removed without this command. What remains are
    the checkpoints of trainings that were stopped. Such a training resumes from its checkpoints if you run `dvc repro`
    with the same parameters. After this command, it starts again.

    A training that runs keeps its checkpoints.
    """
    removed = [each for each in leftovers(checkpoints_root()) if dry_run or remove(each.folder)]
    for each in removed:
        say(f"{'would remove' if dry_run else 'removed'} {each}")
    total = in_bytes(sum(each.size for each in removed))
    trainings = f"{len(removed)} training{'s' * (len(removed) != 1)}"
    say(f"{'would free' if dry_run else 'freed'} {total}: the checkpoints of {trainings}")
