"""Take the pictures of MLflow in docs/images while `make ui` runs: `PYTHONPATH=. python scripts/screenshot_mlflow.py`.

Another server than that of `make ui` is named by its address: `screenshot_mlflow.py URI`.

MLflow's experiment charloom should contain only runs on the embedded sample, so that the picture shows no text of a
real corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow import MlflowClient
from tests.browser import chromium, look
from tests.tracking.pages import compare_curves, list_models

from charloom.errors import exit_with

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def main() -> None:
    uri = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000"
    experiment = MlflowClient(uri).get_experiment_by_name("charloom")
    if experiment is None:
        sys.exit(f"error: {uri}: no experiment named charloom; `make demo` makes one")
    with chromium() as driver:
        look(driver, 1280, height=720)
        compare_curves(driver, uri, experiment.experiment_id, "valid/bpc")
        # Hide the buttons that appear over the chart, because they cover a curve.
        driver.execute_script("document.head.append(document.createElement('style'));")
        driver.execute_script("document.head.lastChild.textContent = '.modebar { display: none !important }';")
        driver.save_screenshot(str(IMAGES / "mlflow-compare.png"))
        look(driver, 1800, height=360)
        list_models(driver, uri, experiment.experiment_id)
        driver.save_screenshot(str(IMAGES / "mlflow-models.png"))


if __name__ == "__main__":
    exit_with(main)
