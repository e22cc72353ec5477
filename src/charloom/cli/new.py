"""`charloom new`: making a new project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from charloom.errors import say
from charloom.project.new import new_project


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Make a new project: a folder with the whole pipeline.

    DIR is the folder of the project. It must not exist, or be empty. The project contains the parameters, the stages
    and the code of charloom, which you can change, and a README.md that explains the next steps. At first, the project
    uses a small corpus that is part of charloom, so `dvc repro` works at once.

    The project is a git repository with a first commit. If DIR is inside another git repository that does not ignore
    DIR, the project becomes a part of that repository instead.
    """
    about_git = new_project(folder)
    say(f"made {folder}; {about_git}")
    say(f"next: cd {shlex.quote(str(folder))} && dvc repro")
