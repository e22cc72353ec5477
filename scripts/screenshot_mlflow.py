"""Take docs/images/mlflow-compare.png of a running `make ui`: `PYTHONPATH=. screenshot_mlflow.py [URI]`.

The experiment charloom should hold runs on the embedded sample: no row of a real corpus gets into a picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow import MlflowClient
from tests.browser import chromium, look
from tests.tracking.pages import compare_curves

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "mlflow-compare.png"


def main() -> None:
    uri = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:5000"
    experiment = MlflowClient(uri).get_experiment_by_name("charloom")
    if experiment is None:
        sys.exit(f"error: {uri}: no experiment charloom; `make demo` makes one")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        look(driver, 1280, height=720)
        compare_curves(driver, uri, experiment.experiment_id, "valid/bpc")
        # the buttons that a pointer over the chart brings up lie over a curve
        driver.execute_script("document.head.append(document.createElement('style'));")
        driver.execute_script("document.head.lastChild.textContent = '.modebar { display: none !important }';")
        driver.save_screenshot(str(PICTURE))
    print(PICTURE)


if __name__ == "__main__":
    main()
