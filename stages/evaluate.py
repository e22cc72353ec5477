"""Measure the model on the test split, let it write, and complete the run in MLflow."""

from pathlib import Path

from charloom.card import make_card
from charloom.checkpoint import load_model
from charloom.device import choose_device, make_deterministic, set_threads
from charloom.files import write_json
from charloom.history import read_history
from charloom.keys import evaluate_key
from charloom.params import Params
from charloom.report import draw_history, write_samples
from charloom.sampling import sample_at_temperatures
from charloom.scoring import score_articles
from charloom.stage import run_stage
from charloom.tracking.publish import track_evaluation
from charloom.windows import Windows


def evaluate(params: Params) -> None:
    windows, reports = Path("data/windows"), Path("reports")
    device = choose_device(params.evaluate.device, "evaluate.device")
    set_threads("auto")
    make_deterministic(params.evaluate.seed)
    saved = load_model(Path("models/charloom"), device)
    test = Windows.load(windows / "test")

    scores = score_articles(saved.model, test, device)
    write_json(Path("metrics/evaluate.json"), scores.summary() | {"unknown_characters": test.unknown})
    write_samples(reports / "samples.txt", sample_at_temperatures(saved.model, saved.vocabulary, params.evaluate))
    history = read_history(Path("plots/history.csv"))
    draw_history(reports / "history.png", history, scores.bits_per_character)

    keys = {
        "train_key": saved.train_key,
        "model_digest": saved.digest,
        "evaluate_key": evaluate_key(params, windows, saved.digest),
    }
    track_evaluation(params.tracking, make_card(params, Path("data/raw"), device, keys), history, Path())


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
