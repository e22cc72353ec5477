"""`charloom publish`: sending the results in a folder to MLflow."""

from __future__ import annotations

from pathlib import Path

import click

from charloom.errors import say
from charloom.params_file import load_params
from charloom.tracking.dvclock import DvcLock, check_recorded


@click.command()
def publish() -> None:
    """Send the results in this folder to MLflow.

    `dvc repro` sends the results that it computes. Use this command if MLflow could not be reached then, or if DVC took
    the results from its cache, for example after `dvc pull`.

    A run is MLflow's record of a training and its evaluation. This command completes the run of the results in this
    folder, or makes one. If MLflow has the complete run already, nothing is added.
    """
    params = load_params()
    if not params.tracking.enabled:
        say("nothing was published, because tracking.enabled is false in params.yaml")
        return
    check_recorded(DvcLock.read(Path("dvc.lock")), params, Path())

    # These imports load torch and MLflow, which takes seconds. An error above appears without this delay.
    from charloom.model.saved import load_model
    from charloom.tracking import publication
    from charloom.tracking.store import tracker_needed, tracking_uri

    saved = load_model(Path("models/charloom"))
    evaluated = publication.Evaluated.of_workspace(params, saved, Path())
    with tracker_needed():
        run_id, added = publication.publish(params.tracking, evaluated)
    done = "published" if added else "nothing to add"
    say(f"{done}: run {run_id[:8]} in {tracking_uri()} has the results of this folder")
