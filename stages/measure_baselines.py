"""Measure simpler models on the test split: n-grams, compressors and, if the model is conditioned, classifiers."""

from dataclasses import replace
from pathlib import Path

from charloom.corpus.articles import read_source
from charloom.evaluation.baselines import measure_baselines
from charloom.evaluation.classifiers import measure_classifiers
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary


def baselines(params: Params) -> None:
    windows = Path("data/windows")
    vocabulary = Vocabulary.load(Path("data/vocab.json"))
    train, test = (EncodedSplit.load(windows / split, len(vocabulary)) for split in ("train", "test"))
    class_names = read_source(Path("data/raw"))["classes"]
    measured = measure_baselines(train, test, vocabulary, class_names, params.baselines)
    if params.model.conditioning == "class":
        labelled = train.labelled(params.data.labelled_fraction, params.data.seed)
        accuracy = {}
        for name, share in measure_classifiers(
            labelled, test, vocabulary
        ):  # each takes about a minute on a large corpus
            print(f"{name}: accuracy {share:.3f}", flush=True)
            accuracy[name] = share
        measured = replace(measured, accuracy=accuracy)
    measured.save(Path("data/baselines.json"))
    write_json(Path("metrics/baselines.json"), measured.metrics())
    write_json(Path("details/baselines.json"), measured.details())


if __name__ == "__main__":
    run_stage("baselines", baselines)
