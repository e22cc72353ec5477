"""The page in a real browser. The texts of the corpus are hostile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from charloom.report.page import write_page
from tests.browser import DESKTOP, PHONE, chromium, look, missing, requested
from tests.report.conftest import Reported

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

# The contrast of each text with its background, as WCAG 2 defines it. Backgrounds may be transparent.
CONTRAST = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const over = (front, back) => front.slice(0, 3).map((c, i) => c * (front[3] ?? 1) + back[i] * (1 - (front[3] ?? 1)));
const background = element => {
  const own = channels(getComputedStyle(element).backgroundColor);
  return element.parentElement ? over(own, background(element.parentElement)) : over(own, [255, 255, 255]);
};
const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = colour => colour.slice(0, 3).map(c => linear(c / 255))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const worst = {};
for (const element of document.querySelectorAll(arguments[0])) {
  if (!element.textContent.trim()) continue;
  const back = background(element);
  const [a, b] = [light(over(channels(getComputedStyle(element).color), back)), light(back)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const name = element.tagName + "." + element.className;
  worst[name] = Math.min(worst[name] ?? 99, ratio);
}
return worst;
"""
EVERY_HEAT = "document.querySelectorAll('.cells span').forEach((cell, i) => cell.className = 'h' + i % 10)"
TEXTS = "h1, h1 span, h2, h3, h3 span, p, dt, dd, th, td, small, caption, .cells span, .key, .level, .mark, .rule, code"


@pytest.fixture(scope="module")
def browser(reported: Reported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_page(path, *reported)
    with chromium() as driver:
        driver.get(path.as_uri())
        yield driver


@pytest.fixture
def desktop(browser: Chrome) -> Chrome:
    look(browser, DESKTOP)
    return browser


def tip(browser: Chrome) -> str:
    """The text of the tip; empty if the tip is hidden."""
    return browser.find_element(By.ID, "tip").text


def test_the_page_requests_nothing_and_the_browser_logs_no_error(browser: Chrome) -> None:
    assert requested(browser) == {browser.current_url}
    assert browser.get_log("browser") == []
    assert browser.title.startswith("LSTM, 1 layer of 12 units on <i>mine")


def test_arabic_begins_at_the_right(desktop: Chrome) -> None:
    left = desktop.execute_script("""
        const cells = [...document.querySelector('.cells').children].slice(0, 3);
        cells.forEach((cell, index) => cell.textContent = 'سلم'[index]);
        return cells.map(cell => cell.getBoundingClientRect().left);""")
    desktop.refresh()
    assert left[0] > left[1] > left[2] > 300


def test_the_content_security_policy_blocks_an_injected_element(desktop: Chrome, httpserver: HTTPServer) -> None:
    bad = f"<img id=bad src='{httpserver.url_for('/x')}' onerror=document.title=1>"
    desktop.execute_script("document.body.insertAdjacentHTML('beforeend', arguments[0])", bad)
    assert any("Content Security Policy" in entry["message"] for entry in desktop.get_log("browser"))
    assert desktop.title.startswith("LSTM")
    assert httpserver.log == []
    desktop.execute_script("document.getElementById('bad').remove()")


@pytest.mark.parametrize("index", [0, 1, 30])
def test_pointing_at_a_character_shows_its_bits_and_what_was_expected(
    desktop: Chrome, reported: Reported, index: int
) -> None:
    reading, area = reported.evaluation.readings[2], desktop.find_elements(By.CLASS_NAME, "cells")[2]
    ActionChains(desktop).move_to_element(area.find_elements(By.TAG_NAME, "span")[index]).perform()
    assert f"{reading.surprisal.bits[index]:.2f} bits" in tip(desktop)
    assert f"{100 * reading.surprisal.probabilities[index][0]:.1f} %" in tip(desktop)
    assert len(desktop.find_elements(By.CSS_SELECTOR, "#tip li")) == 5
    ActionChains(desktop).move_to_element(desktop.find_element(By.TAG_NAME, "h1")).perform()
    assert tip(desktop) == ""


def test_the_arrow_keys_move_along_an_article(desktop: Chrome, reported: Reported) -> None:
    reading, area = reported.evaluation.readings[0], desktop.find_elements(By.CLASS_NAME, "cells")[0]
    desktop.execute_script("arguments[0].focus()", area)
    for keys, index in ((Keys.ARROW_RIGHT, 0), (Keys.ARROW_RIGHT, 1), (Keys.END, -1), (Keys.HOME, 0)):
        area.send_keys(keys)
        assert f"{reading.surprisal.bits[index]:.2f} bits" in tip(desktop)
    area.send_keys(Keys.ESCAPE)
    assert tip(desktop) == ""


def test_a_tap_shows_the_tip_and_another_tap_hides_it(browser: Chrome, reported: Reported) -> None:
    look(browser, PHONE)
    reading, area = reported.evaluation.readings[1], browser.find_elements(By.CLASS_NAME, "reading")[1]
    browser.execute_script("arguments[0].scrollIntoView()", area)
    tap(browser, area.find_elements(By.CSS_SELECTOR, ".cells span")[5])
    assert f"{reading.surprisal.bits[5]:.2f} bits" in tip(browser)
    tap(browser, area.find_element(By.TAG_NAME, "h3"))
    assert tip(browser) == ""


def tap(browser: Chrome, element: WebElement) -> None:
    """Touch the middle of an element that is visible in the window."""
    box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", element)
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_pointing_at_a_chart_shows_its_numbers(desktop: Chrome) -> None:
    for plot, words in zip(desktop.find_elements(By.CLASS_NAME, "plot"), ("validation", "4-gram"), strict=True):
        ActionChains(desktop).move_to_element(plot).perform()
        assert words in tip(desktop)


@pytest.mark.parametrize("width", [320, PHONE, 768, DESKTOP])
def test_the_page_is_not_wider_than_the_window(browser: Chrome, width: int) -> None:
    look(browser, width)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide == browser.execute_script("return document.documentElement.clientWidth") == width


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_has_enough_contrast_with_its_background(browser: Chrome, dark: bool) -> None:
    look(browser, DESKTOP, dark=dark)
    browser.execute_script(EVERY_HEAT)
    worst = browser.execute_script(CONTRAST, TEXTS)
    assert {"H1.", "SPAN.h0", "SPAN.h9", "SPAN.level"} <= set(worst)
    assert {name: ratio for name, ratio in worst.items() if ratio < 4.5} == {}
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(18, 21, 27)") == dark
