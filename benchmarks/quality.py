"""Test bits per character after a given training time: `quality.py MINUTES [section.name=value …]`.

MINUTES is the time on a quiet machine. A few short trials measure characters per second, and the fastest trial gives
the number of characters that the training reads in MINUTES. If another process slows the training down, the training
takes longer but reads the same text. `--rate N` replaces the trials. `--threads N` sets the threads of the training,
not those of the trials. windows.length is 100 unless a setting changes it, and windows.stride is always the same
number.
"""

from __future__ import annotations

from charloom.model.device import choose_device, make_deterministic, set_threads
from charloom.model.network import CharModel
from charloom.model.scoring import score_articles
from charloom.params import Params
from charloom.training.loop import Training
from charloom.training.parallel import Group
import click
import yaml

from arithmetic import bare_loop
from common import Text, encoded_text, rate_of

TRIALS = 5
TRIAL_S = 1.5
VALIDATIONS = 10  # the weights of the best validation are kept


@click.command()
@click.argument("minutes", type=click.FloatRange(0, min_open=True))
@click.argument("settings", nargs=-1)
@click.option("--rate", type=float, help="Characters per second of a quiet machine. Measured if not given.")
@click.option("--threads", type=int, help="Number of CPU threads to train with.")
def main(minutes: float, settings: tuple[str, ...], rate: float | None, threads: int | None) -> None:
    """Train on as much text as a quiet machine reads in MINUTES.

    Prints a row of a Markdown table: the parameters, the rate, the characters read, and the bits per character of the
    validation and test splits.
    """
    changes = {key: yaml.safe_load(value) for key, _, value in (setting.partition("=") for setting in settings)}
    length = changes.pop("windows.length", 100)
    with encoded_text(length=length, stride=length) as text:
        params = changed(text.params, changes)
        set_threads("auto")
        rate = rate or quiet_rate(params, len(text.vocabulary), length)
        set_threads(threads or "auto")
        training = train(text, params, rate * minutes * 60)
        test = score_articles(training.model, text.test).total.bits_per_character
        best = training.best_bpc
    model, train_ = params.model, params.train
    read = training.history[-1].characters / 1e6
    print(
        f"| {model.cell} | {model.hidden_size} | {model.layers} | {model.dropout:g} | {train_.batching} |"
        f" {length} × {train_.batch_size} | {train_.learning_rate:g} | {train_.precision} | {minutes:g} min |"
        f" {rate:,.0f}/s | {read:.1f} M | {best:.3f} | **{test:.3f}** |"
    )


def changed(params: Params, changes: dict[str, object]) -> Params:
    """The parameters after `changes`, given as `section.name` → value. They are validated like params.yaml."""
    values = params.model_dump()
    for key, value in changes.items():
        section, _, name = key.partition(".")
        values[section][name] = value
    return Params.model_validate(values)


def quiet_rate(params: Params, symbols: int, length: int) -> float:
    """Characters per second of a bare loop. Of a few trials, the fastest is least disturbed by other processes."""
    bare = bare_loop(params.model, symbols, params.train.batch_size, length)
    bare.step()
    return max(rate_of(bare.step, TRIAL_S) for _ in range(TRIALS))


def train(text: Text, params: Params, characters: float) -> Training:
    """Train on this many characters. The model of the returned training has the weights of the best validation."""
    device = choose_device(params.train.device, "train.device")
    make_deterministic(params.train.seed)
    model = CharModel(len(text.vocabulary), params.model)
    training = Training(model, text.train, text.valid, params.train, Group(device=device))
    training.steps = round(characters / (training.batches.batch_size * training.batches.length))
    every = max(1, training.steps // VALIDATIONS)
    while training.step < training.steps:
        training.train_step()
        if training.step % every == 0 or training.step == training.steps:
            record = training.record(validate=True)
            click.echo(f"{record.characters / 1e6:.1f} M characters: {record.valid_bpc:.3f}", err=True)
    training.model.load_state_dict(training.best)
    return training


if __name__ == "__main__":
    main()
