"""`charloom promote`: give the model of a run an alias in MLflow."""

from __future__ import annotations

import click

from charloom.errors import say
from charloom.params_file import load_params


@click.command()
@click.argument("run")
@click.option("--alias", default="best", show_default=True, help="The alias that the model gets.")
@click.option(
    "--other-data", is_flag=True, help="Promote the run even if the model with the alias was tested on other data."
)
def promote(run: str, alias: str, other_data: bool) -> None:
    """Make the model of a run the best one.

    RUN is the name of the run or the beginning of its id, as `charloom runs` shows them.

    An alias is a name for one of the models in MLflow's registry. The command adds the model to the registry and gives
    it the alias. `charloom sample --model models:/charloom@best` then uses this model, wherever MLflow can be reached.
    (The name charloom is that of the MLflow experiment, tracking.experiment in params.yaml.)
    """
    params = load_params().tracking

    from charloom.tracking import registry  # loads MLflow; --help must not wait for it
    from charloom.tracking.store import tracker_needed

    with tracker_needed():
        say(registry.promote(params, run, alias, other_data=other_data))
