"""docs/your-own.md: its patches apply to this checkout and work, and the code on the page is in the patches."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from charloom.project.files import FILES, copy_files, copy_package
from charloom.project.new import new_project
from tests.conftest import CHECKOUT
from tests.pipeline.workspace import STAGES, TINY, Workspace, clean_environment

DOCS = CHECKOUT / "docs"
PATCHES = sorted((DOCS / "patches").iterdir())
PAGE = (DOCS / "your-own.md").read_text(encoding="utf-8")
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")[1:]}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDED = re.compile(r"^\+(?!\+\+)(.*\n)", re.MULTILINE)


def section_of(patch: Path) -> str:
    """The section of the page that links to the patch."""
    (section,) = (text for text in SECTIONS.values() if f"(patches/{patch.name})" in text)
    return section


def run(folder: Path, *command: str) -> str:
    """The output of a command that runs with the code in this folder. It must succeed."""
    path = ":".join(map(str, (folder / "src", folder)))
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(PYTHONPATH=path, GIT_CEILING_DIRECTORIES=str(folder.parent)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with all patches, in which the code dependencies have been written."""
    folder = tmp_path_factory.mktemp("changed") / "checkout"
    copy_files(folder, (*FILES, "tests", "scripts"))
    copy_package(folder)
    run(folder, "git", "apply", *map(str, PATCHES))
    run(folder, sys.executable, "scripts/code_deps.py")
    return folder


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.name)
def test_a_patch_applies_alone_to_a_project_and_the_page_shows_its_code(patch: Path, tmp_path: Path) -> None:
    new_project(tmp_path / "project")
    run(tmp_path / "project", "git", "apply", "-C0", "--exclude", "tests/*", str(patch))
    added = "".join(ADDED.findall(patch.read_text(encoding="utf-8")))
    shown = [code for language, code in FENCED.findall(section_of(patch)) if language]
    assert shown
    assert [code for code in shown if code not in added] == []


def test_the_tests_that_the_page_names_pass(changed: Path) -> None:
    """Commands that name only files share one process, because each process loads torch."""
    commands = []
    for patch in PATCHES:
        (command,) = re.findall(r"^pytest (.*)$", section_of(patch), re.MULTILINE)
        commands.append(shlex.split(command))
    files = [each for command in commands if "-k" not in command for each in command]
    for arguments in (files, *(command for command in commands if "-k" in command)):
        output = run(changed, sys.executable, "-m", "pytest", *arguments, "-p", "no:cacheprovider")
        assert "100%" in output


def test_ruff_accepts_the_changed_code(changed: Path) -> None:
    run(changed, "ruff", "check", "--no-cache", ".")
    run(changed, "ruff", "format", "--no-cache", "--check", ".")


def test_the_changed_pipeline_runs_with_the_new_cell_and_a_new_name(changed: Path, tmp_path: Path) -> None:
    settings = {**TINY, "model.cell": "MGU", "train.weight_decay": 0.01}
    values = [f"{name}={value}" for name, value in settings.items()]
    run(changed, sys.executable, "scripts/workspace.py", str(tmp_path / "mine"), *values)
    workspace = Workspace(tmp_path / "mine")
    assert set(workspace.repro().stages) == {*STAGES, "words"}

    details = {name: json.loads((workspace.folder / f"details/{name}.json").read_text()) for name in (*STAGES, "words")}
    assert details["evaluate"]["bits_per_word"] > details["evaluate"]["bpc"]
    assert details["words"]["words"] > details["words"]["different_words"] > 0
    about = json.loads((workspace.folder / "models/charloom/model.json").read_text())
    assert about["model"]["cell"] == "MGU"

    for name, old, new in (
        ("params.yaml", "experiment: charloom", "experiment: mine"),
        ("dvc.yaml", "\n  charloom:\n", "\n  mine:\n"),
    ):
        text = (workspace.folder / name).read_text()
        assert old in text
        (workspace.folder / name).write_text(text.replace(old, new))
    assert workspace.repro().stages == []
