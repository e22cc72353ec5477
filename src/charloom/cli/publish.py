"""`charloom publish`: bring what the files here hold to MLflow."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from charloom.errors import say
from charloom.params_file import load_params
from charloom.tracking.dvclock import DvcLock, check_recorded


@click.command()
def publish() -> None:
    """Bring this folder's training and evaluation to MLflow, where they lack there.

    The run is found by its content: where it is complete, nothing is added. Needed after DVC took a result from its
    cache (`dvc pull`, parameters changed back), and after a training whose tracker was down.
    """
    params = load_params()
    if not params.tracking.enabled:
        say("tracking.enabled is false in params.yaml: nothing is published")
        return
    check_recorded(DvcLock.read(Path("dvc.lock")), params, Path())

    from charloom.model.saved import load_model
    from charloom.text.split import EncodedSplit
    from charloom.tracking import publication as tracking
    from charloom.tracking.card import evaluation_card  # torch and MLflow: seconds that a mistake need not wait
    from charloom.tracking.description import words_of
    from charloom.tracking.store import asking, tracking_uri
    from charloom.training.history import read_history

    saved = load_model(Path("models/charloom"))
    test = EncodedSplit.load(Path("data/windows/test"), len(saved.vocabulary))
    words = partial(words_of, test, saved.vocabulary)
    card = evaluation_card(params, saved, Path("data"))
    evaluated = tracking.Evaluated(card, read_history(Path("plots/history.csv")), words, Path())
    with asking():
        run_id, added = tracking.publish(params.tracking, evaluated)
    say(f"{'published' if added else 'nothing to add'}: run {run_id[:8]} in {tracking_uri()} states what is here")
