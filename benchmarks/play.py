"""Measure the page that contains a model: its size, how long it takes to open, and how fast it writes.

    python benchmarks/play.py [PAGE]    the default page is reports/play.html

The browser is headless Chromium. The page writes with class none, and draws nothing on the screen meanwhile.
"""

from __future__ import annotations

from pathlib import Path
import sys
import time

from selenium.webdriver.support.wait import WebDriverWait
from tests.browser import chromium

LENGTH = 1000  # characters that are written in each round
WRITE = """
const random = randomNumbers(arguments[0]), how = { temperature: 0.7, topP: 1 };
const begin = performance.now();
let state = page.model.start([page.about.classes]);
for (let i = 0; i < arguments[1]; i++) {
  state = page.model.read(state, page.model.draw(state.readings[0].logs, how, random));
}
return performance.now() - begin;
"""


def main() -> None:
    path = Path(*(sys.argv[1:] or ["reports/play.html"])).resolve()
    with chromium() as driver:
        driver.set_script_timeout(120)
        begin = time.monotonic()
        driver.get(path.as_uri())
        WebDriverWait(driver, 120, 0.05).until(lambda _: driver.execute_script("return typeof page === 'object'"))
        print(f"size: {path.stat().st_size / 1e6:.1f} MB; opened in {time.monotonic() - begin:.1f} s")
        for seed in (1, 2, 3):
            milliseconds = driver.execute_script(WRITE, seed, LENGTH)
            print(f"seed {seed}: {1000 * LENGTH / milliseconds:.0f} characters a second")


if __name__ == "__main__":
    main()
