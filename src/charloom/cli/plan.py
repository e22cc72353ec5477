"""`charloom plan`: how long the trainings will take, and what fits into a night."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charloom.doctor.programs import output_of, queued
from charloom.errors import InputError, say, warn
from charloom.params import Params
from charloom.params_file import load_params
from charloom.terminal import in_time
from charloom.text.workers import usable_cores

if TYPE_CHECKING:
    from charloom.doctor.estimate import Estimate

# The parameters on which the time of a step does not depend. Those that decide the number of steps are among them.
NO_TIME: dict[str, set[str]] = {
    "data": {"mirror", "timeout", "seed"},
    "train": {"seed", "epochs", "characters", "learning_rate", "schedule", "warmup", "grad_clip", "checkpoint_every"},
    "evaluate": {"seed"},
    "tracking": {"enabled", "experiment", "timeout"},
}

POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option("--hours", type=POSITIVE, default=8.0, show_default=True, help="The length of the night.")
@click.option(
    "--seconds",
    type=POSITIVE,
    default=10.0,
    show_default=True,
    help="Train for so long to measure a step. A longer time gives a better estimate.",
)
def plan(hours: float, seconds: float) -> None:
    """Estimate how long trainings take, and what fits into a night.

    The command trains for some seconds with the parameters of params.yaml on data/windows, validates once, and runs the
    other stages on a little text. If experiments wait in the queue of DVC, the command also measures each kind of model
    among them. The command writes nothing.

    The estimate is rough. Other programs that use this machine make it wrong. It leaves out the start of the programs,
    the pictures of the report, and MLflow, which take some seconds for each run.
    """
    params = load_params()
    load = os.getloadavg()[0]  # before the measurements, which use the cores themselves
    measured: dict[str, Estimate] = {}

    def estimate_once(params: Params) -> Estimate:
        """The estimate for these parameters. Parameters with which a step takes as long share a measurement."""
        from charloom.doctor.estimate import estimate  # loads torch; --help must not wait for it

        key = json.dumps(params.model_dump(exclude=NO_TIME), sort_keys=True)
        if key not in measured:
            measured[key] = estimate(params, seconds)
        return measured[key]

    found = estimate_once(params)
    warn_if_busy(load)
    show_run(params, found)
    show_queue(estimate_once, hours)
    steps = found.train.steps_in(hours * 3600 - found.others_s)
    characters, epochs = steps * found.train.characters, steps / found.train.steps_per_epoch
    if steps:
        say(f"{hours:g} hours are enough for a run with train.characters: {characters} or train.epochs: {epochs:.3g}")
    else:
        say(f"{hours:g} hours are not enough for one step of this training and its evaluation")


def warn_if_busy(load: float) -> None:
    """Warn if other programs use the cores, because the trainings of the night may have the cores for themselves.

    `load` is the mean number of processes that wanted to run in the last minute.
    """
    cores = usable_cores()
    if load > cores / 2:
        warn(f"other programs use this machine (load {load:.1f} on {cores} cores), so all times are too long")


def show_run(params: Params, found: Estimate) -> None:
    """Print the time of each stage."""
    train, steps = found.train, found.train.steps(params.train)
    say(f"{params.model.in_words}, on {train.device}")
    if params.train.processes > 1:
        say(f"measured in one process; the {params.train.processes} processes of train.processes are faster")
    say("download, vocab, windows: done")
    say(f"baselines: {'done' if found.baselines_s is None else in_time(found.baselines_s)}")
    speed = f"{train.characters / train.step_s:,.0f} characters a second"
    validations = f"{train.validations(steps)} validations of {in_time(train.validation_s)}"
    before = f"{in_time(train.setup_s)} before the first step"
    say(f"train: {in_time(train.seconds(steps))} ({before}, {steps:,} steps at {speed}, {validations})")
    say(f"evaluate: {in_time(found.evaluate_s)}")
    say(f"a run: {in_time(found.run_s(params))}")


def show_queue(estimate: Callable[[Params], Estimate], hours: float) -> None:
    """Print the time of the experiments in DVC's queue, one after another, and how many of them fit."""
    waiting = queued_params(queued())
    seconds, fitting = 0.0, 0
    for name, params in waiting.items():
        try:
            seconds += estimate(params).run_s(params)
        except InputError as error:
            say(f"experiment {name}: not estimated: {error}")
            continue
        fitting += seconds <= hours * 3600
    if waiting:
        say(f"the queue: {in_time(seconds)} for {len(waiting)} experiments; {fitting} of them fit into {hours:g} hours")


def queued_params(commits: list[str]) -> Mapping[str, Params]:
    """The parameters of the experiments with these commits, by the beginning of the commit."""
    found = {}
    for commit in commits:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "params.yaml")
            path.write_text(output_of(["git", "show", f"{commit}:./params.yaml"]), encoding="utf-8")
            found[commit[:7]] = load_params(path)
    return found
