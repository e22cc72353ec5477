"""Build the vocabulary: count the characters of the training split."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.errors import warn
from charloom.files import write_json
from charloom.params import Params
from charloom.stage import run_stage
from charloom.text.frequencies import count_file
from charloom.text.vocab import Vocabulary

MANY_SYMBOLS = 1000  # with more, the layers that read and predict symbols take most of the time of a training


def build_vocab(params: Params) -> None:
    counts, order = count_file(Path("data/raw/train.csv"))
    vocabulary = Vocabulary.from_counts(
        counts,
        order,
        min_count=params.vocab.min_count,
        max_size=params.vocab.max_size,
        normalize=params.data.normalize,
    )
    if len(vocabulary) > MANY_SYMBOLS:
        warn(
            f"the vocabulary has {len(vocabulary)} symbols; more than {MANY_SYMBOLS} make a training slow."
            " To turn rare characters into <unk>, raise vocab.min_count or set vocab.max_size in params.yaml"
        )
    vocabulary.save(Path("data/vocab.json"))
    write_json(Path("details/vocab.json"), {"symbols": len(vocabulary), "characters_seen": sum(vocabulary.counts)})


if __name__ == "__main__":
    run_stage("vocab", build_vocab)
