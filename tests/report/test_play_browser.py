"""The page that contains a model, in a real browser. torch computes what the page must predict."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from charloom.evaluation.classification import costs_by_class, log_posteriors, log_priors
from charloom.evaluation.quantization import NumberType, quantized_rows, restored_model
from charloom.model.counting import make_memory
from charloom.model.sampling import Sampling, sample
from charloom.model.saved import SavedModel
from charloom.model.scoring import surprisals
from charloom.text.texts import encode, framed
from tests.browser import DESKTOP, look, missing, requested
from tests.learning import Encoded, remembering_model
from tests.report.playing import (
    CLASSES,
    by_id,
    clear,
    expected,
    log_probabilities,
    many_symbols,
    opened,
    random_model,
    rows,
    settled,
    type_text,
    value,
    write_model,
)
from tests.report.test_browser import CONTRAST

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

TEXT = "The Minister said on Tuesday that prices rose.\nA second article"
MODELS = [
    pytest.param({"cell": "RNN"}, id="rnn"),
    pytest.param({"cell": "LSTM"}, id="lstm"),
    pytest.param({"cell": "GRU"}, id="gru"),
    pytest.param({"cell": "LSTM", "layers": 2}, id="two-layers"),
    pytest.param({"cell": "GRU", "layers": 3, "classes": CLASSES}, id="classes"),
    pytest.param({"cell": "RNN", "classes": CLASSES, "class_embedding": 0}, id="classes-without-embedding"),
    pytest.param({"memory": 10}, id="memory"),
    pytest.param({"memory": 2, "cell": "GRU", "layers": 2}, id="short-memory"),
    pytest.param({"memory": 6, "classes": CLASSES, "class_memory": 4}, id="memory-of-classes"),
    pytest.param({"memory": 3, "classes": CLASSES, "class_memory": 0}, id="memory-without-classes"),
]


def test_the_page_requests_nothing_and_logs_no_error(page: Chrome) -> None:
    type_text(page, "The cup")
    by_id(page, "write").click()
    settled(page)
    assert requested(page) == {page.current_url}
    assert page.get_log("browser") == []


def test_the_bars_show_what_torch_predicts_at_the_cursor(page: Chrome, saved: SavedModel) -> None:
    type_text(page, "The cup of")
    by_id(page, "text").send_keys(Keys.ARROW_LEFT * 3)  # the cursor is before the last space
    logs = expected(saved, encode(saved.vocabulary, "The cup of").tolist(), saved.model.no_class)[7]
    order = logs.argsort(descending=True)[:10].tolist()
    names = [*saved.vocabulary.characters, "■", "?"]
    assert [name for name, _ in rows(page, "expected")] == [names[index].replace(" ", "␣") for index in order]
    assert rows(page, "expected")[0][1] == f"{100 * logs[order[0]].exp():.1f} %"
    space = saved.vocabulary.characters.index(" ")
    assert (
        f"At the cursor, the text has ␣. It costs {-logs[space] / math.log(2):.2f} bits." in by_id(page, "actual").text
    )
    assert saved.model.memory is not None
    remembered, _ = saved.model.memory.read(
        torch.tensor([saved.vocabulary.eos, *encode(saved.vocabulary, "The cup")])[:, None], None
    )
    memory_bits = -remembered.probabilities[-1, 0, space].log2()
    assert f"By the memory alone, it costs {memory_bits:.2f} bits." in by_id(page, "actual").text


def test_the_total_is_that_of_charloom_score(page: Chrome, saved: SavedModel) -> None:
    text = "Shares of Ω fell."  # Ω is not in the vocabulary, so it also pays for which character it was
    type_text(page, text)
    (scored,) = surprisals(saved.model, [framed(saved.vocabulary, text)])
    mean = scored.bits[:-1].mean()  # the text has not ended
    assert f"{len(text)} characters, {mean:.2f} bits per character" in by_id(page, "total").text


def test_the_colour_of_a_character_shows_its_bits(page: Chrome, saved: SavedModel) -> None:
    type_text(page, "Prices")
    (scored,) = surprisals(saved.model, [framed(saved.vocabulary, "Prices")])
    heats = page.execute_script("return page.cells.map(cell => cell.className)")
    limits = (0.25, 0.5, 1, 2, 3, 4.5, 6, 8, 10)
    assert [each.split()[0] for each in heats] == [f"h{sum(bits >= x for x in limits)}" for bits in scored.bits[:-1]]


def test_the_classes_have_the_posterior_of_charloom_classify(page: Chrome, saved: SavedModel) -> None:
    text = "The team won the cup final"
    type_text(page, text)
    (costs,) = costs_by_class(saved.model, [framed(saved.vocabulary, text)[:-1]])
    priors = log_priors(saved.class_counts)
    shares = np.exp(log_posteriors(costs.evidence.sum(1), priors, saved.class_temperature))
    assert [name for name, _ in rows(page, "classes")] == saved.class_names()
    shown = [share for _, share in rows(page, "classes")]
    assert shown == [f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %" for share in shares]
    clear(page)
    assert [share for _, share in rows(page, "classes")] == [f"{100 * share:.1f} %" for share in np.exp(priors)]


def test_a_chosen_class_is_the_class_of_the_text(page: Chrome, saved: SavedModel) -> None:
    type_text(page, "The cup")
    Select(by_id(page, "class")).select_by_visible_text(saved.class_names()[1])
    settled(page)
    (scored,) = surprisals(saved.model, [framed(saved.vocabulary, "The cup")], classes=[1])
    assert f"{scored.bits[:-1].mean():.2f} bits per character" in by_id(page, "total").text


def write(driver: Chrome, prompt: str, *, temperature: float = 0.7, top_p: float = 1.0, seed: int = 1) -> str:
    """What the page writes after a prompt, at most 300 characters."""
    set_value = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    clear(driver)
    type_text(driver, prompt)
    for name, setting in (("temperature", temperature), ("top-p", top_p), ("seed", seed)):
        driver.execute_script(set_value, by_id(driver, name), str(setting))
    by_id(driver, "write").click()
    long = "return page.characters.length > 300 || !page.writing"
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(long))
    if driver.execute_script("return !!page.writing"):
        by_id(driver, "write").click()
    settled(driver)
    return value(driver)[len(prompt) :][:300]


def test_the_same_seed_writes_the_same_text(page: Chrome) -> None:
    first = write(page, "The ")
    assert len(first) > 1
    assert write(page, "The ") == first
    assert write(page, "The ", seed=2) != first


def test_temperature_0_writes_what_charloom_sample_writes(page: Chrome, saved: SavedModel) -> None:
    written = write(page, "The ", temperature=0)
    (sampled,) = sample(saved.model, saved.vocabulary, ["The "], Sampling(length=300, temperature=0, until_eos=True))
    assert written == sampled.removesuffix("\n")
    assert write(page, "The ", temperature=0.1, top_p=0.05) == written  # a small top-p keeps one character


def test_drawn_characters_have_the_probabilities_of_the_model(page: Chrome, saved: SavedModel) -> None:
    draws = """
    const state = page.model.start([page.about.classes]), random = randomNumbers(3), counts = {};
    for (let i = 0; i < 20000; i++) {
      const id = page.model.draw(state.readings[0].logs, { temperature: 0.5, topP: 0.9 }, random);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts;
    """
    counts = {int(symbol): count for symbol, count in page.execute_script(draws).items()}
    logs = expected(saved, [], saved.model.no_class)[0, : saved.vocabulary.unk]
    shares, order = torch.softmax(logs / 0.5, 0).sort(descending=True)
    kept = int((shares.cumsum(0) < 0.9).sum()) + 1
    assert counts.keys() <= set(order[:kept].tolist())
    wanted = shares[:kept] / shares[:kept].sum()
    for symbol, share in zip(order[:kept].tolist(), wanted.tolist(), strict=True):
        assert counts.get(symbol, 0) / 20000 == pytest.approx(share, abs=5 * math.sqrt(share / 20000) + 1e-4)


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_enough_contrast_with_its_background(page: Chrome, dark: bool) -> None:
    look(page, DESKTOP, dark=dark)
    type_text(page, "Prices rose in June, and more than ten")
    page.execute_script("page.cells.forEach((cell, i) => { cell.className = 'h' + i % 10 })")
    texts = "h1, h1 span, h2, h2 span, p, label, button, output, select, li code, .value, .name, .cells span, .key, a"
    worst = page.execute_script(CONTRAST, texts)
    assert {"H1.", "SPAN.h0", "SPAN.h9", "SPAN.value", "BUTTON."} <= set(worst)
    assert {name: ratio for name, ratio in worst.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("changes", MODELS)
def test_the_page_predicts_what_torch_predicts(
    chrome: Chrome, encoded: Encoded, tmp_path: Path, changes: dict[str, object]
) -> None:
    saved = random_model(encoded, **changes)
    opened(chrome, write_model(tmp_path / "play.html", saved))
    seen = encoded.train.article(3)[1:].tolist()  # the memory knows its long contexts
    for codes in (seen, encode(saved.vocabulary, TEXT + "Ω").tolist(), encoded.test.article(5)[1:].tolist()):
        for class_id in range(saved.model.no_class + 1 if saved.model.conditioned else 1):
            found = np.array(log_probabilities(chrome, codes, class_id))
            assert np.abs(found - expected(saved, codes, class_id).numpy()).max() < 1e-4
    assert chrome.get_log("browser") == []


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_smaller_numbers_predict_what_torch_predicts_with_them(
    chrome: Chrome, encoded: Encoded, tmp_path: Path, kind: NumberType
) -> None:
    saved = random_model(encoded, memory=6, classes=CLASSES, layers=2)
    opened(chrome, write_model(tmp_path / "play.html", saved, kind))
    restored = saved._replace(model=restored_model(saved.model, quantized_rows(saved.model, kind)))
    codes = encoded.test.article(7)[1:].tolist()
    found = np.array(log_probabilities(chrome, codes, 2))
    assert np.abs(found - expected(restored, codes, 2).numpy()).max() < 1e-4
    assert np.abs(found - expected(saved, codes, 2).numpy()).max() > 1e-4


def test_a_vocabulary_of_more_than_256_symbols(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    vocabulary = many_symbols(encoded)
    wide = Encoded(vocabulary, encoded.train, encoded.valid, encoded.test)
    model = remembering_model(wide, memory=0)
    text = "".join(vocabulary.characters) * 3
    codes = [vocabulary.eos, *vocabulary.encode(text).tolist(), vocabulary.eos]
    model = remembering_model(Encoded(vocabulary, *[_Codes(codes)] * 3), memory=5)  # type: ignore[arg-type]
    saved = SavedModel(model.eval(), vocabulary, "t" * 64, "d" * 64)
    opened(chrome, write_model(tmp_path / "play.html", saved))
    found = np.array(log_probabilities(chrome, codes[250:320], 0))
    assert np.abs(found - expected(saved, codes[250:320], 0).numpy()).max() < 1e-4


class _Codes:
    """The part of a split that `remembering_model` reads."""

    def __init__(self, codes: list[int]) -> None:
        self.codes = np.array(codes)


def test_hostile_characters_and_class_names_are_only_shown(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded, classes=CLASSES)
    bad = "</script><script>document.title = 'owned'</script>"
    counts = [each.model_copy(update={"name": bad}) for each in saved.class_counts]
    characters = ("<", "\x1b", "\u202e", *saved.vocabulary.characters[3:])
    saved = saved._replace(class_counts=counts, vocabulary=replace(saved.vocabulary, characters=characters))
    opened(chrome, write_model(tmp_path / "play.html", saved))
    look(chrome, DESKTOP)
    type_text(chrome, "<b>x")
    assert chrome.title.startswith("Write with LSTM")
    assert [name for name, _ in rows(chrome, "classes")] == [bad] * CLASSES
    assert chrome.get_log("browser") == []


def test_a_wide_space_is_shown_as_its_code_point(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded)
    characters = tuple(char.replace(" ", "\u3000") for char in saved.vocabulary.characters)
    saved = saved._replace(vocabulary=replace(saved.vocabulary, characters=characters))
    opened(chrome, write_model(tmp_path / "play.html", saved))
    type_text(chrome, "The\u3000cup")
    by_id(chrome, "text").send_keys(Keys.ARROW_LEFT * 4)
    assert "At the cursor, the text has U+3000." in by_id(chrome, "actual").text


def test_a_memory_that_has_counted_a_short_text(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    model = remembering_model(encoded, memory=10)
    eos = encoded.vocabulary.eos
    model.memory = make_memory(torch.tensor([eos, 1, 2, 1, 2, eos, 3, eos]), model.symbols, eos, 10)
    saved = SavedModel(model.eval(), encoded.vocabulary, "t" * 64, "d" * 64)
    opened(chrome, write_model(tmp_path / "play.html", saved))
    codes = [1, 2, 1, 2, 1, eos, 3]
    found = np.array(log_probabilities(chrome, codes, 0))
    assert np.abs(found - expected(saved, codes, 0).numpy()).max() < 1e-4
