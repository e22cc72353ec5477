"""Measure simpler models on the test split: n-grams, compressors and, if the model is conditioned, classifiers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.corpus.articles import read_source
from charloom.evaluation.measuring import measure_baselines
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary


def baselines(params: Params) -> None:
    windows = Path("data/windows")
    vocabulary = Vocabulary.load(Path("data/vocab.json"))
    train, test = (EncodedSplit.load(windows / split, len(vocabulary)) for split in ("train", "test"))
    for split in (train, test):
        if split.characters <= params.baselines.max_characters:  # then the split is read as a whole
            split.check_ids()
    class_names = read_source(Path("data/raw"))["classes"]
    conditioned = params.model.conditioning == "class"
    if conditioned:
        train = train.labelled(params.data.labelled_fraction, params.data.seed)
    measured = measure_baselines(
        train, test, vocabulary, class_names, params.baselines, params.data.seed, classifiers=conditioned
    )
    measured.save(Path("data/baselines.json"))
    write_json(Path("metrics/baselines.json"), measured.metrics())
    write_json(Path("details/baselines.json"), measured.details())


if __name__ == "__main__":
    run_stage("baselines", baselines)
