"""Opening MLflow's pages in a browser, as a person does."""

from __future__ import annotations

import json
from urllib.parse import quote

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

Curve = tuple[list[int], list[float]]  # steps and values

WAIT_S = 60
# A script for the browser that returns what Plotly has drawn: name, steps and values of each line with several points
CURVES = """
return [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot => plot.data ?? [])
  .filter(trace => trace.y?.length > 1 && trace.name).map(trace => [trace.name, [...trace.x], [...trace.y]]);
"""


def waiting(driver: Chrome) -> WebDriverWait[Chrome]:
    """Wait for a page that is still being drawn. Errors of the browser are ignored while waiting."""
    return WebDriverWait(driver, WAIT_S, ignored_exceptions=[WebDriverException])


def compare_parameters(driver: Chrome, uri: str, experiment_id: str, run_ids: list[str]) -> str:
    """Open the page that compares runs. Returns the text of the page."""
    runs, experiments = quote(json.dumps(run_ids)), quote(json.dumps([experiment_id]))
    driver.get(f"{uri}/#/compare-runs?runs={runs}&experiments={experiments}")
    page = waiting(driver).until(lambda page: page.find_element(By.XPATH, "//body[contains(., 'Run Name:')]"))
    return str(page.text)


def list_models(driver: Chrome, uri: str, experiment_id: str) -> list[str]:
    """Open the page with the models of an experiment. Returns the text of each row, the newest model first."""
    driver.get(f"{uri}/#/experiments/{experiment_id}/models?workflowType=machine_learning")
    row = (By.CSS_SELECTOR, ".ag-center-cols-container [role='row']")
    waiting(driver).until(lambda page: "\n" in page.find_element(*row).text)
    return [str(each.text) for each in driver.find_elements(*row)]


def compare_curves(driver: Chrome, uri: str, experiment_id: str, metric: str) -> dict[str, Curve]:
    """Open the charts of an experiment, and search for one metric. Returns the steps and values of each run.

    Plotly draws each curve twice, unchanged and smoothed. Smoothing is off, so both have the same values.
    """
    driver.get(f"{uri}/#/experiments/{experiment_id}/runs?compareRunsMode=CHART")
    close = (By.CSS_SELECTOR, "[data-component-id='mlflow.assistant.chat_panel.close']")
    waiting(driver).until(lambda page: page.find_element(*close)).click()
    search = (By.CSS_SELECTOR, "input[placeholder='Search metric charts']")
    waiting(driver).until(lambda page: page.find_element(*search)).send_keys(metric)
    waiting(driver).until(lambda page: _charts(page) == [metric] and page.execute_script(CURVES))
    return {name: (steps, values) for name, steps, values in driver.execute_script(CURVES)}


def _charts(driver: Chrome) -> list[str]:
    cards = driver.find_elements(By.CSS_SELECTOR, "[data-testid='experiment-view-compare-runs-card'] h4")
    return [str(card.get_attribute("title")) for card in cards]
