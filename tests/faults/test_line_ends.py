"""git's option core.autocrlf, with which git changes the line ends of text files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from charloom.project.files import FILES, copy_files, files_in
from tests.pipeline.workspace import GIT


def git(folder: Path, *command: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *command], check=True, capture_output=True)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: (folder / path).read_bytes() for path in files_in(folder) if path.parts[0] != ".git"}


def test_a_clone_with_converted_line_ends_has_the_same_bytes(tmp_path: Path) -> None:
    project = tmp_path / "project"
    copy_files(project, FILES)
    (project / "windows.csv").write_bytes(b"1,a,b\r\n")
    git(tmp_path, "init", "--quiet", str(project))
    for command in (("config", "core.autocrlf", "true"), ("add", "--all"), ("commit", "--quiet", "--message", "x")):
        git(project, *command)
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", str(project), "clone")
    assert contents(tmp_path / "clone") == contents(project)
