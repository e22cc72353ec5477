"""The text field of the page that contains a model, and the page in unusual places, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.support.wait import WebDriverWait

from charloom.model.saved import SavedModel
from tests.browser import DESKTOP, PHONE, look, missing
from tests.learning import Encoded
from tests.report.playing import by_id, clear, opened, random_model, rows, settled, type_text, value, write_model

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

# The heights in pixels of a text in the text field and in its coloured copy, for many widths of both.
HEIGHTS = """
const [editor, text, cells] = ["editor", "text", "cells"].map(name => byId(name) ?? document.querySelector("." + name));
editor.style.minHeight = text.style.height = text.style.minHeight = "0";
cells.style.alignSelf = "start";
const heights = [];
for (let width = 280; width < 380; width += 0.25) {
  editor.style.width = `${width}px`;
  heights.push([text.scrollHeight, cells.offsetHeight]);
}
for (const element of [editor, text, cells]) element.removeAttribute("style");
return heights;
"""


def fill(driver: Chrome, text: str) -> None:
    """Put a text into the field, as if the user had pasted it."""
    pasted = "const text = byId('text'); text.value = arguments[0]; text.dispatchEvent(new InputEvent('input'))"
    driver.execute_script(pasted, text)


def copy(driver: Chrome) -> str:
    """The coloured copy of the text."""
    return str(by_id(driver, "cells").get_property("textContent"))


def test_an_edit_in_the_middle_gives_the_same_as_typing_it_anew(page: Chrome) -> None:
    type_text(page, "The minister said that prices rose in June and in July.")
    by_id(page, "text").send_keys(Keys.ARROW_LEFT * 30, "?", Keys.BACKSPACE, "!", Keys.END)
    settled(page)
    text, edited, total = value(page), rows(page, "expected"), by_id(page, "total").text
    assert "!" in text
    clear(page)
    type_text(page, text)
    assert (rows(page, "expected"), by_id(page, "total").text) == (edited, total)


def test_stop_and_typing_end_the_writing(page: Chrome) -> None:
    typed = """
    const draw = page.model.draw;
    page.model.draw = () => 0;  // an article that does not end
    byId("write").click();
    const wrote = byId("write").textContent;
    byId("text").setRangeText("x", byId("text").value.length, byId("text").value.length, "end");
    byId("text").dispatchEvent(new InputEvent("input"));
    page.model.draw = draw;
    return [wrote, byId("write").textContent, byId("text").value];
    """
    wrote, after, text = page.execute_script(typed)
    assert (wrote, after) == ("Stop", "Write on")
    settled(page)
    assert value(page) == text
    assert len(text) > 1
    assert text.endswith("x")
    page.execute_script("byId('write').click(); byId('write').click()")
    settled(page)
    assert by_id(page, "write").text == "Write on"


def test_a_text_has_a_limit(page: Chrome) -> None:
    long = "const text = document.getElementById('text'); text.value = 'a '.repeat(3000);"
    page.execute_script(long + "text.dispatchEvent(new Event('input'))")
    assert by_id(page, "state").text == "A text has at most 4000 characters here."
    assert len(value(page)) == 4000
    clear(page)
    assert by_id(page, "state").text == ""


@pytest.mark.parametrize("width", [320, PHONE, 768, DESKTOP])
def test_the_page_is_not_wider_than_the_window(page: Chrome, width: int) -> None:
    type_text(page, "The minister said that prices rose in June and in July, and a" + "a" * 100)
    look(page, width)
    wide = page.execute_script("return document.documentElement.scrollWidth")
    assert wide == page.execute_script("return document.documentElement.clientWidth") == width


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_coloured_text_has_the_size_of_the_text_field(page: Chrome, width: int) -> None:
    look(page, width)
    type_text(page, "Prices rose in June, and 日本 👍 said so on Tuesday, because of a dispute.\n\nNo end ")
    heights = page.execute_script("const t = document.getElementById('text'); return [t.scrollHeight, t.clientHeight]")
    assert heights[0] <= heights[1]


def test_typed_text_is_normalized_like_the_corpus(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded)
    saved = saved._replace(vocabulary=replace(saved.vocabulary, normalize="NFC"))
    opened(chrome, write_model(tmp_path / "play.html", saved))
    look(chrome, DESKTOP)
    type_text(chrome, "cafe\u0301 x")
    assert value(chrome) == "café x"
    assert "6 characters" in by_id(chrome, "total").text


def test_a_line_of_the_coloured_text_breaks_where_it_breaks_in_the_field(page: Chrome) -> None:
    fill(page, "a" * 2000)  # each line is as full as it can be
    heights = page.execute_script(HEIGHTS)
    assert len({field for field, _ in heights}) > 5
    assert [coloured for _, coloured in heights] == [field for field, _ in heights]


def test_the_field_does_not_scroll_after_a_last_newline(page: Chrome) -> None:
    type_text(page, "Prices\n" * 12)
    assert page.execute_script("const t = byId('text'); return [t.scrollTop, t.scrollHeight - t.clientHeight]") == [
        0,
        0,
    ]


def test_the_coloured_text_shows_a_word_that_is_being_composed(page: Chrome) -> None:
    type_text(page, "The ")
    by_id(page, "write").click()
    by_id(page, "text").send_keys("")  # the focus
    page.execute_cdp_cmd("Input.imeSetComposition", {"text": "mini", "selectionStart": 4, "selectionEnd": 4})
    settled(page)  # the composition has ended the writing
    composed = value(page)
    assert composed.endswith("mini")
    assert copy(page) == composed
    page.execute_cdp_cmd("Input.insertText", {"text": "minister"})
    settled(page)
    assert value(page) == copy(page) == composed + "ster"


def test_a_composition_is_normalized_when_it_ends(chrome: Chrome, encoded: Encoded, tmp_path: Path) -> None:
    saved = random_model(encoded)
    saved = saved._replace(vocabulary=replace(saved.vocabulary, normalize="NFC"))
    opened(chrome, write_model(tmp_path / "play.html", saved))
    by_id(chrome, "text").click()
    chrome.execute_cdp_cmd("Input.imeSetComposition", {"text": "cafe\u0301", "selectionStart": 5, "selectionEnd": 5})
    assert (value(chrome), copy(chrome)) == ("cafe\u0301", "café")
    chrome.execute_cdp_cmd("Input.insertText", {"text": "cafe\u0301s"})
    assert value(chrome) == copy(chrome) == "cafés"


def test_the_page_reads_what_the_browser_has_restored(chrome: Chrome, saved: SavedModel, tmp_path: Path) -> None:
    path = write_model(tmp_path / "play.html", saved)
    path.write_text(path.read_text(encoding="utf-8").replace("></textarea>", ">The cup</textarea>"), encoding="utf-8")
    opened(chrome, path)
    settled(chrome)
    assert copy(chrome) == "The cup"
    assert by_id(chrome, "total").text.startswith("7 characters")
    chrome.execute_script("byId('temperature').value = 1.2")
    chrome.get("about:blank")
    chrome.back()
    WebDriverWait(chrome, 60).until(lambda _: chrome.execute_script("return typeof page === 'object'"))
    restored = by_id(chrome, "temperature").get_property("value")
    assert by_id(chrome, "temperature-value").text == f"{float(str(restored)):.2f}"


def test_changes_of_the_class_while_the_model_writes(page: Chrome) -> None:
    change = "byId('class').selectedIndex = arguments[0]; byId('class').dispatchEvent(new Event('change'))"
    by_id(page, "write").click()
    for index in (1, 2, 1, 3, 2):
        page.execute_script(change, index)
    page.execute_script("if (page.writing) byId('write').click()")
    settled(page)
    text = value(page)
    shown = (rows(page, "expected"), rows(page, "classes"), by_id(page, "total").text)
    clear(page)
    type_text(page, text)
    assert (rows(page, "expected"), rows(page, "classes"), by_id(page, "total").text) == shown


def framed(driver: Chrome, path: Path, sandbox: str) -> None:
    """Open the page in a frame with these permissions, and go into the frame."""
    frame = path.with_name("frame.html")
    html = f'<iframe sandbox="{sandbox}" width="900" height="700" src="{path.name}"></iframe>'
    frame.write_text(html, encoding="utf-8")
    driver.get(frame.as_uri())
    driver.switch_to.frame(0)


def test_the_page_in_a_frame_that_may_only_run_scripts(chrome: Chrome, played: Path) -> None:
    framed(chrome, played, "allow-scripts")
    WebDriverWait(chrome, 60).until(lambda _: by_id(chrome, "text").is_displayed())
    by_id(chrome, "text").send_keys("The cup")
    WebDriverWait(chrome, 60).until(lambda _: by_id(chrome, "total").text.startswith("7 characters"))
    chrome.switch_to.default_content()


def test_without_scripts_the_page_says_what_it_needs(chrome: Chrome, played: Path) -> None:
    framed(chrome, played, "")
    state = str(by_id(chrome, "state").get_property("innerText"))  # `text` leaves out a <noscript>
    assert state.endswith("This needs JavaScript, which is switched off here.")
    chrome.switch_to.default_content()


def test_a_browser_that_cannot_unpack_the_model(chrome: Chrome, played: Path) -> None:
    old = {"source": "delete window.DecompressionStream"}
    added = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", old)
    chrome.get(played.as_uri())
    WebDriverWait(chrome, 60).until(lambda _: "This browser cannot run the model" in by_id(chrome, "state").text)
    chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    chrome.get("about:blank")


def test_the_colours_are_printed(page: Chrome) -> None:
    type_text(page, "The cup")
    settings = page.execute_script(
        "return [...document.querySelectorAll('#cells span, .track i, .scale i')]"
        ".map(element => getComputedStyle(element).printColorAdjust)"
    )
    assert len(settings) > 20
    assert set(settings) == {"exact"}
