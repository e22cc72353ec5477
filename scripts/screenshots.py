"""Take the pictures of the demo's report in docs/images: `make screenshots`.

The demo trains on the embedded sample. Its articles are invented, so the pictures show no text of a real corpus.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

from PIL import Image
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from tests.browser import PHONE, chromium, look

from charloom.errors import exit_with

CHECKOUT = Path(__file__).parent.parent
REPORTS, IMAGES = CHECKOUT / "demo" / "reports", CHECKOUT / "docs" / "images"
REPORT, PLAY = REPORTS / "report.html", REPORTS / "play.html"
WIDTH = 1120  # CSS pixels
PROMPT = "The minister said "


def main() -> None:
    if not REPORT.exists():
        sys.exit(f"error: {REPORT}: no such file; `make demo` writes it")
    with chromium() as driver:
        save(IMAGES / "play.png", picture_of_play(driver))
        driver.get(REPORT.as_uri())
        for name, first, last, dark in (
            ("samples", "header", "#samples", False),
            ("strip", "#strip", "#strip", False),
            ("surprisal", "#surprisal", "#surprisal", True),
            ("charts", "#baselines", "#parts", False),
        ):
            look(driver, WIDTH, dark=dark)
            look(driver, WIDTH, height=driver.execute_script("return document.body.scrollHeight"), dark=dark)
            if "surprisal" in last:
                point_at_the_hardest(driver)
            save(IMAGES / f"report-{name}.png", picture(driver, first, last))
        phones = [picture_of_phone(driver, section) for section in ("header", "#surprisal", "#baselines", "#parts")]
        save(IMAGES / "report-phone.png", side_by_side(phones))


def picture_of_play(driver: Chrome) -> Image.Image:
    """The page that contains the model, which has just written an article. The cursor is in the first word after it."""
    driver.get(PLAY.as_uri())
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return typeof page === 'object'"))
    look(driver, WIDTH)
    driver.find_element(By.ID, "text").send_keys(PROMPT)
    driver.find_element(By.ID, "write").click()
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script("return !page.writing && !page.waiting"))
    place = "const text = document.getElementById('text'); text.focus(); text.setSelectionRange(...arguments)"
    driver.execute_script(place, len(PROMPT) + 2, len(PROMPT) + 2)
    return picture(driver, "header", "#play")


def point_at_the_hardest(driver: Chrome) -> None:
    """Point at a character of the third article that cost the model most bits. It has the highest CSS class, h0…h9."""
    area = driver.find_elements(By.CLASS_NAME, "cells")[2]
    cells = area.find_elements(By.TAG_NAME, "span")
    ActionChains(driver).move_to_element(max(cells, key=lambda cell: cell.get_attribute("class") or "")).perform()


def picture(driver: Chrome, first: str, last: str) -> Image.Image:
    """A picture of the page from the top of one element to the bottom of another, with a margin."""
    box = "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return box[arguments[1]] + scrollY"
    top, bottom = driver.execute_script(box, first, "top"), driver.execute_script(box, last, "bottom")
    clip = {"x": 0, "y": top - 24, "width": WIDTH, "height": bottom - top + 48, "scale": 1}
    return captured(driver, clip=clip)


def picture_of_phone(driver: Chrome, section: str) -> Image.Image:
    """A picture of the page on the screen of a phone, with this section at the top."""
    look(driver, PHONE, height=740, dark=section == "#baselines")
    driver.execute_script("scrollTo(0, document.querySelector(arguments[0]).offsetTop - 16)", section)
    return captured(driver)


def captured(driver: Chrome, **options: object) -> Image.Image:
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **options})
    return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


def side_by_side(pictures: list[Image.Image], gap: int = 24) -> Image.Image:
    width, height = pictures[0].size
    whole = Image.new("RGB", (len(pictures) * (width + gap) - gap, height), "#8a909c")
    for index, each in enumerate(pictures):
        whole.paste(each, (index * (width + gap), 0))
    return whole


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(CHECKOUT)}: {image.width}×{image.height}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    exit_with(main)
