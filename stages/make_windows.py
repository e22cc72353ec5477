"""Encode the articles as ids, and hold out some training articles for validation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.corpus.articles import read_source
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.text.encode import encode_splits
from charloom.text.vocab import Vocabulary


def windows(params: Params) -> None:
    raw = Path("data/raw")
    counts = encode_splits(
        raw,
        Path("data/windows"),
        Vocabulary.load(Path("data/vocab.json")),
        params.windows,
        valid_fraction=params.data.valid_fraction,
        seed=params.data.seed,
        class_names=read_source(raw)["classes"],
    )
    write_json(Path("details/windows.json"), counts)


if __name__ == "__main__":
    run_stage("windows", windows)
