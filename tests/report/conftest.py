"""Fixtures for the tests of the report and of the page that contains a model.

The report is about a small model on a corpus in which every text and every class name is hostile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from selenium.webdriver import Chrome
from selenium.webdriver.support.select import Select

from charloom.corpus.articles import Article
from charloom.evaluation.baselines import Amount, Baselines
from charloom.evaluation.breakdown import Breakdown
from charloom.evaluation.classification import Classification
from charloom.evaluation.evaluation import Evaluation, evaluate_model
from charloom.evaluation.measuring import measure_baselines
from charloom.evaluation.samples import SampleGroup
from charloom.model.counting import make_memory
from charloom.model.saved import SavedModel
from charloom.params import BaselinesParams, Params
from charloom.report.context import Context, make_context
from charloom.text.encode import write_split
from charloom.text.split import EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.training.sampler import TrainingSample
from tests.browser import DESKTOP, chromium, look, requested
from tests.learning import Encoded, default_params, encode_sample, history, model_params, small_model
from tests.report.playing import CLASSES as PLAYED_CLASSES
from tests.report.playing import by_id, clear, opened, random_model, write_model

HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "</script></style></textarea><img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "<!-- <svg/onload=alert(1)> ]]> &lt;b&gt; {{ 7 * 7 }} {% raw %} \"' onmouseover='alert(1)",
    "\x1b[2J\x07\x08\x7f \u202etxt.exe\u2066 tab\tline\nend\r\u2028",
    "naïve – 日本 👍🏽 Ω",
)
CLASSES = ["<b>World</b>", "$x^{2", "\x1b[31mred", "</script>"]


class Reported(NamedTuple):
    """What the writers of a report receive."""

    evaluation: Evaluation
    context: Context


@pytest.fixture(scope="session")
def params() -> Params:
    default = default_params()
    small = default.evaluate.model_copy(update={"samples": 4, "sample_length": 60, "temperatures": [0.5, 1.0, 50.0]})
    data = default.data.model_copy(update={"source": "/home/someone/<i>mine"})
    return default.model_copy(update={"evaluate": small, "data": data, "model": model_params()})


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Reported:
    """The report of an unconditioned model with a memory. The last two groups of samples contain the hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    texts = [text * repeats for repeats in (1, 2, 4, 20) for text in HOSTILE]
    articles = [Article(index % len(CLASSES) + 1, text) for index, text in enumerate(texts)]
    vocabulary = Vocabulary.build(texts[: len(HOSTILE) - 1])  # Ω is unknown
    for split, of_split in (("train", articles), ("test", articles[::-1])):
        write_split(folder / split, of_split, vocabulary, params.windows, np.dtype(np.uint32))
    train, test = (EncodedSplit.load(folder / split) for split in ("train", "test"))
    model = small_model(len(vocabulary), memory=4).eval()
    model.memory = make_memory(torch.from_numpy(train.codes.astype(np.int64)), len(vocabulary), vocabulary.eos, 4)
    saved = SavedModel(model, vocabulary, "t" * 64, "d" * 64)
    evaluation = evaluate_model(saved, test, params.evaluate, CLASSES)
    samples = [*evaluation.samples, SampleGroup(0.6, None, HOSTILE[:3]), SampleGroup(0.7, None, HOSTILE[3:])]
    small = BaselinesParams(max_characters=1_000_000, ngram_order=4, ppmd_order=4)
    baselines = measure_baselines(train, test, vocabulary, CLASSES, small, seed=1)
    written = [TrainingSample(step, step * 1000, 4.1 / step if step else None, HOSTILE[step % 5]) for step in range(10)]
    context = make_context(params, saved, params.data.source, history(40), baselines, written)
    return Reported(replace(evaluation, samples=samples), context)


@pytest.fixture(scope="session")
def classified(reported: Reported) -> Reported:
    """The same report as if the model were conditioned. The names of its classes are hostile too."""
    actual = np.arange(40) % len(CLASSES)
    classification = Classification(
        names=CLASSES,
        actual=actual,
        predicted=np.where(np.arange(40) < 10, 0, actual),
        accuracy_after={"10": 0.5, "20": 0.6, "40": 0.7, "80": 0.75, "160": 0.8, "all": 0.875},
        log_loss=1.25,
        calibration_error=0.125,
        temperature=4.5,
        bpc_true_class=1.75,
        bpc_mixed=1.8125,
    )
    evaluation, context = reported
    samples = [*evaluation.samples, *(SampleGroup(0.5, name, HOSTILE[:2]) for name in CLASSES)]
    accuracy = {"naive Bayes": 0.8125, "regression": 0.9, "words": 0.6}
    baselines = replace(context.baselines, accuracy=accuracy, labelled=Amount(40, 40))
    return Reported(
        replace(evaluation, classification=classification, samples=samples), replace(context, baselines=baselines)
    )


def with_baselines(reported: Reported, baselines: Baselines) -> Reported:
    return reported._replace(context=replace(reported.context, baselines=baselines))


def sampled(reported: Reported) -> Reported:
    """The same report as if the simpler models had read samples. The sample of the test split lacks the last parts."""
    baselines = reported.context.baselines
    breakdown = Breakdown(*(parts[:-1] for parts in baselines.breakdown))
    train, test, labelled = Amount(20_000_000, 29_100_000), Amount(3_000, 5_000), Amount(25, 1_040)
    return with_baselines(reported, replace(baselines, breakdown=breakdown, train=train, test=test, labelled=labelled))


def unmeasured(reported: Reported) -> Reported:
    """The same report with baselines.max_characters: 0."""
    return with_baselines(reported, Baselines.none(29_100_000, 5_000, 1_040))


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    return encode_sample(tmp_path_factory.mktemp("encoded"))


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def saved(encoded: Encoded) -> SavedModel:
    return random_model(encoded, memory=6, classes=PLAYED_CLASSES, class_memory=4)


@pytest.fixture(scope="module")
def played(saved: SavedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that contains the model `saved`."""
    return write_model(tmp_path_factory.mktemp("play") / "play.html", saved)


@pytest.fixture
def page(chrome: Chrome, played: Path) -> Chrome:
    """That page in a desktop's browser, without a text."""
    if chrome.current_url != played.as_uri():
        chrome.get_log("browser")
        requested(chrome)
        opened(chrome, played)
    look(chrome, DESKTOP)
    Select(by_id(chrome, "class")).select_by_index(0)
    clear(chrome)
    return chrome
