"""Damaged and forged models, vocabularies, windows, checkpoints and params.yaml are safe to read, without pickle."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.pipeline.workspace import Workspace, clean_environment

MUTATIONS = int(os.environ.get("CHARLOOM_MUTATIONS", "50"))  # of each kind; `make fuzz` sets 2000
KINDS = ("vocab", "model", "memory", "windows", "checkpoint", "params")
UNPICKLES = re.compile(
    r"\b(c?pickle|cloudpickle|dill|joblib|shelve|marshal)\b|torch\.load\b|allow_pickle\s*=\s*True|weights_only"
    r"|(?<![.\w])(eval|exec)\(|yaml\.(unsafe_|full_)?load\((?!.*_Loader\))|fromfile\(|shell\s*=\s*True"
)
COMMENTS_AND_DOCSTRINGS = re.compile(r"#[^\n]*|\"\"\".*?\"\"\"", re.DOTALL)

# Calls every reader. The unpicklers of the process are replaced first, so that an attempt to unpickle ends the process.
NO_PICKLE = """
import _pickle, pickle, sys
from pathlib import Path
import numpy, torch
from charloom.training.checkpoint import Checkpoint, Checkpoints
from charloom.model.saved import load_model
from charloom.training.history import read_history
from charloom.params_file import load_params
from charloom.text.vocab import Vocabulary
from charloom.text.split import EncodedSplit

def no_pickle(*_arguments, **_named):
    raise SystemExit("something was unpickled")

class NoUnpickler:
    __init__ = no_pickle

for module in (pickle, _pickle):
    module.load = module.loads = no_pickle
    module.Unpickler = NoUnpickler
pickle._load = pickle._loads = torch.load = no_pickle
pickle._Unpickler = NoUnpickler

load_params()
vocabulary = Vocabulary.load(Path("data/vocab.json"))
for split in ("train", "valid", "test"):
    windows = EncodedSplit.load(Path("data/windows") / split, len(vocabulary))
load_model(Path("models/charloom"))
read_history(Path("plots/history.csv"))
(folder,) = (path for path in Path(".charloom/checkpoints").iterdir() if path.is_dir())
assert Checkpoint.from_bytes(Checkpoints(folder).read()).position["step"] > 0
print("read all")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_an_error_or_usable_and_take_little_memory(tmp_path: Path, kind: str) -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory of a process can be bounded on Linux only")
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile", kind, str(MUTATIONS), "1", str(tmp_path)],
        cwd=CHECKOUT,
        env=clean_environment(PYTHONPATH="src"),
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{kind}: {counts['mutations']} mutations, {counts['refused']} were errors, the others were read;"
        f" {counts['bound_bytes'] >> 20} MiB allowed, {1000 * counts['slowest_s']:.0f} ms at most"
    )
    assert counts["mutations"] == MUTATIONS
    assert counts["refused"] > MUTATIONS // 4


def test_no_source_file_unpickles_or_evaluates() -> None:
    found = []
    for path in sorted(file for folder in ("src", "stages", "scripts") for file in (CHECKOUT / folder).rglob("*.py")):
        code = COMMENTS_AND_DOCSTRINGS.sub("", path.read_text(encoding="utf-8"))
        found += [f"{path.name}: {match.group()}" for match in UNPICKLES.finditer(code)]
    assert found == ["render_tutorial.py: exec("]  # the cells of docs/tutorial.py, which is part of charloom


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, yaml.Loader)",
        "eval(x)",
    ],
)
def test_the_search_finds_code_that_unpickles_or_evaluates(line: str) -> None:
    code = f"# a comment\n{line}\n"  # of a file, only the comment is left out
    assert UNPICKLES.search(COMMENTS_AND_DOCSTRINGS.sub("", code))


def test_every_reader_works_without_unpickling(undisturbed: tuple[Workspace, float], tmp_path: Path) -> None:
    workspace = undisturbed[0].copy(tmp_path / "read")
    workspace.run(sys.executable, "stages/train.py")  # leaves a checkpoint, which DVC's next stage would remove
    ended = workspace.run("env", "PYTHONPATH=src", sys.executable, "-c", NO_PICKLE)
    assert (ended.code, ended.output) == (0, "read all\n")
