"""An environment in which charloom is installed from a wheel, as a user has it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

import pytest

from charloom.project.files import FILES, copy_files, copy_package
from tests.conftest import Once
from tests.pipeline.workspace import clean_environment

PROGRAM = """#!{python}
from {module} import main
raise SystemExit(main())
"""


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of the sources in a folder."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    pip(sys.executable, "wheel", *options, "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(python: str, *arguments: str) -> None:
    """Run this install's pip for another Python."""
    command = [sys.executable, "-m", "pip", "--python", python, *arguments]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel: Path, folder: Path) -> None:
    """Make an environment with the wheel, with programs for charloom and DVC, and with all packages of this install.

    The line in packages.pth makes these packages visible, but not this install's own charloom: its .pth file is not
    read.
    """
    venv.create(folder, with_pip=False)
    python, site = folder / "bin/python", Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
    pip(str(python), "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel))
    dvc = folder / "bin/dvc"
    dvc.write_text(PROGRAM.format(python=python, module="dvc.cli"))
    dvc.chmod(0o755)
    for path in (site / "charloom").rglob("*"):
        if path.is_file():
            path.chmod(0o444)  # as some systems install packages


@pytest.fixture(scope="session")
def installed(once: Once) -> Path:
    """The folder of the environment."""

    if int(version("setuptools").partition(".")[0]) < 77:  # torch brings a newer one, torch 2.3 does not
        pytest.skip("building a wheel needs setuptools 77 or newer")

    def make(folder: Path) -> None:
        source = folder / "source"
        copy_files(source, (*FILES, "README.md"))
        copy_package(source)
        install(build_wheel(source, folder), folder / "environment")

    return once("installed", make)[0] / "environment"
