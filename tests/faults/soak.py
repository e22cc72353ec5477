"""Run whole pipelines in one process, each with different valid parameters: `python -m tests.faults.soak RUNS`.

In one process, memory that a run does not free and files that it does not close add up. After each run, this script
prints the memory of the process and the number of its open files.
"""

from __future__ import annotations

import csv
import gc
import os
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charloom.cells import CELLS
from charloom.corpus.articles import SPLITS
from charloom.corpus.sources import SAMPLE
from charloom.errors import CharloomError
from charloom.model.device import precisions
from charloom.params import Params
from charloom.params_file import load_params
from tests.conftest import CHECKOUT

# The script of each stage, and the name of its function.
SCRIPTS = {
    "download": "download",
    "build_vocab": "build_vocab",
    "make_windows": "windows",
    "measure_baselines": "baselines",
    "train": "train",
    "evaluate": "evaluate",
}
ARTICLES = 40  # in each split of the corpus
seeds = st.integers(0, 2**63 - 1)


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


VALID: dict[str, dict[str, st.SearchStrategy[object]]] = {
    "data": {"valid_fraction": floats(0.01, 0.5), "seed": seeds},
    "vocab": {"min_count": integers(1, 50)},
    "windows": {"length": integers(1, 40), "stride": integers(1, 200), "scope": st.sampled_from(("stream", "article"))},
    "baselines": {
        "max_characters": st.sampled_from((0, 1, 700, 20_000_000)),
        "ngram_order": integers(1, 10),
        "ppmd_order": integers(2, 64),
    },
    "model": {
        "cell": st.sampled_from(tuple(CELLS)),
        "hidden_size": integers(1, 24),
        "layers": integers(1, 3),
        "dropout": floats(0.0, 0.9),
    },
    "train": {
        "seed": seeds,
        "device": st.sampled_from(("auto", "cpu")),
        "threads": st.sampled_from(("auto", 1, 2)),
        "precision": st.sampled_from(precisions(torch.device("cpu"))),
        "batching": st.sampled_from(("lanes", "shuffled")),
        "batch_size": integers(1, 16),
        "sample_prompt": st.text(max_size=5),
        "sample_length": integers(0, 30),
        "epochs": floats(1e-4, 0.05),  # one step to some hundreds
        "learning_rate": floats(1e-6, 0.1),
        "schedule": st.sampled_from(("cosine", "constant")),
        "warmup": floats(0.0, 0.9),
        "grad_clip": floats(1e-3, 1e3),
        "validate_every": integers(1, 1000),
        "log_every": integers(1, 1000),
        "checkpoint_every": floats(0.01, 1e6),
    },
    "evaluate": {
        "seed": seeds,
        "temperatures": st.lists(floats(0.0, 100.0), min_size=1, max_size=3),
        "samples": integers(1, 3),
        "sample_length": integers(1, 60),
        "articles": integers(0, 4),
    },
}


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, dict[str, object]]:
    """Parameters that are valid together: the scope `article` needs shuffled windows."""
    drawn = {section: {name: draw(each) for name, each in names.items()} for section, names in VALID.items()}
    if drawn["windows"]["scope"] == "article":
        drawn["train"]["batching"] = "shuffled"
    return drawn


def main(runs: int) -> None:
    process = psutil.Process()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        corpus = make_corpus(Path("corpus"))
        stages = import_stages()
        defaults = load_params(CHECKOUT / "params.yaml").model_dump()

        @settings(
            max_examples=runs,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(parameters())
        def run(drawn: dict[str, dict[str, object]]) -> None:
            params = {section: {**values, **drawn.get(section, {})} for section, values in defaults.items()}
            params["data"]["source"] = str(corpus)
            params["tracking"]["enabled"] = False
            run_pipeline(stages, params)
            gc.collect()
            print(process.memory_info().rss, process.num_fds(), flush=True)

        run()


def make_corpus(folder: Path) -> Path:
    """Write a corpus of the first articles of the sample, in the format of the sample."""
    folder.mkdir()
    shutil.copyfile(SAMPLE / "classes.txt", folder / "classes.txt")
    for split in SPLITS:
        with (SAMPLE / f"{split}.csv").open(newline="") as every, (folder / f"{split}.csv").open("w") as some:
            csv.writer(some, quoting=csv.QUOTE_ALL).writerows(islice(csv.reader(every), ARTICLES))
    return folder.resolve()


def import_stages() -> list[Callable[[Params], None]]:
    """The functions of the stages, in the order of the pipeline."""
    sys.path.insert(0, str(CHECKOUT / "stages"))
    return [getattr(import_module(script), function) for script, function in SCRIPTS.items()]


def run_pipeline(stages: list[Callable[[Params], None]], params: dict[str, dict[str, object]]) -> None:
    """Run one pipeline in an empty folder. A CharloomError ends the process, with the parameters in its message."""
    with TemporaryDirectory(dir=".") as folder:
        os.chdir(folder)
        os.environ["DVC_ROOT"] = "."
        Path("params.yaml").write_text(yaml.safe_dump(params))
        try:
            for stage in stages:
                stage(load_params())
        except CharloomError as error:
            raise SystemExit(f"{error}\n{params}") from error
        finally:
            os.chdir("..")


if __name__ == "__main__":
    main(int(sys.argv[1]))
