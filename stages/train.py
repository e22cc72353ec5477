"""Train the model. If there is a checkpoint of the same training, continue from the checkpoint.

    dvc repro train                                run this stage, after earlier stages whose inputs have changed
    python stages/train.py                         run this stage alone, without DVC
    torchrun --nproc-per-node 4 stages/train.py    run it in four processes on this machine

With `train.processes: 4` in params.yaml, the first two commands also train in four processes. README.md ("On a GPU box,
overnight") has the commands for several machines.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.evaluation.classification import fit_class_temperature
from charloom.files import write_json
from charloom.model.device import choose_device, explain_out_of_memory, make_deterministic, set_threads
from charloom.model.saved import save_model
from charloom.params import Params, corpus_form
from charloom.stage import checkpoints_root, run_stage, stop_requests, under_torchrun
from charloom.tracking.card import make_card
from charloom.tracking.stream import track_training
from charloom.training.checkpoint import Checkpoints
from charloom.training.history import write_history
from charloom.training.keys import train_key
from charloom.training.loop import Training, run_training
from charloom.training.parallel import check_gpus, join_group, launch, will_lead
from charloom.training.progress import show_progress
from charloom.training.sampler import Sampler, write_training_samples
from charloom.training.setup import Prepared, name_rare_classes, prepare
from charloom.training.state import resume

WINDOWS, VOCABULARY, MODEL = Path("data/windows"), Path("data/vocab.json"), Path("models/charloom")

REMEDY = "lower train.batch_size or windows.length (activations), or model.hidden_size (weights)"


def train(params: Params) -> None:
    device = choose_device(params.train.device, "train.device")
    leads = will_lead()
    key = train_key(params, WINDOWS, VOCABULARY) if leads else "known to process 0"  # it reads all windows
    checkpoints = Checkpoints(checkpoints_root() / key)
    # The lock is acquired before the group is joined, because in a group the others wait only for some minutes.
    if params.train.processes > 1 and not under_torchrun():
        if device.type == "cuda":
            check_gpus(params.train.processes)
        with checkpoints.locked():
            pass
        launch(__file__, params.train.processes)
        return
    lock = checkpoints.locked() if leads else nullcontext()
    with lock, join_group(device) as group, explain_out_of_memory(REMEDY):
        set_threads(params.train.threads, sharing=group.local_size)
        make_deterministic(params.train.seed)
        prepared = prepare(params, WINDOWS, VOCABULARY, group)
        if leads:
            lead(prepared, checkpoints, key, params)
        else:
            follow(prepared.training, checkpoints)


def lead(prepared: Prepared, checkpoints: Checkpoints, key: str, params: Params) -> None:
    """What process 0 does, or the only process: train and write all results."""
    training, vocabulary, valid = prepared
    name_rare_classes(training.class_counts)
    card = make_card(params, Path("data/raw"), {"train_key": key}).trained_on(training.device)
    with stop_requests() as stopping:
        resume(training, checkpoints)
        sampler = Sampler(training, vocabulary)  # the first listener, because the others show its samples
        with (
            show_progress(training) as progress,
            track_training(params.tracking, card, training.history, training.samples) as tracker,
        ):
            run_training(training, checkpoints, [sampler, progress, tracker], stopping)
            model, counts = training.model, training.class_counts
            limit, seed = params.train.valid_characters, params.train.seed
            temperature = fit_class_temperature(model, counts, valid, limit, seed) if counts else 1.0
            form = corpus_form(params)
            tracker.finish(save_model(MODEL, model, vocabulary, key, counts, temperature, form))
        checkpoints.note_finished(MODEL / "model.json")
    write_history(Path("plots/history.csv"), training.history)
    write_training_samples(Path("reports/training_samples.json"), training.samples)
    write_json(Path("metrics/train.json"), training.metrics())
    write_json(Path("details/train.json"), training.details())


def follow(training: Training, checkpoints: Checkpoints) -> None:
    """What every other process does: train together with process 0, and write nothing."""
    with stop_requests() as stopping:
        resume(training, checkpoints)
        run_training(training, checkpoints, [], stopping)


if __name__ == "__main__":
    run_stage("train", train)
