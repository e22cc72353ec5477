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

    `dvc repro` does this too, but not always: if DVC takes a result from its cache (after `dvc pull`, or because
    parameters were changed back), or if MLflow could not be reached, MLflow lacks the result. This command then makes
    or completes the run.

    A run is found by its content. If MLflow has the complete run already, nothing is added.
    """
    params = load_params()
    if not params.tracking.enabled:
        say("nothing was published, because tracking.enabled is false in params.yaml")
        return
    check_recorded(DvcLock.read(Path("dvc.lock")), params, Path())

    # loads torch and MLflow, which takes seconds that an error need not wait for
    from charloom.model.saved import load_model
    from charloom.tracking import publication
    from charloom.tracking.store import asking, tracking_uri

    saved = load_model(Path("models/charloom"))
    evaluated = publication.Evaluated.of_workspace(params, saved, Path())
    with asking():
        run_id, added = publication.publish(params.tracking, evaluated)
    done = "published" if added else "nothing to add"
    say(f"{done}: run {run_id[:8]} in {tracking_uri()} has the results of this folder")
