"""Models for the tests of the page that contains a model, and that page in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from charloom.corpus.sources import AG_NEWS_CLASSES
from charloom.evaluation.baselines import Baselines
from charloom.evaluation.quantization import NumberType, Quantized, quantized_rows
from charloom.model.saved import SavedModel
from charloom.report.context import Context, make_context
from charloom.report.play import page_with
from charloom.text.split import ClassCount
from charloom.text.vocab import Codes, Vocabulary
from tests.learning import Encoded, default_params, history, small_training

CLASSES = len(AG_NEWS_CLASSES)
READ = """
const [ids, classId] = arguments;
let state = page.model.start([classId]);
const logs = [Array.from(state.readings[0].logs)];
for (const id of ids) {
  state = page.model.read(state, id);
  logs.push(Array.from(state.readings[0].logs));
}
return logs;
"""


def random_model(encoded: Encoded, **changes: object) -> SavedModel:
    """A small model in which every weight matters. `changes` are changes to its parameters, as in `small_training`."""
    model = small_training(encoded, dict(changes)).model
    for name, weights in model.named_parameters():
        if not name.startswith("rnn") or "bias" in name:
            torch.nn.init.normal_(weights, std=0.4)
    counts = [ClassCount(name=name, articles=100 + 7 * index) for index, name in enumerate(AG_NEWS_CLASSES)]
    classes = counts if model.conditioned else []
    return SavedModel(model.eval(), encoded.vocabulary, "t" * 64, "d" * 64, classes, 3.0)


def context_of(saved: SavedModel) -> Context:
    params = default_params().model_copy(update={"model": saved.model.params})
    return make_context(params, saved, "/home/someone/<i>mine", history(4), Baselines.none(100, 100, 100))


def write_model(path: Path, saved: SavedModel, kind: NumberType = "float32") -> Path:
    """A page with this model, whose weights are numbers of this type."""
    quantized = Quantized(kind, quantized_rows(saved.model, kind), 0.00125, 100_000)
    path.write_text(page_with(saved, quantized, context_of(saved)), encoding="utf-8")
    return path


def opened(driver: Chrome, path: Path) -> Chrome:
    """The browser, after it has opened the page and unpacked the model."""
    driver.get(path.as_uri())
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return typeof page === 'object'"))
    return driver


def log_probabilities(driver: Chrome, codes: Sequence[int], class_id: int) -> list[list[float]]:
    """What the page predicts after the `<eos>` before a text, and after each of its ids: (symbols + 1, alphabet)."""
    found: list[list[float]] = driver.execute_script(READ, list(codes), class_id)
    return found


@torch.inference_mode()
def expected(saved: SavedModel, codes: Sequence[int], class_id: int) -> torch.Tensor:
    """The same from torch."""
    ids = torch.tensor([saved.vocabulary.eos, *codes])[:, None]
    logits, _ = saved.model(ids, classes=torch.tensor([class_id]))
    return torch.log_softmax(logits[:, 0].double(), -1)


def settled(driver: Chrome) -> None:
    """Wait until the page has nothing more to read or to write."""
    idle = "return !page.waiting && !page.writing && !page.isBehind(page.main) && !page.isBehind(page.byClass)"
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(idle))


def by_id(driver: Chrome, name: str) -> WebElement:
    return driver.find_element(By.ID, name)


def type_text(driver: Chrome, text: str) -> None:
    by_id(driver, "text").send_keys(text)
    settled(driver)


def clear(driver: Chrome) -> None:
    by_id(driver, "clear").click()
    settled(driver)


def value(driver: Chrome) -> str:
    return str(by_id(driver, "text").get_property("value"))


def rows(driver: Chrome, name: str) -> list[list[str]]:
    """The texts of the rows of a list of bars: what the row is about, then its share."""
    found: list[list[str]] = driver.execute_script(
        "return [...document.getElementById(arguments[0]).children]"
        ".map(row => [row.firstElementChild.textContent, row.lastElementChild.textContent])",
        name,
    )
    return found


def many_symbols(encoded: Encoded) -> Vocabulary:
    """A vocabulary of 300 characters, among them those of the sample."""
    others = [chr(0x4E00 + index) for index in range(300 - len(encoded.vocabulary.characters))]
    return Vocabulary((*encoded.vocabulary.characters, *others), (1,) * 300)


def ids_of(vocabulary: Vocabulary, text: str) -> Codes:
    return np.asarray(vocabulary.encode(text))
