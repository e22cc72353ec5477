"""Measure the model on the test split, draw samples, write the report, and complete the run in MLflow."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.corpus.articles import read_source
from charloom.evaluation.baselines import Baselines
from charloom.evaluation.evaluation import evaluate_model
from charloom.evaluation.samples import write_samples
from charloom.files import write_json
from charloom.model.device import choose_device, explain_out_of_memory, make_deterministic, set_threads
from charloom.model.saved import load_model
from charloom.params import Params
from charloom.report.context import make_context
from charloom.report.page import write_page
from charloom.report.pictures import draw_pictures
from charloom.report.play import write_play
from charloom.report.sample_text import write_sample_text
from charloom.report.tables import write_tables
from charloom.stage import run_stage
from charloom.text.split import EncodedSplit
from charloom.tracking.publication import Evaluated, track_evaluation
from charloom.training.history import read_history
from charloom.training.sampler import read_training_samples


def evaluate(params: Params) -> None:
    reports = Path("reports")
    device = choose_device(params.evaluate.device, "evaluate.device")
    set_threads("auto")
    make_deterministic(params.evaluate.seed)
    saved = load_model(Path("models/charloom"), device)
    test = EncodedSplit.load(Path("data/windows/test"), len(saved.vocabulary))
    source = read_source(Path("data/raw"))
    history = read_history(Path("plots/history.csv"))
    samples = read_training_samples(Path("reports/training_samples.json"))
    baselines = Baselines.load(Path("data/baselines.json"))

    with explain_out_of_memory(
        "lower model.hidden_size or, if the memory of a GPU is full, set evaluate.device to cpu"
    ):
        evaluation = evaluate_model(saved, test, params.evaluate, source["classes"])
    write_json(Path("metrics/evaluate.json"), evaluation.metrics())
    write_json(Path("details/evaluate.json"), evaluation.details())
    write_samples(reports / "samples.json", evaluation.samples)
    write_sample_text(reports / "samples.txt", evaluation.samples)

    context = make_context(params, saved, source["source"], history, baselines, samples)
    write_tables(Path("plots"), evaluation, context)
    draw_pictures(reports, evaluation, context)
    write_page(reports / "report.html", evaluation, context)
    write_play(reports / "play.html", saved, test, context, params.evaluate)

    track_evaluation(params.tracking, Evaluated.of_workspace(params, saved, Path()))


if __name__ == "__main__":
    run_stage("evaluate", evaluate)
