"""Run the whole pipeline in demo/ on the embedded sample. Then print samples, the score and where to find more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from charloom.errors import exit_with
from charloom.project.new import SAMPLE_SETTINGS
from charloom.project.workspace import make_workspace

CHECKOUT = Path(__file__).parent.parent
DEMO = CHECKOUT / "demo"


def main() -> None:
    make_workspace(DEMO, SAMPLE_SETTINGS)
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{CHECKOUT / 'mlflow.db'}"}  # the store that `make ui` shows
    done = subprocess.run(["dvc", "repro"], cwd=DEMO, env={**store, **os.environ}, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    test = json.loads((DEMO / "metrics/evaluate.json").read_text(encoding="utf-8"))
    samples = (DEMO / "reports/samples.txt").read_text(encoding="utf-8")
    print(f"\n{samples}")
    print(f"test: {test['test_bpc']:.3f} bits per character, perplexity {test['test_perplexity']:.2f}")
    print("After a few minutes on 632 articles the model writes words, but its sentences make no sense.")
    print("`make repro` trains a larger model on AG_NEWS.")
    for what, where in {
        "page": "demo/reports/play.html, in a browser: type into the model, or let it write",
        "report": "demo/reports/report.html, in a browser",
        "numbers": "cd demo && dvc metrics show; all numbers are in demo/details/",
        "MLflow": "make ui, then open http://127.0.0.1:5000",
    }.items():
        print(f"  {what:8} {where}")


if __name__ == "__main__":
    exit_with(main)
