"""Measure what simpler models make of the test split: n-grams and two compressors."""

from pathlib import Path

from charloom.baselines import measure_baselines
from charloom.corpus import read_source
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.vocab import Vocabulary
from charloom.windows import Windows


def baselines(params: Params) -> None:
    windows = Path("data/windows")
    vocabulary = Vocabulary.load(Path("data/vocab.json"))
    measured = measure_baselines(
        Windows.load(windows / "train", len(vocabulary)),
        Windows.load(windows / "test", len(vocabulary)),
        vocabulary,
        read_source(Path("data/raw"))["classes"],
        params.baselines,
    )
    measured.save(Path("data/baselines.json"))
    write_json(Path("metrics/baselines.json"), measured.bpc)


if __name__ == "__main__":
    run_stage("baselines", baselines)
