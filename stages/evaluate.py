"""Measure the model on the test split, let it write, and complete the run in MLflow."""

from functools import partial
from pathlib import Path

from charloom.corpus.articles import read_source
from charloom.evaluation.baselines import Baselines
from charloom.evaluation.evaluation import evaluate_model
from charloom.files import write_json
from charloom.model.device import choose_device, make_deterministic, set_threads
from charloom.model.saved import load_model
from charloom.params import Params
from charloom.report.page import write_page
from charloom.report.pictures import draw_pictures
from charloom.report.samples import write_samples
from charloom.report.tables import write_tables
from charloom.stage import run_stage
from charloom.text.split import EncodedSplit
from charloom.tracking.card import evaluation_card
from charloom.tracking.description import words_of
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.training.history import read_history


def evaluate(params: Params) -> None:
    raw, windows, reports = Path("data/raw"), Path("data/windows"), Path("reports")
    device = choose_device(params.evaluate.device, "evaluate.device")
    set_threads("auto")
    make_deterministic(params.evaluate.seed)
    saved = load_model(Path("models/charloom"), device)
    history = read_history(Path("plots/history.csv"))
    valid, test = (EncodedSplit.load(windows / split, len(saved.vocabulary)) for split in ("valid", "test"))

    findings = evaluate_model(
        saved,
        valid,
        test,
        params.evaluate,
        device,
        source=read_source(raw),
        stated=params.deciding(),
        history=history,
        baselines=Baselines.load(Path("data/baselines.json")),
    )
    write_json(Path("metrics/evaluate.json"), findings.metrics())
    write_tables(Path("plots"), findings)
    write_samples(reports / "samples.txt", findings.samples, findings.samples_by_class)
    draw_pictures(reports, findings)
    write_page(reports / "report.html", findings)

    words = partial(words_of, test, saved.vocabulary)
    card = evaluation_card(params, saved, Path("data"))
    track_evaluation(params.tracking, Evaluated(card, history, words, Path()))


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
