"""What the benchmarks share: the text, rates of two programs measured in turn, and a description of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
import platform
import statistics
import tempfile
import time

from charloom.corpus.articles import read_articles
from charloom.corpus.sources import SAMPLE
from charloom.model.saved import UNSTATED
from charloom.params import ModelParams, Params
from charloom.params_file import load_params
from charloom.text.encode import encode_splits
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary

CHECKOUT = Path(__file__).parent.parent
AG_NEWS_26K = CHECKOUT.parent / "shared" / "ag_news_26k"
PAIRS = 5  # how many times `compare` measures both rates


@dataclass(frozen=True)
class Text:
    """A corpus, encoded as params.yaml says."""

    name: str
    raw: Path
    params: Params
    vocabulary: Vocabulary
    train: EncodedSplit
    valid: EncodedSplit
    test: EncodedSplit


@contextmanager
def encoded_text(**windows: object) -> Iterator[Text]:
    """Encode AG_NEWS-26k or, if it is missing, the embedded sample. `windows` are changes to the section `windows`."""
    raw = AG_NEWS_26K if AG_NEWS_26K.is_dir() else SAMPLE
    params = load_params(CHECKOUT / "params.yaml")
    params = params.model_copy(update={"windows": params.windows.model_copy(update=windows)})
    vocabulary = Vocabulary.build(article.text for article in read_articles(raw / "train.csv"))
    with tempfile.TemporaryDirectory() as folder:
        encode_splits(
            raw,
            Path(folder),
            vocabulary,
            params.windows,
            valid_fraction=params.data.valid_fraction,
            seed=params.data.seed,
        )
        splits = (EncodedSplit.load(Path(folder) / split) for split in ("train", "valid", "test"))
        yield Text(raw.name, raw, params, vocabulary, *splits)


def one_layer(hidden_size: int, cell: str = "LSTM") -> ModelParams:
    """An unconditioned model of one layer."""
    stated = {"cell": cell, "hidden_size": hidden_size, "layers": 1, "dropout": 0.0}
    return ModelParams.model_validate(UNSTATED | stated)


Rate = Callable[[], float]  # does some work and returns its rate in units per second


def rate_of(work: Callable[[], int], seconds: float) -> float:
    """Units per second of `work`. A call of `work` returns how many units it did. It is called for about `seconds`."""
    began, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds or not done:
        done += work()
    return done / elapsed


@dataclass(frozen=True)
class Comparison:
    """The rates of charloom (ours) and of the other program (theirs), measured in turn."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratios(self) -> list[float]:
        """Our rate divided by their rate, for each pair, in rising order."""
        return sorted(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)

    def row(self, name: str, unit: str) -> str:
        """A row of a Markdown table: the median rates, the median ratio, and the lowest and highest ratio."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        spread = f"{self.ratios[0]:.3g} to {self.ratios[-1]:.3g}"
        return f"| {name} | {ours:,.0f} {unit} | {theirs:,.0f} {unit} | **{self.ratio:.3g}** ({spread}) |"


def compare(ours: Rate, theirs: Rate, pairs: int = PAIRS) -> Comparison:
    """Measure both rates in turn, so that other load on the machine slows both alike."""
    rates = [(ours(), theirs()) for _ in range(pairs)]
    return Comparison([a for a, _ in rates], [b for _, b in rates])


def machine() -> str:
    """The processor and the versions of Python and the packages, for BENCHMARKS.md."""
    from charloom.text.workers import usable_cores

    cpu = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.processor()
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    return f"{cpu} (family {_family()}), {usable_cores()} cores; Python {platform.python_version()}, {packages}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _family() -> str:
    found = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith(("cpu family", "model\t"))][:2]
    return ", model ".join(found)
