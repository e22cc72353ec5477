"""Fit the model, going on from a checkpoint where an earlier process left one."""

from pathlib import Path

from charloom.card import make_card
from charloom.checkpoint import Checkpoints, save_model
from charloom.device import choose_device, make_deterministic, set_threads
from charloom.files import main_checkout, write_json
from charloom.history import Record, write_history
from charloom.keys import train_key
from charloom.model import CharModel
from charloom.params import Params
from charloom.progress import show_progress
from charloom.stage import STATE, run_stage, stop_requests
from charloom.tracking import track_training
from charloom.training import Training, run_training
from charloom.vocab import Vocabulary
from charloom.windows import Windows


def train(params: Params) -> None:
    windows, model_folder = Path("data/windows"), Path("models/charloom")
    device = choose_device(params.train.device, "train.device")
    set_threads(params.train.threads)
    make_deterministic(params.train.seed)
    vocabulary = Vocabulary.load(Path("data/vocab.json"))
    model = CharModel(len(vocabulary), params.model)
    training = Training(model, Windows.load(windows / "train"), Windows.load(windows / "valid"), params.train, device)

    key = train_key(params, windows, Path("data/vocab.json"))
    checkpoints = Checkpoints(main_checkout() / STATE / "checkpoints" / key)
    checkpoints.forget_if_recorded(Path("dvc.lock"))
    if saved := checkpoints.load():
        training.restore(saved)
        print(f"going on from step {training.step} of {training.steps}", flush=True)

    card = make_card(params, Path("data/raw"), device, {"train_key": key})
    with (
        stop_requests() as stopping,
        show_progress(training) as progress,
        track_training(params.tracking, card, training.history) as tracker,
    ):

        def listen(record: Record) -> None:
            progress(record)
            if tracker:
                tracker(record)

        run_training(training, checkpoints, listen, stopping)
        digest = save_model(model_folder, model, vocabulary, key)
        checkpoints.note_finished(model_folder / "model.safetensors")
        if tracker:
            tracker.finish(digest)

    write_history(Path("plots/history.csv"), training.history)
    metrics = {
        "steps": training.steps,
        "parameters": model.size(),
        "final_bpc": training.history[-1].bpc,
        "best_valid_bpc": training.best_bpc,
    }
    write_json(Path("metrics/train.json"), metrics)


if __name__ == "__main__":
    run_stage("train", train)
