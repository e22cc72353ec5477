"""Headless Chromium of any width, in light or dark colours, for tests and screenshots."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

PHONE, DESKTOP = 360, 1280  # CSS pixels
PROGRAMS = "chromium", "chromedriver"  # Debian's packages chromium and chromium-driver


def missing() -> list[str]:
    """The programs that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program)]


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser that logs its console messages and its requests."""
    options = ChromeOptions()
    options.binary_location = shutil.which(PROGRAMS[0]) or ""
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which(PROGRAMS[1])))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver: Chrome, width: int, *, height: int = 800, dark: bool = False) -> None:
    """Set the size of the window in CSS pixels, and its light or dark colours."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == PHONE}
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})  # the settings of a phone may remain otherwise
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    laid_out = "return document.documentElement.clientWidth === arguments[0]"
    WebDriverWait(driver, 10).until(lambda _: driver.execute_script(laid_out, width))


def requested(driver: Chrome) -> set[str]:
    """The addresses that the browser has requested since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
