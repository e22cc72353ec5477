"""`charloom verify`: whether a run in MLflow agrees with what git and DVC keep."""

from __future__ import annotations

import click

from charloom.errors import RunError, say
from charloom.params_file import load_params


@click.command()
@click.argument("run")
def verify(run: str) -> None:
    """Check a run in MLflow against its files and dvc.lock.

    RUN is the name of the run or the beginning of its id, as `charloom runs` shows them.

    The command compares the run's model, numbers, parameters and data with the run's own files, and with the dvc.lock
    of the commit that the run names. Use it before you rely on a number in MLflow, which anyone with access can change.
    Nothing is trained again.
    """
    params = load_params().tracking

    from charloom.tracking.store import asking  # loads MLflow: --help must not wait for it
    from charloom.tracking.verification import verify_run

    with asking():
        run_id, checks = verify_run(params, run)
    say(f"run {run_id}")
    for check in checks:
        say(f"differs: {check.what}: {check.problem}" if check.problem else f"agrees: {check.what}")
    wrong = sum(bool(check.problem) for check in checks)
    if wrong:
        raise RunError(f"run {run_id[:8]}: {wrong} of {len(checks)} checks found a difference; see the lines above")
