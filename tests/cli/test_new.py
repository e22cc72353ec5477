"""`charloom new`: places where a project can be made, and places where it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charloom.files import file_digest
from tests.cli.conftest import Charloom
from tests.conftest import CHECKOUT
from tests.faults.disks import on_read_only_disk, on_small_disk
from tests.pipeline.workspace import GIT, Workspace, clean_environment
from tests.test_errors import IN_ASCII

NEW = (sys.executable, "-c", "from charloom.cli import main; main()", "new")
NEXT = "\nnext: cd p && dvc repro\n"
FIRST_COMMIT = f"made p; git has a first commit of all files{NEXT}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and a git that knows its user and nothing else."""
    here = tmp_path / "here"
    here.mkdir()
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = nobody\nemail = nobody@example.org\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(*command: str) -> str:
    return subprocess.run([*GIT, *command], capture_output=True, text=True, check=True).stdout


def environment() -> dict[str, str]:
    return clean_environment(PYTHONPATH=str(CHECKOUT / "src"))


def works(folder: str) -> bool:
    """Whether DVC runs the first two stages in a project."""
    return Workspace(Path(folder)).repro("vocab").stages == ["download", "vocab"]


def left() -> list[str]:
    return [path.name for path in Path().iterdir()]


def test_a_project_is_a_git_repository_with_all_files_in_its_first_commit(charloom: Charloom) -> None:
    assert charloom("new", "p", model=None) == (0, FIRST_COMMIT, "")
    assert git("-C", "p", "status", "--short", "--ignored") == ""
    assert git("-C", "p", "log", "--format=%an %s") == "nobody New charloom project\n"
    assert works("p")


def test_an_empty_folder_becomes_the_project(charloom: Charloom) -> None:
    Path("p").mkdir()
    assert charloom("new", "p", model=None) == (0, FIRST_COMMIT, "")
    assert left() == ["p"]


def test_a_project_is_made_in_a_locale_without_utf_8() -> None:
    command = [*NEW, "новый"]
    done = subprocess.run(command, env=environment() | IN_ASCII, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (Path("новый") / "dvc.yaml").read_bytes() == (CHECKOUT / "dvc.yaml").read_bytes()
    assert git("-C", "новый", "status", "--short") == ""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("full", "full: is not empty; give the name of a new folder"),
        ("file", "file: is a file; give the name of a new folder"),
        ("full/empty/.", "empty: is the current folder; call `charloom new` in the folder above it"),
        ("missing/p", "missing: no folder can be made here: No such file or directory"),
        ("file/p", "file: no folder can be made here: Not a directory"),
        ("x" * 255, "no folder can be made here: File name too long"),
        (os.fsdecode(b"\xff"), r"\udcff: the name is not valid UTF-8, which DVC needs; choose another name"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line_and_nothing_is_written(
    charloom: Charloom, name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path.cwd()
    Path("full/empty").mkdir(parents=True)
    Path("file").touch()
    if name.endswith("."):
        monkeypatch.chdir("full/empty")
    ended = charloom("new", here / name, model=None)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: /")
    assert says in ended.err
    assert ended.err.count("\n") == 1
    assert {str(path.relative_to(here)) for path in here.rglob("*")} == {"full", "full/empty", "file"}


def test_a_read_only_folder_is_one_line() -> None:
    command = on_read_only_disk(Path.cwd(), [*NEW, "p"])
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: {Path.cwd()}: no folder can be made here: Read-only file system\n"


@pytest.mark.parametrize("kib", [100, 1400])  # the disk is full while files are copied, and while git writes
def test_a_full_disk_is_one_line_and_leaves_nothing(kib: int) -> None:
    script = f'cd {Path.cwd()}; "$@"; code=$?; ls -A; exit $code'
    command = on_small_disk(Path.cwd(), kib, ["sh", "-c", script, "sh", *NEW, "p"])
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {Path('p').resolve()}: ")
    assert "No space left on device" in done.stderr or "`git" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """A hook of git holds up the first commit, so the signal arrives while the project is made."""
    hook, started = tmp_path / "hooks/pre-commit", tmp_path / "started"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {started}\nexec sleep 60\n")
    hook.chmod(0o755)
    git("config", "--global", "core.hooksPath", str(hook.parent))
    command, pipe = [*NEW, "p"], subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        while not started.exists():
            time.sleep(0.02)
        assert [name[:3] for name in left()] == [".p."]
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate() == ("", "\nerror: interrupted\n")
    assert process.returncode == 130
    assert left() == []


def test_inside_a_git_repository_the_project_belongs_to_it(charloom: Charloom) -> None:
    git("init", "--quiet")
    ended = charloom("new", "p", model=None)
    assert ended.out == f"made p; the project is in the git repository around it: commit the new files there{NEXT}"
    assert works("p")
    git("add", "--all")
    git("commit", "--quiet", "--message", "mine")
    assert "p/dvc.lock" in git("ls-files")
    assert "p/data" not in git("ls-files")
    ended_dvc = Workspace(Path("p")).run("dvc", "exp", "run", "-S", "vocab.min_count=2", "vocab")
    assert ended_dvc.code == 0, ended_dvc.output


def test_inside_an_ignored_folder_of_a_git_repository_the_project_has_its_own(charloom: Charloom) -> None:
    git("init", "--quiet")
    Path(".gitignore").write_text("/p/\n")
    assert charloom("new", "p", model=None).out == FIRST_COMMIT
    assert Path("p/.git").is_dir()


def test_inside_a_dvc_repository_both_work(charloom: Charloom) -> None:
    outside = Workspace(Path())
    Path("a.txt").write_text("a")
    for command in ("dvc init --quiet --no-scm", "dvc add --quiet a.txt"):
        assert outside.run(*command.split()).code == 0
    assert charloom("new", "p", model=None).out == FIRST_COMMIT
    assert works("p")
    assert outside.run("dvc", "status").output == "Data and pipelines are up to date.\n"


def test_the_repository_of_a_git_hook_is_not_changed(charloom: Charloom, monkeypatch: pytest.MonkeyPatch) -> None:
    """git sets GIT_DIR and GIT_INDEX_FILE for its hooks. A hook may run tests, which make projects."""
    git("init", "--quiet", "other")
    Path("other/file").touch()
    git("-C", "other", "add", "file")
    index = Path("other/.git/index")
    before = file_digest(index)
    monkeypatch.setenv("GIT_DIR", str(Path("other/.git").resolve()))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index.resolve()))
    assert charloom("new", "p", model=None).out == FIRST_COMMIT
    assert file_digest(index) == before


def test_without_an_identity_all_is_ready_for_the_first_commit(
    charloom: Charloom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    ended = charloom("new", "p", model=None)
    assert ended.code == 0
    assert ended.out.startswith("made p; git could not make the first commit (fatal: no ")
    assert "`git config user.email ADDRESS`" in ended.out
    assert ended.out.endswith(NEXT)
    git("-C", "p", "commit", "--quiet", "--message", "first")
    assert git("-C", "p", "status", "--short", "--ignored") == ""


def test_without_git_dvc_works_without_git(charloom: Charloom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "env"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    ended = charloom("new", "p", model=None)
    assert ended.out.startswith("made p; git is not installed: `dvc repro` works here without git")
    assert not Path("p/.git").exists()
    assert works("p")
