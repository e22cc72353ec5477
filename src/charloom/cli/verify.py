"""`charloom verify`: whether a run in MLflow says what git and DVC hold."""

from __future__ import annotations

import click

from charloom.errors import RunError, say
from charloom.params_file import load_params


@click.command()
@click.argument("run")
def verify(run: str) -> None:
    """Check RUN (its name, or the beginning of its id) against the files and dvc.lock at its commit.

    Its model, its numbers, its parameters and its data are compared by their digests; nothing is trained again.
    """
    params = load_params().tracking

    from charloom.tracking.store import asking  # MLflow: seconds that --help need not wait
    from charloom.tracking.verification import verify_run

    with asking():
        run_id, checks = verify_run(params, run)
    say(f"run {run_id}")
    for check in checks:
        say(f"differs: {check.what}: {check.problem}" if check.problem else f"agrees: {check.what}")
    wrong = sum(bool(check.problem) for check in checks)
    if wrong:
        raise RunError(f"run {run_id[:8]}: {wrong} of {len(checks)} checks found a difference")
