"""`charloom verify`: whether a run in MLflow agrees with its files and with dvc.lock."""

from __future__ import annotations

import click

from charloom.errors import RunError, say
from charloom.params_file import load_params


@click.command()
@click.argument("run")
def verify(run: str) -> None:
    """Check a run in MLflow against its files and dvc.lock.

    RUN is the name of the run or the beginning of its id, as `charloom runs` shows them.

    Anyone with access to MLflow can change the numbers of a run. Use this command before you rely on a number.

    The command compares the run's tags and metrics with the files that the run contains. It compares the run's
    parameters, files and data with dvc.lock. It looks for dvc.lock in the commit that the run names, in later commits,
    and in this folder. It also checks the files in DVC's cache. Nothing is trained again.
    """
    params = load_params().tracking

    from charloom.tracking.store import tracker_needed  # loads MLflow; --help must not wait for it
    from charloom.tracking.verification import verify_run

    with tracker_needed():
        run_id, checks = verify_run(params, run)
    say(f"run {run_id}")
    for check in checks:
        say(f"differs: {check.what}: {check.problem}" if check.problem else f"agrees: {check.what}")
    wrong = sum(bool(check.problem) for check in checks)
    if wrong:
        raise RunError(f"run {run_id[:8]}: {wrong} of {len(checks)} checks found a difference; see the lines above")
