"""`charloom doctor`: whether this machine is ready for a night of trainings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from charloom.doctor.disk import check_disk, check_leftovers
from charloom.doctor.facts import Fact, Mark, fault, ok
from charloom.doctor.machine import check_cores, check_driver, check_python
from charloom.doctor.programs import check_dvc, check_git, check_remote, queued
from charloom.errors import InputError, RunError
from charloom.files import main_checkout
from charloom.params import Params
from charloom.params_file import load_params
from charloom.stage import checkpoints_root

COLOURS = {Mark.OK: "green", Mark.WARNING: "yellow", Mark.FAULT: "red"}


@click.command()
@click.option("--fast", is_flag=True, help="Check only what needs neither torch nor a network, in a second.")
def doctor(fast: bool) -> None:
    """Check this machine before a night of trainings.

    Each line is a fact with a mark: ok, warning or fault. A line with a warning or a fault ends with what to do. With a
    fault, the trainings would fail, and the exit code is 1. Otherwise it is 0.

    The command changes nothing. A check that needs the network takes little more than tracking.timeout seconds.
    """
    faults = 0
    for fact in facts(fast):
        click.echo(f"{click.style(f'{fact.mark.value:<8}', fg=COLOURS[fact.mark])} {fact.line}")
        sys.stdout.flush()
        faults += fact.mark is Mark.FAULT
    if faults:
        raise RunError(f"{faults} fault{'s' * (faults > 1)}: see the lines above; the trainings would fail")


def facts(fast: bool) -> Iterator[Fact]:
    """All facts, the fastest checks first."""
    yield check_python()
    yield from check_driver()
    yield check_git()
    yield check_dvc(Path())
    try:
        params = load_params()
    except InputError as error:
        yield fault("params.yaml", str(error), "the checks that need the parameters were left out")
        return
    yield ok("params.yaml", "valid")
    yield check_cores(params.train)
    yield check_disk(params, main_checkout(), runs=max(1, len(queued())))
    yield from check_leftovers(checkpoints_root())
    if not fast:
        yield from slow_facts(params)


def slow_facts(params: Params) -> Iterator[Fact]:
    """The facts for which torch or MLflow must be loaded, or a server asked."""
    from charloom.doctor.store import check_store
    from charloom.doctor.torch_facts import check_devices, check_precision, check_torch

    yield check_torch()
    yield from check_devices(params)
    yield check_precision(params)
    yield from check_remote(params.tracking.timeout)
    yield check_store(params.tracking)
