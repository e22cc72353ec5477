"""Take docs/images/mlflow-compare.png while `make ui` runs: `PYTHONPATH=. python scripts/screenshot_mlflow.py [URI]`.

MLflow's experiment charloom should contain only runs on the embedded sample, so that the picture shows no text of a
real corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow import MlflowClient
from tests.browser import chromium, look
from tests.tracking.pages import compare_curves

from charloom.errors import exit_with

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "mlflow-compare.png"


def main() -> None:
    uri = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000"
    experiment = MlflowClient(uri).get_experiment_by_name("charloom")
    if experiment is None:
        sys.exit(f"error: {uri}: no experiment named charloom; `make demo` makes one")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        look(driver, 1280, height=720)
        compare_curves(driver, uri, experiment.experiment_id, "valid/bpc")
        # Hide the buttons that appear over the chart, because they cover a curve.
        driver.execute_script("document.head.append(document.createElement('style'));")
        driver.execute_script("document.head.lastChild.textContent = '.modebar { display: none !important }';")
        driver.save_screenshot(str(PICTURE))
    print(PICTURE)


if __name__ == "__main__":
    exit_with(main)
