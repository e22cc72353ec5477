"""A workspace with a dvc.lock, whose run in MLflow can be verified."""

from __future__ import annotations

from pathlib import Path

import yaml

from charloom.files import file_digest, write_text
from charloom.tracking.verification import verify_run
from tests.tracking.tracked import PARAMS, Tracked

MODEL = "models/charloom/model.safetensors"
STAGES = {
    "train": ("models/", "plots/", "train.json", "training_samples.json"),
    "evaluate": ("reports/samples", "evaluate.json"),
}


def record(workspace: Path) -> None:
    """Write dvc.lock as DVC does after all stages have run."""
    paths = [path.relative_to(workspace).as_posix() for path in sorted(workspace.rglob("*")) if path.is_file()]
    stages: dict[str, object] = {
        stage: {
            "params": {"params.yaml": {f"{stage}.seed": 1}},
            "outs": [
                {"path": path, "md5": file_digest(workspace / path, "md5")}
                for path in paths
                if path.startswith(marks) or path.endswith(marks)
            ],
        }
        for stage, marks in STAGES.items()
    }
    corpus = [{"path": f"data/raw/{split}.csv", "md5": split * 4} for split in ("train", "test")]  # as in `card`
    stages["download"] = {"outs": corpus}
    write_text(workspace / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}))


def publish(tracked: Tracked) -> str:
    """Publish the evaluation of the workspace. Returns the id of the run."""
    tracked.evaluate(model_digest=file_digest(tracked.workspace / MODEL))
    (run,) = tracked.runs()
    return str(run.info.run_id)


def problems(run_id: str) -> dict[str, str]:
    """The problems that `verify_run` finds, by what was compared."""
    _, checks = verify_run(PARAMS, run_id)
    assert len(checks) == 7
    return {check.what: check.problem for check in checks if check.problem}
