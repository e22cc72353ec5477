"""Copy the pipeline into another folder and set some parameters there: `workspace.py FOLDER [section.name=value …]`.

.ci/run and the benchmarks work in such copies, so that params.yaml and the results of the checkout do not change. If
the folder has a copy already, the code and params.yaml in it are replaced, and its results stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ruamel.yaml import YAML

from charloom.errors import exit_with
from charloom.project.workspace import make_workspace


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not all("=" in setting for setting in sys.argv[2:]):
        raise SystemExit(__doc__)
    read = YAML(typ="safe").load
    settings = dict(setting.split("=", 1) for setting in sys.argv[2:])
    make_workspace(Path(sys.argv[1]), {key: read(value) for key, value in settings.items()})


if __name__ == "__main__":
    exit_with(main)
