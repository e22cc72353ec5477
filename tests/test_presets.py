"""The presets: files with parameters, one for each use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from charloom.params_file import load_params
from tests.conftest import CHECKOUT
from tests.param_files import VALID, load_text
from tests.test_scripts import run

PRESETS = sorted((CHECKOUT / "presets").iterdir())
presets = pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.name)


def values_of(preset: Path) -> list[str]:
    return preset.read_text().splitlines()[1:]


@presets
def test_a_preset_has_a_sentence_and_valid_values_that_are_not_those_of_params_yaml(
    preset: Path, tmp_path: Path
) -> None:
    assert preset.read_text().startswith("# ")
    keys = [value.partition("=")[0] for value in values_of(preset)]
    workspace = tmp_path / "workspace"
    assert run(CHECKOUT / "scripts" / "workspace.py", workspace, *values_of(preset)).code == 0
    before, after = load_text(tmp_path, VALID), load_params(workspace / "params.yaml").flat()
    assert {key for key in after if after[key] != before[key]} == set(keys)


@presets
def test_the_readme_names_each_preset_and_what_it_is_for(preset: Path) -> None:
    sentence = preset.read_text().splitlines()[0].removeprefix("# ")
    assert f"| {preset.name} | {sentence} |" in (CHECKOUT / "README.md").read_text()


@presets
def test_make_run_gives_dvc_the_values_of_the_preset(preset: Path) -> None:
    command = ["make", "--dry-run", "run", f"PRESET={preset.name}"]
    shown = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.splitlines()
    [line] = [line for line in shown if "dvc exp run" in line]
    script = line.replace("dvc exp run", "printf '%s\\n'")
    done = subprocess.run(["sh", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [part for value in values_of(preset) for part in ("-S", value)]


def test_an_unknown_preset_is_one_line() -> None:
    done = subprocess.run(["make", "run", "PRESET=none"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    names = " ".join(path.name for path in PRESETS)
    assert f"error: PRESET='none': choose one of: {names}\n" in done.stderr
