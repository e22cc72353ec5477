"""`charloom new` from a wheel: the project runs, and has all that a project from a checkout has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from charloom.files import file_digest
from charloom.project.files import PACKAGE, files_in
from charloom.project.new import SAMPLE_SETTINGS, new_project
from tests.conftest import CHECKOUT, Once
from tests.pipeline.workspace import STAGES, TINY, Ended, Workspace

IDENTITY = {f"GIT_{who}_{what}": f"{who}@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
NAME = "Mein Projekt 语言"


def in_environment(folder: Path, environment: Path) -> Workspace:
    """A folder whose commands use this environment."""
    return Workspace(folder, {**IDENTITY, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"})


def succeeded(ended: Ended) -> str:
    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output
    return ended.output


@pytest.fixture(scope="module")
def project(installed: Path, once: Once) -> Workspace:
    """A project that the installed charloom made, before anything ran in it."""

    def make(folder: Path) -> str:
        return succeeded(in_environment(folder, installed).run("charloom", "new", NAME))

    folder, output = once("project", make)
    assert output == f"made {NAME}; git has a first commit of all files\nnext: cd '{NAME}' && dvc repro\n"
    return in_environment(folder / NAME, installed)


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file that is not git's, by its path."""
    return {str(file): file_digest(folder / file) for file in files_in(folder) if file.parts[0] != ".git"}


def test_the_project_runs_from_start_to_finish(project: Workspace) -> None:
    assert project.run("git", "status", "--short", "--ignored").output == ""
    project.set(TINY)
    assert project.repro().stages == list(STAGES)
    assert project.repro().stages == []
    changed = project.run("git", "status", "--short", ".", ":!.dvc/site")  # only these tests have .dvc/site
    assert changed.output == " M params.yaml\n?? dvc.lock\n"
    assert "test_bpc" in succeeded(project.run("dvc", "metrics", "show"))
    assert succeeded(project.run("charloom", "sample", "--length", "20"))
    assert "LSTM-16x1" in succeeded(project.run("charloom", "runs"))
    assert (project.folder / "mlflow.db").exists()


def test_a_project_from_a_wheel_is_like_one_from_a_checkout(installed: Path, tmp_path: Path) -> None:
    succeeded(in_environment(tmp_path, installed).run("charloom", "new", "wheel"))
    new_project(tmp_path / "checkout")
    from_wheel, from_checkout = digests(tmp_path / "wheel"), digests(tmp_path / "checkout")
    assert from_wheel.pop("constraints.txt")
    assert from_checkout.pop("constraints.txt")
    assert from_wheel == from_checkout
    assert {f"src/charloom/{file}" for file in files_in(PACKAGE)} <= set(from_wheel)


def test_the_owner_may_write_every_file_of_the_project(installed: Path, tmp_path: Path) -> None:
    succeeded(in_environment(tmp_path, installed).run("charloom", "new", "mine"))
    files = [file for file in (tmp_path / "mine" / "src").rglob("*") if file.is_file()]
    assert files
    assert all(file.stat().st_mode & 0o200 for file in files)


def test_a_project_makes_a_project_like_itself(project: Workspace, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mine = Workspace(tmp_path / "mine", project.variables)
    succeeded(Workspace(tmp_path, project.variables).run("charloom", "new", "mine"))
    changed = mine.folder / "src/charloom/cells.py"
    changed.write_text(changed.read_text() + "# mine\n")
    command = "from charloom.cli import main; main()"
    again = Workspace(mine.folder, {**project.variables, "PYTHONPATH": "src"})
    succeeded(again.run("python", "-c", command, "new", "../copy"))
    assert (tmp_path / "copy/src/charloom/cells.py").read_text().endswith("# mine\n")


def test_code_dependencies_are_written_in_a_project_too(installed: Path, tmp_path: Path) -> None:
    succeeded(in_environment(tmp_path, installed).run("charloom", "new", "mine"))
    mine = in_environment(tmp_path / "mine", installed)
    mine_with_code = Workspace(mine.folder, {**mine.variables, "PYTHONPATH": "src"})
    before = (mine.folder / "dvc.yaml").read_bytes()
    succeeded(mine_with_code.run("python", "scripts/code_deps.py"))
    assert (mine.folder / "dvc.yaml").read_bytes() == before == (CHECKOUT / "dvc.yaml").read_bytes()

    (mine.folder / "src/charloom/mine.py").write_text('"""My module."""\n')
    script = mine.folder / "stages/build_vocab.py"
    script.write_text(script.read_text().replace("from pathlib", "import charloom.mine\nfrom pathlib", 1))
    succeeded(mine_with_code.run("python", "scripts/code_deps.py"))
    stages = yaml.safe_load((mine.folder / "dvc.yaml").read_text())["stages"]
    assert [name for name, stage in stages.items() if "src/charloom/mine.py" in stage["deps"]] == ["vocab"]


def test_the_readme_names_the_value_of_a_larger_corpus_for_each_changed_parameter(project: Workspace) -> None:
    block = (project.folder / "README.md").read_text().split("```")[3]
    defaults = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
    changed = [key.split(".") for key in SAMPLE_SETTINGS if key != "data.source"]
    assert block.split() == [f"{section}.{name}={defaults[section][name]}" for section, name in changed]


def test_constraints_txt_pins_the_installed_packages_and_not_charloom(project: Workspace) -> None:
    pins = dict(line.split("==") for line in (project.folder / "constraints.txt").read_text().splitlines())
    code = "import importlib.metadata as m; print(*(m.version(n).split('+')[0] for n in ('torch', 'dvc', 'pyyaml')))"
    shown = project.run("python", "-c", code).output.split()
    assert [pins[name] for name in ("torch", "dvc", "pyyaml")] == shown
    assert "charloom" not in pins
