"""Copy the pipeline into another folder and set some parameters there: `workspace.py FOLDER [section.name=value …]`.

`make demo`, .ci/run and the tests work in such copies, so that params.yaml and the results of the checkout do not
change. If the folder has a copy already, the code and params.yaml in it are replaced, and its results stay.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ruamel.yaml import YAML  # keeps comments; DVC installs it

CHECKOUT = Path(__file__).parent.parent
PIPELINE = ("dvc.yaml", ".dvcignore", "stages", "src/charloom", "corpora/README.md")


def make_workspace(folder: Path, settings: dict[str, object]) -> None:
    """Copy the pipeline to `folder`, with `settings` (section.name → value) in its params.yaml."""
    set_params(folder / "params.yaml", settings)
    for name in PIPELINE:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(CHECKOUT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(CHECKOUT / name, target)
    (folder / ".dvc").mkdir(exist_ok=True)
    config = (CHECKOUT / ".dvc/config").read_text(encoding="utf-8")
    (folder / ".dvc/config").write_text(config + "    no_scm = true\n", encoding="utf-8")


def set_params(path: Path, settings: dict[str, object]) -> None:
    """Write the params.yaml of the checkout to `path`, changed by `settings`. An unknown key is an error."""
    yaml = YAML()
    params = yaml.load(CHECKOUT / "params.yaml")
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if name not in params.get(section, {}):
            raise SystemExit(f"error: params.yaml has no {key}")
        params[section][name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    yaml.dump(params, path)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not all("=" in setting for setting in sys.argv[2:]):
        raise SystemExit(__doc__)
    yaml = YAML(typ="safe")
    settings = dict(setting.split("=", 1) for setting in sys.argv[2:])
    make_workspace(Path(sys.argv[1]), {key: yaml.load(value) for key, value in settings.items()})


if __name__ == "__main__":
    main()
