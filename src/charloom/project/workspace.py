"""A copy of the pipeline in another folder, with some parameters changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML  # keeps comments

from charloom.errors import InputError
from charloom.project.files import PIPELINE, copy_files, copy_package, origin

NULL = "tag:yaml.org,2002:null"
NO_GIT = "    no_scm = true\n"  # in the section [core], the last one of .dvc/config


def make_workspace(folder: Path, settings: Mapping[str, object], *, git: bool = False) -> None:
    """Copy the pipeline to `folder`, with `settings` (section.name → value) in its params.yaml.

    If the folder has a copy already, the code and params.yaml in it are replaced, and its results stay. With `git`, DVC
    expects that the folder is or will be in a git repository. Raises InputError if a setting is unknown.
    """
    set_params(folder / "params.yaml", settings)
    copy_files(folder, PIPELINE)
    copy_package(folder)
    if not git:
        with (folder / ".dvc/config").open("a", encoding="utf-8") as config:
            config.write(NO_GIT)


def set_params(path: Path, settings: Mapping[str, object]) -> None:
    """Write charloom's params.yaml to `path`, changed by `settings`. Raises InputError if a setting is unknown."""
    editor = _editor()
    params = editor.load(origin() / "params.yaml")
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if name not in params.get(section, {}):
            raise InputError(f"params.yaml has no {key}")
        params[section][name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:  # for a path, ruamel would use the encoding of the locale
        editor.dump(params, file)


def _editor() -> YAML:
    """A reader and writer of YAML that keeps comments, and writes null as `null`. By default, ruamel writes nothing."""
    editor = YAML()
    editor.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar(NULL, "null"))
    return editor
